/**
 * zvec with a flat index, which is exact, optimised after filling (before that it searches its write buffer, slower). Its
 * synchronous query, one at a time: it has none for a batch. Threads are set once a process.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type OpenPeer, floatVectors, metricOf } from "./peer.ts";
import { oneByOne } from "./one-by-one.ts";

interface Collection {
  insertSync(documents: readonly object[]): readonly { readonly ok: boolean; readonly message: string }[];
  optimizeSync(options: { readonly concurrency: number }): void;
  querySync(query: object): readonly { readonly id: string }[];
  closeSync(): void;
}

interface Zvec {
  readonly ZVecDataType: { readonly VECTOR_FP32: number };
  readonly ZVecIndexType: { readonly FLAT: number };
  readonly ZVecMetricType: { readonly COSINE: number; readonly L2: number };
  readonly ZVecCollectionSchema: new (options: object) => object;
  ZVecInitialize(options: { readonly queryThreads: number; readonly optimizeThreads: number }): void;
  ZVecCreateAndOpen(path: string, schema: object): Collection;
}

/** Documents an insert: the most that it takes is 1024. */
const INSERTED = 1000;
let isInitialized = false;

export const openZvec: OpenPeer = (packages, contender, metric, vectors) => {
  const { dimensions, rowCount, row } = floatVectors(contender, vectors);
  const zvec = packages.require("@zvec/zvec") as Zvec;
  const { COSINE, L2 } = zvec.ZVecMetricType;
  const metricType = metricOf(contender, metric, { cosine: COSINE, euclidean: L2 });
  const { threads } = contender;
  if (!isInitialized) zvec.ZVecInitialize({ queryThreads: threads, optimizeThreads: threads });
  isInitialized = true;
  const folder = mkdtempSync(join(tmpdir(), "nearfield-zvec-"));
  const schema = new zvec.ZVecCollectionSchema({
    name: "rows",
    vectors: {
      name: "vector",
      dataType: zvec.ZVecDataType.VECTOR_FP32,
      dimension: dimensions,
      indexParams: { indexType: zvec.ZVecIndexType.FLAT, metricType },
    },
  });
  const collection = zvec.ZVecCreateAndOpen(join(folder, "rows"), schema);
  for (let first = 0; first < rowCount; first += INSERTED) {
    const documents = Array.from({ length: Math.min(INSERTED, rowCount - first) }, (_, i) => ({
      id: `${first + i}`,
      vectors: { vector: row(first + i) },
    }));
    const refused = collection.insertSync(documents).find(({ ok }) => !ok);
    if (refused !== undefined) throw new Error(`zvec refused a row: ${refused.message}`);
  }
  collection.optimizeSync({ concurrency: threads });
  return oneByOne(contender, dimensions, {
    query: (vector) => vector,
    search: (vector, topk) => collection.querySync({ fieldName: "vector", vector, topk, outputFields: [] }),
    rows: (found) => found.map(({ id }) => Number(id)),
    close: () => {
      collection.closeSync();
      rmSync(folder, { recursive: true, force: true });
    },
  });
};
