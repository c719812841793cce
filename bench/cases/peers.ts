/** nearfield beside every peer that searches vectors in JavaScript, one thread each. */
import type { CaseGroup, Contender } from "./case.ts";
import { CLUSTERED, GAUSSIAN, GLOVE, WORDNET } from "./data.ts";

const FLAT: readonly Contender[] = [
  { name: "nearfield", engine: "nearfield", precision: "f32", threads: 1 },
  { name: "nearfield full", engine: "nearfield", precision: "f32", threads: 1, scan: "full" },
  { name: "usearch f32", engine: "usearch", precision: "f32", threads: 1 },
  { name: "onnxruntime", engine: "onnxruntime", precision: "f32", threads: 1 },
  { name: "onnxruntime-web", engine: "onnxruntime-web", precision: "f32", threads: 1 },
  { name: "hnswlib", engine: "hnswlib", precision: "f32", threads: 1 },
  { name: "simsimd", engine: "simsimd", precision: "f32", threads: 1 },
  { name: "sqlite-vec", engine: "sqlite-vec", precision: "f32", threads: 1 },
  { name: "lancedb", engine: "lancedb", precision: "f32", threads: 1 },
  { name: "zvec", engine: "zvec", precision: "f32", threads: 1 },
  { name: "tfjs wasm", engine: "tfjs-wasm", precision: "f32", threads: 1 },
  { name: "tfjs cpu", engine: "tfjs-cpu", precision: "f32", threads: 1 },
];

/**
 * These hold JavaScript objects for each vector (vectra: an array of doubles; orama: the document with one, and the vector
 * beside it) or take them as such (voy): a million would be gigabytes of heap and minutes to fill, so small sets only.
 */
const OBJECTS: readonly Contender[] = [
  { name: "voy", engine: "voy", precision: "f32", threads: 1, isApproximate: true },
  { name: "vectra", engine: "vectra", precision: "f32", threads: 1 },
  { name: "orama", engine: "orama", precision: "f32", threads: 1 },
];

const SEARCHES: CaseGroup["searches"] = [
  [1, 10],
  [16, 10],
  [256, 10],
];

export const PEERS_CASES: readonly CaseGroup[] = [
  { data: WORDNET, metric: "cosine", searches: SEARCHES, contenders: [...FLAT, ...OBJECTS], base: "usearch f32" },
  { data: GAUSSIAN, metric: "cosine", searches: SEARCHES, contenders: [...FLAT, ...OBJECTS], base: "usearch f32" },
  { data: GLOVE, metric: "cosine", searches: SEARCHES, contenders: FLAT, base: "usearch f32" },
  { data: CLUSTERED, metric: "euclidean", searches: SEARCHES, contenders: FLAT, base: "usearch f32" },
];
