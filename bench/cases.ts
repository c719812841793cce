/**
 * What the CPU is measured on. Cases are data; those of one set of vectors stand together, so that
 * it is made and each index filled once. A contender is an engine and how it is set up.
 */
import type { FloatMetric, Precision } from "../src/core/metric.ts";

/** gaussian: hard, no structure to use. clustered, bits: clustered.ts. The others are real: peers/vectors.ts. */
type Source = "gaussian" | "clustered" | "bits" | "glove" | "mnist" | "wordnet";

export interface DataShape {
  readonly source: Source;
  /** Of the base, without the held-out queries. */
  readonly rows: number;
  readonly dimensions: number;
}

export interface Contender {
  readonly name: string;
  readonly engine: "nearfield" | "usearch" | "onnxruntime";
  /** How rows are stored; peers call it quantisation. */
  readonly precision: Precision;
  readonly threads: number;
  /** nearfield's option; default "auto". */
  readonly scan?: "full" | "certified";
  /** False: nearfield's workers hold their rows in memory of their own, as on a page that is not isolated. */
  readonly sharesMemory?: false;
  /** Only this share of the rows may be found, by a RowSet (eligible.ts); default: all. Of nearfield. */
  readonly eligibleShare?: number;
  /** nearfield's; default "cpu". */
  readonly backend?: "gpu";
}

export interface CaseGroup {
  readonly data: DataShape;
  readonly metric: FloatMetric | "hamming";
  readonly searches: readonly (readonly [batch: number, k: number])[];
  readonly contenders: readonly Contender[];
  /** Name of the contender that ratios are to. */
  readonly base?: string;
}

export interface Case {
  readonly data: DataShape;
  readonly metric: FloatMetric | "hamming";
  readonly batch: number;
  readonly k: number;
}

/** Held-out vectors, so the most that a batch can have. */
export const QUERIES = 256;
const M = 1_000_000;

/** One thread each. */
const ONE_THREAD: readonly Contender[] = [
  { name: "nearfield", engine: "nearfield", precision: "f32", threads: 1 },
  { name: "nearfield full", engine: "nearfield", precision: "f32", threads: 1, scan: "full" },
  { name: "nearfield i8", engine: "nearfield", precision: "i8", threads: 1 },
  { name: "usearch f32", engine: "usearch", precision: "f32", threads: 1 },
  { name: "usearch i8", engine: "usearch", precision: "i8", threads: 1 },
  { name: "onnxruntime", engine: "onnxruntime", precision: "f32", threads: 1 },
];

/** usearch's JavaScript exactSearch takes f32, f64 and i8 only. */
const ONE_THREAD_BITS: readonly Contender[] = [
  { name: "nearfield b1", engine: "nearfield", precision: "b1", threads: 1 },
];

const THREADS: readonly Contender[] = [1, 2].flatMap((threads): Contender[] => [
  { name: `nearfield ${threads}t`, engine: "nearfield", precision: "f32", threads },
  { name: `nearfield ${threads}t own memory`, engine: "nearfield", precision: "f32", threads, sharesMemory: false },
  { name: `usearch f32 ${threads}t`, engine: "usearch", precision: "f32", threads },
]);

const GAUSSIAN: DataShape = { source: "gaussian", rows: 100_000, dimensions: 384 };
const CLUSTERED: DataShape = { source: "clustered", rows: M, dimensions: 128 };

export const SUITES: Readonly<Record<"cpu" | "threads", readonly CaseGroup[]>> = {
  cpu: [
    {
      data: GAUSSIAN,
      metric: "cosine",
      searches: [
        [1, 10],
        [256, 10],
        [256, 1000],
      ],
      contenders: ONE_THREAD,
      base: "usearch f32",
    },
    {
      data: { source: "glove", rows: 341_479 - QUERIES, dimensions: 100 },
      metric: "cosine",
      searches: [
        [1, 10],
        [256, 10],
      ],
      contenders: ONE_THREAD,
      base: "usearch f32",
    },
    {
      data: { source: "mnist", rows: 60_000 - QUERIES, dimensions: 784 },
      metric: "euclidean",
      searches: [
        [1, 10],
        [256, 10],
      ],
      contenders: ONE_THREAD,
      base: "usearch f32",
    },
    {
      data: { source: "wordnet", rows: 20_000 - QUERIES, dimensions: 384 },
      metric: "cosine",
      searches: [
        [1, 10],
        [256, 10],
      ],
      contenders: ONE_THREAD,
      base: "usearch f32",
    },
    {
      data: CLUSTERED,
      metric: "euclidean",
      searches: [
        [1, 10],
        [64, 10],
      ],
      contenders: ONE_THREAD,
      base: "usearch f32",
    },
    {
      data: { source: "bits", rows: M, dimensions: 1024 },
      metric: "hamming",
      searches: [
        [1, 10],
        [64, 10],
      ],
      contenders: ONE_THREAD_BITS,
    },
  ],
  threads: [
    {
      data: GAUSSIAN,
      metric: "cosine",
      searches: [
        [1, 10],
        [256, 10],
      ],
      contenders: THREADS,
      base: "nearfield 1t",
    },
    {
      data: CLUSTERED,
      metric: "euclidean",
      searches: [
        [1, 10],
        [64, 10],
      ],
      contenders: THREADS,
      base: "nearfield 1t",
    },
  ],
};

/** Names a case, e.g. `gaussian-100000x384-cosine-b256-k10`: what `--only` is matched with. */
export function caseKey({ data, metric, batch, k }: Case): string {
  return `${data.source}-${data.rows}x${data.dimensions}-${metric}-b${batch}-k${k}`;
}

export function casesOf({ data, metric, searches }: CaseGroup): Case[] {
  return searches.map(([batch, k]) => ({ data, metric, batch, k }));
}

/** The groups with only those cases whose key contains `part`; groups without any fall away. */
export function onlyCases(groups: readonly CaseGroup[], part: string): CaseGroup[] {
  return groups
    .map((group) => ({
      ...group,
      searches: casesOf(group)
        .filter((c) => caseKey(c).includes(part))
        .map((c) => [c.batch, c.k] as const),
    }))
    .filter((group) => group.searches.length > 0);
}

/** The same on at most so many rows: to try a run quickly, or to fit a page. k shrinks along. */
export function limitRows(groups: readonly CaseGroup[], most: number): CaseGroup[] {
  return groups.map((group) => {
    const rows = Math.min(group.data.rows, most);
    return {
      ...group,
      data: { ...group.data, rows },
      searches: group.searches.map(([batch, k]) => [batch, Math.min(k, rows)] as const),
    };
  });
}
