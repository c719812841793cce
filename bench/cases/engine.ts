/** What `npm run bench` searches: real vectors and clustered ones, every precision, single queries to batches, with filters and without. */
import { type CaseGroup, type Contender, QUERIES } from "./case.ts";

const F32: Contender = { name: "f32", engine: "nearfield", precision: "f32", threads: 1 };

const CONTENDERS: readonly Contender[] = [
  F32,
  { ...F32, name: "f32 full scan", scan: "full" },
  { ...F32, name: "f16", precision: "f16" },
  { ...F32, name: "i8", precision: "i8" },
  { ...F32, name: "f32, 10 % eligible", eligibleShare: 0.1 },
  { ...F32, name: "f32, 1 % eligible", eligibleShare: 0.01 },
];

const SEARCHES = [
  [1, 10],
  [16, 10],
  [256, 10],
  [1, 100],
  [256, 100],
] as const;

const M = 1_000_000;
const base = F32.name;

export const ENGINE_GROUPS: readonly CaseGroup[] = [
  {
    data: { source: "glove", rows: 341_479 - QUERIES, dimensions: 100 },
    metric: "cosine",
    searches: SEARCHES,
    contenders: CONTENDERS,
    base,
  },
  {
    data: { source: "mnist", rows: 60_000 - QUERIES, dimensions: 784 },
    metric: "euclidean",
    searches: SEARCHES,
    contenders: CONTENDERS,
    base,
  },
  ...[384, 768].map(
    (dimensions): CaseGroup => ({
      data: { source: "clustered", rows: 100_000, dimensions },
      metric: "cosine",
      searches: SEARCHES,
      contenders: CONTENDERS,
      base,
    }),
  ),
  // The same data at three sizes: latency against rows.
  ...[10_000, 100_000, M].map(
    (rows): CaseGroup => ({
      data: { source: "clustered", rows, dimensions: 128 },
      metric: "euclidean",
      searches: SEARCHES,
      contenders: CONTENDERS,
      base,
    }),
  ),
];
