/**
 * What the CPU is measured on. Cases are data (suites.ts); those of one set of vectors stand together, so that
 * it is made and each index filled once. A contender is an engine and how it is set up.
 */
import type { FloatMetric, Precision } from "../../src/core/metric.ts";

/** gaussian: hard, no structure to use. clustered, bits: clustered.ts. The others are real: ../peers/vectors.ts. */
type Source = "gaussian" | "clustered" | "bits" | "glove" | "mnist" | "wordnet";

export interface DataShape {
  readonly source: Source;
  /** Of the base, without the held-out queries. */
  readonly rows: number;
  readonly dimensions: number;
}

/** What opens the others: peers/engines.ts. */
export type Engine =
  | "nearfield"
  | "usearch"
  | "hnswlib"
  | "onnxruntime"
  | "onnxruntime-web"
  | "simsimd"
  | "sqlite-vec"
  | "lancedb"
  | "zvec"
  | "voy"
  | "vectra"
  | "orama"
  | "tfjs-wasm"
  | "tfjs-cpu";

export interface Contender {
  readonly name: string;
  readonly engine: Engine;
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
  /** The engine promises no exact answer: its recall is told, whatever it is. */
  readonly isApproximate?: true;
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
/** Names a case, e.g. `gaussian-100000x384-cosine-b256-k10`: what `--only` is matched with. */
export function caseKey({ data, metric, batch, k }: Case): string {
  return `${data.source}-${data.rows}x${data.dimensions}-${metric}-b${batch}-k${k}`;
}

/** Whether its answers must be the exact ones for the rows as given. */
export function promisesExact({ precision, isApproximate }: Contender): boolean {
  return isApproximate === undefined && (precision === "f32" || precision === "b1");
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
