/** One thread and two, with shared memory and without. */
import type { CaseGroup, Contender } from "./case.ts";
import { CLUSTERED, GAUSSIAN } from "./data.ts";

const CONTENDERS: readonly Contender[] = [1, 2].flatMap((threads): Contender[] => [
  { name: `nearfield ${threads}t`, engine: "nearfield", precision: "f32", threads },
  { name: `nearfield ${threads}t own memory`, engine: "nearfield", precision: "f32", threads, sharesMemory: false },
  { name: `usearch f32 ${threads}t`, engine: "usearch", precision: "f32", threads },
]);

export const THREADS_CASES: readonly CaseGroup[] = [
  {
    data: GAUSSIAN,
    metric: "cosine",
    searches: [
      [1, 10],
      [256, 10],
    ],
    contenders: CONTENDERS,
    base: "nearfield 1t",
  },
  {
    data: CLUSTERED,
    metric: "euclidean",
    searches: [
      [1, 10],
      [64, 10],
    ],
    contenders: CONTENDERS,
    base: "nearfield 1t",
  },
];
