/**
 * `nearfield score`: the neighbours of any number of queries. Queries are read ahead while others
 * are searched, answers are written in order, and memory does not grow with their number. How far
 * it came is kept every few seconds: the same command goes on after a kill, with the same result.
 */
import { stat } from "node:fs/promises";
import { extname, resolve } from "node:path";
import { Command, Option } from "commander";
import type { Filter } from "../collection/filter.ts";
import { NearfieldError } from "../core/errors.ts";
import type { FloatMetric, Precision } from "../core/metric.ts";
import { checkIsFree } from "../io/file-output.ts";
import type { VectorSource } from "../io/vector-source.ts";
import { ANSWER_FORMATS, answerFiles, writeAnswers } from "./answer-files.ts";
import { AnswerStore } from "./answer-store.ts";
import { atLeastOne, filterJson, finiteNumber } from "./arguments.ts";
import { wholeBatches } from "./base-index.ts";
import { CommandFailure } from "./failure.ts";
import { ProgressBar } from "./progress.ts";
import { type Answers, openBase, openQueries, type ScoreBase } from "./score-base.ts";
import type { Terminal } from "./terminal.ts";

interface ScoreOptions {
  readonly base: string;
  readonly queries: string;
  readonly out: string;
  readonly k: number;
  readonly metric?: FloatMetric;
  readonly precision?: Exclude<Precision, "b1">;
  readonly filter?: Filter;
  readonly maxDistance?: number;
  readonly excludeSelf?: boolean;
  readonly checkpoint: number;
  readonly json?: boolean;
}

/** Queries of a search: a device batch. */
const BATCH = 1024;
/** Searches under way: one on the device, one being put together. */
const UNDER_WAY = 2;

export function scoreCommand(terminal: Terminal): Command {
  return new Command("score")
    .description("the nearest rows of each query, written to a file; goes on where it was cut off")
    .requiredOption("--base <file or collection>", "what is searched")
    .requiredOption("--queries <file or collection>", "what is asked; the same as the base builds its neighbour graph")
    .requiredOption(
      "--out <file>",
      ".npy (row numbers, and distances in <name>.distances.npy) or .ivecs (row numbers), with row -1 at distance inf where fewer than k are found; .jsonl or .parquet, with shorter lists there",
    )
    .option("-k, --k <neighbours>", "neighbours of each query", atLeastOne, 10)
    .addOption(
      new Option("--metric <metric>", 'of a base that is a file (default "cosine"); a collection has its own').choices([
        "cosine",
        "dot",
        "euclidean",
        "manhattan",
      ]),
    )
    .addOption(
      new Option(
        "--precision <precision>",
        'how rows of a base that is a file are stored (default "f32"); a collection has its own',
      ).choices(["f32", "f16", "i8"]),
    )
    .option("--filter <json>", "only records of the collection that match", filterJson)
    .option("--max-distance <distance>", "only rows as near as this", finiteNumber)
    .option("--exclude-self", "leave each query's own row out, where queries and base are the same")
    .option("--checkpoint <seconds>", "how often progress is made durable", atLeastOne, 5)
    .option("--json", "print JSON")
    .action((options: ScoreOptions) => score(options, terminal));
}

async function score(options: ScoreOptions, terminal: Terminal): Promise<void> {
  const { out, k, excludeSelf = false } = options;
  checkOptions(options);
  for (const path of answerFiles(out)) await checkIsFree(path);
  const queries = await openQueries(options.queries);
  let base: ScoreBase | undefined;
  let store: AnswerStore | undefined;
  try {
    base = await openBase({ ...options, dimensions: queries.dimensions }, terminal);
    store = await AnswerStore.open(`${out}.answers`, await factsOf(options, base.version, queries.version), k);
    if (store.discarded !== undefined)
      terminal.tell(`nearfield: an earlier run left ${out}.answers; begun anew, since ${store.discarded}`);
    if (store.done > 0) terminal.tell(`nearfield: going on at query ${store.done}`);
    const spent = await answerAll(queries, base, store, { ...options, excludeSelf }, terminal);
    await writeAnswers(out, { store, queries, k, ids: base.ids });
    const count = store.done;
    await store.close();
    await store.remove();
    store = undefined;
    await terminal.out(
      options.json === true
        ? `${JSON.stringify({ file: out, queries: count, k, ...spent })}\n`
        : told(out, count, spent),
    );
  } finally {
    await store?.close();
    await base?.close();
    await queries.close();
  }
}

