/** Answers as callers get them, with the report of how they were obtained. */
import type { TopK } from "../core/topk.ts";

/** How an answer was obtained. */
export interface SearchReport {
  /** The backend that finished most queries; a mix is named in `degraded`. */
  readonly backend: "gpu" | "cpu";
  /** Every query exact, and `scanned` equal to `total`. */
  readonly exact: boolean;
  /** Eligible rows looked at, summed over the queries; ruled out by a bound counts. */
  readonly scanned: number;
  /** Eligible rows, summed over the queries. */
  readonly total: number;
  /** What was amiss, e.g. `"device-lost:finished-on-cpu"`; empty when nothing was. */
  readonly degraded: readonly string[];
  readonly scan: {
    /** How rows were ruled out before their canonical distances were computed. */
    readonly method: "full" | "certified" | "mixed";
    /** Leading dimensions (principal directions) scanned; all of them in a full scan. */
    readonly prefixDimensions: number;
    /** Rows whose canonical distance was computed, summed over the queries. */
    readonly survivors: number;
    /** Queries whose survivors overflowed the first read-back from the GPU. */
    readonly rescans: number;
  };
  /** Queries in the (largest) device batch that answered this call. */
  readonly batch: number;
  /** Waiting to be batched. */
  readonly queuedMs: number;
  /** From the first batch's start to the last one's end. */
  readonly computeMs: number;
  readonly totalMs: number;
}

/** One neighbour. */
export interface Hit {
  readonly row: number;
  readonly distance: number;
}

/** Answers of one `search` call. Arrays are row-major, one line of `k` for each query. */
export interface SearchResult {
  readonly queries: number;
  /** Width of the arrays: min(k asked, rowCount). */
  readonly k: number;
  /** [queries × k] row numbers, 0xffffffff beyond `counts[q]`. */
  readonly rows: Uint32Array;
  /** [queries × k] ascending, +Infinity beyond `counts[q]`. */
  readonly distances: Float32Array;
  /** [queries] rows found. */
  readonly counts: Uint32Array;
  readonly report: SearchReport;
  /** The neighbours of one query (default 0), nearest first. */
  hits(query?: number): Hit[];
}

export function searchResult(queries: number, answer: TopK, report: SearchReport): SearchResult {
  const { k, rows, distances, counts } = answer;
  return {
    queries,
    k,
    rows,
    distances,
    counts,
    report,
    hits: (query = 0) =>
      Array.from({ length: counts[query] ?? 0 }, (_, i) => ({
        row: rows[query * k + i] ?? 0,
        distance: distances[query * k + i] ?? Infinity,
      })),
  };
}
