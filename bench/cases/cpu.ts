/** nearfield as it is, with a full scan and with i8 rows, beside the two fastest exact peers: one thread each. */
import { type CaseGroup, type Contender, QUERIES } from "./case.ts";
import { CLUSTERED, GAUSSIAN, GLOVE, WORDNET } from "./data.ts";

const CONTENDERS: readonly Contender[] = [
  { name: "nearfield", engine: "nearfield", precision: "f32", threads: 1 },
  { name: "nearfield full", engine: "nearfield", precision: "f32", threads: 1, scan: "full" },
  { name: "nearfield i8", engine: "nearfield", precision: "i8", threads: 1 },
  { name: "usearch f32", engine: "usearch", precision: "f32", threads: 1 },
  { name: "usearch i8", engine: "usearch", precision: "i8", threads: 1 },
  { name: "onnxruntime", engine: "onnxruntime", precision: "f32", threads: 1 },
];

/** usearch's JavaScript exactSearch takes f32, f64 and i8 only. */
const BITS_CONTENDERS: readonly Contender[] = [
  { name: "nearfield b1", engine: "nearfield", precision: "b1", threads: 1 },
];

export const CPU_CASES: readonly CaseGroup[] = [
  {
    data: GAUSSIAN,
    metric: "cosine",
    searches: [
      [1, 10],
      [256, 10],
      [256, 1000],
    ],
    contenders: CONTENDERS,
    base: "usearch f32",
  },
  {
    data: GLOVE,
    metric: "cosine",
    searches: [
      [1, 10],
      [256, 10],
    ],
    contenders: CONTENDERS,
    base: "usearch f32",
  },
  {
    data: { source: "mnist", rows: 60_000 - QUERIES, dimensions: 784 },
    metric: "euclidean",
    searches: [
      [1, 10],
      [256, 10],
    ],
    contenders: CONTENDERS,
    base: "usearch f32",
  },
  {
    data: WORDNET,
    metric: "cosine",
    searches: [
      [1, 10],
      [256, 10],
    ],
    contenders: CONTENDERS,
    base: "usearch f32",
  },
  {
    data: CLUSTERED,
    metric: "euclidean",
    searches: [
      [1, 10],
      [64, 10],
    ],
    contenders: CONTENDERS,
    base: "usearch f32",
  },
  {
    data: { source: "bits", rows: 1_000_000, dimensions: 1024 },
    metric: "hamming",
    searches: [
      [1, 10],
      [64, 10],
    ],
    contenders: BITS_CONTENDERS,
  },
];