function checkOptions({ out, base, queries, excludeSelf }: ScoreOptions): void {
  if (!ANSWER_FORMATS.includes(extname(out).toLowerCase())) {
    throw new NearfieldError("INVALID_OPTION", {
      got: `--out ${out}`,
      expected: `a name that ends in one of ${ANSWER_FORMATS.join(", ")}`,
      remedy: "give the file one of these extensions",
    });
  }
  if (excludeSelf === true && resolve(base) !== resolve(queries)) {
    throw new NearfieldError("INVALID_OPTION", {
      got: `--exclude-self with queries ${queries} and base ${base}`,
      expected: "the same file or collection for both",
      remedy: "leave it out: a query of another file has no row of its own",
    });
  }
}

/** What the answers depend on: with other facts those of an earlier run are of no use. */
async function factsOf(
  { base, queries, k, metric, precision, filter, maxDistance, excludeSelf }: ScoreOptions,
  ...versions: readonly (number | undefined)[]
): Promise<string> {
  const files = await Promise.all(
    [base, queries].map(async (path) => {
      const { size, mtimeMs } = await stat(path);
      return [resolve(path), size, mtimeMs];
    }),
  );
  return JSON.stringify([files, versions, k, metric, precision, filter, maxDistance, excludeSelf]);
}

interface Spent {
  readonly queriesPerSecond: number;
  /** Shares of the time waited for queries, for answers, and for the disk. */
  readonly read: number;
  readonly compute: number;
  readonly write: number;
}

async function answerAll(
  queries: VectorSource,
  base: ScoreBase,
  store: AnswerStore,
  { k, maxDistance, excludeSelf, checkpoint }: ScoreOptions,
  terminal: Terminal,
): Promise<Spent> {
  const from = store.done;
  const bar = new ProgressBar(terminal, "scoring", "queries", queries.rowCount, from);
  const waited = { read: 0, compute: 0, write: 0 };
  const timed = async <T>(what: keyof typeof waited, work: Promise<T>): Promise<T> => {
    const started = performance.now();
    try {
      return await work;
    } finally {
      waited[what] += performance.now() - started;
    }
  };
  const started = performance.now();
  let checkpointed = started;
  const underWay: { first: number; answers: Promise<Answers> }[] = [];
  const settleOne = async (): Promise<void> => {
    const next = underWay.shift();
    if (next === undefined) return;
    const answers = await timed("compute", next.answers);
    await timed("write", store.append(excludeSelf === true ? withoutSelf(answers, next.first, k) : answers));
    if (performance.now() - checkpointed > checkpoint * 1000) {
      await timed("write", store.checkpoint());
      checkpointed = performance.now();
    }
    bar.show(store.done);
  };
  const batches = wholeBatches(queries, BATCH, from);
  try {
    while (!terminal.interrupted.aborted) {
      const { value: batch, done } = await timed("read", batches.next());
      if (done === true) break;
      const answers = base.search(batch.vectors, excludeSelf === true ? k + 1 : k, maxDistance);
      answers.catch(() => {}); // awaited in its turn; a failure before that must not go unhandled
      underWay.push({ first: batch.first, answers });
      if (underWay.length > UNDER_WAY) await settleOne();
    }
    while (underWay.length > 0) await settleOne();
    await timed("write", store.checkpoint());
    if (terminal.interrupted.aborted) {
      throw new CommandFailure(`interrupted after ${store.done} queries; the same command goes on from there`);
    }
  } finally {
    bar.stop();
    await batches.return();
    await Promise.allSettled(underWay.map(({ answers }) => answers));
  }
  const total = Math.max(1e-3, performance.now() - started);
  const shareOf = (ms: number): number => Math.round((ms / total) * 100) / 100;
  return {
    queriesPerSecond: Math.round(((store.done - from) / total) * 1000),
    read: shareOf(waited.read),
    compute: shareOf(waited.compute),
    write: shareOf(waited.write),
  };
}

/** Lists of k + 1 as lists of k: without the query's own row, or, where that is not among them, without the last. */
function withoutSelf({ rows, distances }: Answers, first: number, k: number): Answers {
  const width = k + 1;
  const count = rows.length / width;
  const kept: Answers = { rows: new Uint32Array(count * k), distances: new Float32Array(count * k) };
  for (let q = 0; q < count; q++) {
    const own = rows.subarray(q * width, (q + 1) * width).indexOf(first + q);
    const gap = own < 0 ? k : own;
    for (let i = 0; i < k; i++) {
      const at = q * width + (i < gap ? i : i + 1);
      kept.rows[q * k + i] = rows[at] ?? 0xffffffff;
      kept.distances[q * k + i] = distances[at] ?? Infinity;
    }
  }
  return kept;
}

function told(out: string, count: number, { queriesPerSecond, read, compute, write }: Spent): string {
  const percent = (part: number): string => `${Math.round(part * 100)} %`;
  return `${count.toLocaleString("en")} queries → ${out}: ${queriesPerSecond.toLocaleString("en")} queries/s; waited ${percent(read)} for reading, ${percent(compute)} for answers, ${percent(write)} for writing\n`;
}
