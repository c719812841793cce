/** What queries are scored against: a file, whose rows are numbered, or a collection, whose records are numbered in the order of `scan` and `export`. */
import { stat } from "node:fs/promises";
import type { Collection } from "../collection/contract.ts";
import type { Filter } from "../collection/filter.ts";
import { openCollectionOn } from "../collection/open-collection.ts";
import { NearfieldError } from "../core/errors.ts";
import type { VectorBatch, VectorSource } from "../io/vector-source.ts";
import { openVectors } from "../io/open-source.ts";
import { collections } from "../node-platform.ts";
import { type BaseOptions, indexOfFile } from "./base-index.ts";
import type { Terminal } from "./terminal.ts";

/** [queries × k] each; where there are fewer rows, 0xffffffff at distance +Infinity. */
export interface Answers {
  readonly rows: Uint32Array;
  readonly distances: Float32Array;
}

export interface ScoreBase {
  search(vectors: Float32Array, k: number, maxDistance: number | undefined): Promise<Answers>;
  /** Ids by row number, of a collection. */
  readonly ids: readonly string[] | undefined;
  /** Of a collection: which one is searched. */
  readonly version: number | undefined;
  close(): Promise<void>;
}

/** Whether a path is that of a collection. */
async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}

type ScoreBaseOptions = Omit<BaseOptions, "metric" | "precision"> &
  Partial<Pick<BaseOptions, "metric" | "precision">> & { readonly filter?: Filter | undefined };

export async function openBase(options: ScoreBaseOptions, terminal: Terminal): Promise<ScoreBase> {
  const { metric, precision } = options;
  if (await isFolder(options.base)) {
    if (metric !== undefined || precision !== undefined) {
      throw new NearfieldError("INVALID_OPTION", {
        got: `--${metric === undefined ? "precision" : "metric"} with the collection ${options.base}`,
        expected: "a file as the base",
        remedy: "leave it out: a collection has the metric and the precision that it was made with",
      });
    }
    return collectionBase(options.base, options.dimensions, options.filter);
  }
  if (options.filter !== undefined) {
    throw new NearfieldError("INVALID_OPTION", {
      got: `--filter with the file ${options.base}`,
      expected: "a collection as the base",
      remedy: "import the file into a collection, or leave the filter out",
    });
  }
  const index = await indexOfFile({ ...options, metric: metric ?? "cosine", precision: precision ?? "f32" }, terminal);
  return {
    ids: undefined,
    version: undefined,
    async search(vectors, k, maxDistance) {
      const result = await index.search(vectors, { k, ...(maxDistance === undefined ? {} : { maxDistance }) });
      return widened(result.queries, k, result.k, result.rows, result.distances);
    },
    close: () => index.close(),
  };
}

async function collectionBase(location: string, dimensions: number, filter: Filter | undefined): Promise<ScoreBase> {
  const collection = await openCollectionOn(collections, location, { readOnly: true });
  try {
    if (collection.dimensions !== dimensions) {
      throw new NearfieldError("INVALID_DIMENSIONS", {
        got: `queries of ${dimensions} elements`,
        expected: `${collection.dimensions}, as ${location} has`,
        remedy: "give queries of the model that made the collection's vectors",
      });
    }
    const ids: string[] = [];
    const rowOf = new Map<string, number>();
    for await (const records of collection.scan()) {
      for (const { id } of records) {
        rowOf.set(id, ids.length);
        ids.push(id);
      }
    }
    return {
      ids,
      version: collection.version,
      async search(vectors, k, maxDistance) {
        const { results } = await collection.queryBatch({
          vectors,
          k,
          include: [],
          ...(filter === undefined ? {} : { filter }),
          ...(maxDistance === undefined ? {} : { maxDistance }),
        });
        const answers = noAnswers(results.length * k);
        for (const [q, matches] of results.entries()) {
          for (const [i, { id, distance }] of matches.entries()) {
            answers.rows[q * k + i] = rowOf.get(id) ?? 0xffffffff;
            answers.distances[q * k + i] = distance;
          }
        }
        return answers;
      },
      close: () => collection.close(),
    };
  } catch (error) {
    await collection.close();
    throw error;
  }
}

function noAnswers(length: number): Answers {
  return { rows: new Uint32Array(length).fill(0xffffffff), distances: new Float32Array(length).fill(Infinity) };
}

/** Lists of `width` entries as lists of `k`: an index with fewer rows than k answers with fewer. */
function widened(queries: number, k: number, width: number, rows: Uint32Array, distances: Float32Array): Answers {
  if (width === k) return { rows, distances };
  const answers = noAnswers(queries * k);
  for (let q = 0; q < queries; q++) {
    answers.rows.set(rows.subarray(q * width, (q + 1) * width), q * k);
    answers.distances.set(distances.subarray(q * width, (q + 1) * width), q * k);
  }
  return answers;
}

/** The queries: a file, or all records of a collection in the order of `scan`. */
export async function openQueries(path: string): Promise<VectorSource & { readonly version?: number }> {
  if (!(await isFolder(path))) return openVectors(path);
  const collection = await openCollectionOn(collections, path, { readOnly: true, backend: "cpu" });
  return {
    path,
    format: "collection",
    version: collection.version,
    dimensions: collection.dimensions,
    rowCount: collection.size,
    sizeBytes: 0,
    batches: ({ from = 0, size }) => recordsOf(collection, from, size),
    close: () => collection.close(),
  };
}

async function* recordsOf(collection: Collection, from: number, size: number): AsyncGenerator<VectorBatch, void, void> {
  const { dimensions, precision } = collection;
  if (precision === "b1") {
    throw new NearfieldError("UNSUPPORTED", {
      got: `${collection.location} of packed bits as queries`,
      expected: "vectors of floats",
      remedy: "export it and give the file",
    });
  }
  let first = 0;
  for await (const records of collection.scan({ batch: size })) {
    const end = first + records.length;
    const kept = records.slice(Math.max(0, from - first));
    if (kept.length > 0) {
      const at = end - kept.length;
      const vectors = new Float32Array(kept.length * dimensions);
      for (const [i, { vector }] of kept.entries()) vectors.set(vector, i * dimensions);
      const rows = Uint32Array.from({ length: kept.length }, (_, i) => at + i);
      yield { first: at, count: kept.length, rows, vectors, ids: kept.map(({ id }) => id), rejected: [] };
    }
    first = end;
  }
}
