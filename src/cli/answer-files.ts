/**
 * The answers of a scoring as files that other tools read: matrices of row numbers and distances,
 * JSON lines, or Parquet. Each appears whole or not at all. Answers are read in step with the
 * queries, whose ids name them, so that memory does not grow with their number.
 */
import { extname } from "node:path";
import { IO_LIMITS } from "../core/limits.ts";
import { FileOutput } from "../io/file-output.ts";
import { openMatrixSink, openNeighbourSink } from "../io/neighbour-sink.ts";
import { listOf, openParquetFile } from "../io/parquet-file.ts";
import type { VectorSource } from "../io/vector-source.ts";
import type { AnswerStore } from "./answer-store.ts";
import { wholeBatches } from "./base-index.ts";

/** All that is written. */
export interface Scored {
  readonly store: AnswerStore;
  readonly queries: VectorSource;
  readonly k: number;
  /** Ids by row number, of a base that is a collection. */
  readonly ids: readonly string[] | undefined;
}

/** Extensions of the formats. */
export const ANSWER_FORMATS: readonly string[] = [".npy", ".ivecs", ".jsonl", ".parquet"];

/** Answers that are handled at a time. */
const BATCH = 1024;

/** The files that a scoring leaves. */
export function answerFiles(out: string): string[] {
  return extname(out).toLowerCase() === ".npy" ? [out, distancesName(out)] : [out];
}

function distancesName(out: string): string {
  return `${out.slice(0, -".npy".length)}.distances.npy`;
}

/** `out`: with one of `ANSWER_FORMATS`. */
export function writeAnswers(out: string, scored: Scored): Promise<void> {
  const extension = extname(out).toLowerCase();
  if (extension === ".jsonl") return writeLines(out, scored);
  return extension === ".parquet" ? writeParquet(out, scored) : writeMatrices(out, scored);
}

async function writeMatrices(out: string, { store, k }: Scored): Promise<void> {
  const rowSink = await openNeighbourSink(out, k);
  const distanceSink = answerFiles(out).length > 1 ? await openMatrixSink(distancesName(out), k) : undefined;
  try {
    for (let query = 0; query < store.done; query += BATCH) {
      const { rows, distances } = await store.read(query, Math.min(BATCH, store.done - query));
      await rowSink.append(rows);
      await distanceSink?.append(distances);
    }
    await distanceSink?.finish();
    await rowSink.finish();
  } catch (error) {
    await distanceSink?.abort();
    await rowSink.abort();
    throw error;
  }
}

interface Answer {
  /** Number of the query in its file. */
  readonly query: number;
  /** Its id, where it has one. */
  readonly id: string | undefined;
  /** [found], at most k; nearest first. */
  readonly rows: Uint32Array;
  readonly distances: Float32Array;
}

/** Of every query, in order. */
async function* answersOf({ store, queries, k }: Scored): AsyncGenerator<Answer, void, void> {
  for await (const { first, count, ids } of wholeBatches(queries, BATCH)) {
    const { rows, distances } = await store.read(first, count);
    for (let i = 0; i < count; i++) {
      const list = rows.subarray(i * k, (i + 1) * k);
      const none = list.indexOf(0xffffffff);
      const found = none < 0 ? k : none;
      yield {
        query: first + i,
        id: ids?.[i],
        rows: list.subarray(0, found),
        distances: distances.subarray(i * k, i * k + found),
      };
    }
  }
}

/** `{"query": 0, "matches": [{"row": 5, "distance": 0.25}]}`; ids where the base or the queries have them. */
async function writeLines(out: string, scored: Scored): Promise<void> {
  const output = await FileOutput.create(out);
  const { ids } = scored;
  try {
    for await (const { query, id, rows, distances } of answersOf(scored)) {
      const matches = Array.from(rows, (row, i) =>
        ids === undefined ? { row, distance: distances[i] } : { id: ids[row], distance: distances[i] },
      );
      await output.append(Buffer.from(`${JSON.stringify({ query: id ?? query, matches })}\n`));
    }
    await output.finish();
  } catch (error) {
    await output.abort();
    throw error;
  }
}

/** A row a query: `query`, its id as text or its number, `ids` or `rows`, and `distances`, lists of what was found. */
async function writeParquet(out: string, scored: Scored): Promise<void> {
  const { queries, ids, k } = scored;
  const isNamed = await hasIds(queries);
  const file = await openParquetFile(out, [
    isNamed
      ? [{ name: "query", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" }]
      : [{ name: "query", type: "INT64", repetition_type: "REQUIRED" }],
    ids === undefined
      ? listOf("rows", { type: "INT32" })
      : listOf("ids", { type: "BYTE_ARRAY", converted_type: "UTF8" }),
    listOf("distances", { type: "FLOAT" }),
  ]);
  const groupRows = Math.max(1, Math.min(IO_LIMITS.writtenGroupRows, Math.floor(IO_LIMITS.writtenGroupValues / k)));
  let group: Answer[] = [];
  const append = async (): Promise<void> => {
    const answers = group;
    group = [];
    await file.append([
      {
        name: "query",
        data: answers.map(({ query, id }) => (isNamed ? (id ?? String(query)) : BigInt(query))),
      },
      ids === undefined
        ? { name: "rows", data: answers.map(({ rows }) => [...rows]) }
        : { name: "ids", data: answers.map(({ rows }) => Array.from(rows, (row) => ids[row])) },
      { name: "distances", data: answers.map(({ distances }) => [...distances]) },
    ]);
  };
  try {
    for await (const answer of answersOf(scored)) {
      group.push(answer);
      if (group.length === groupRows) await append();
    }
    if (group.length > 0) await append();
    await file.finish();
  } catch (error) {
    await file.abort();
    throw error;
  }
}

/** Whether any query has an id: the type of a column comes before its values. Reads the file to its end only where fields could name rows and none does. */
async function hasIds(queries: VectorSource): Promise<boolean> {
  for await (const { ids } of wholeBatches(queries, BATCH)) {
    if (ids === undefined) return false;
    if (ids.some((id) => id !== undefined)) return true;
  }
  return false;
}
