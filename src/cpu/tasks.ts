/** What the host asks of a scanner, in a worker or on its own thread, and what it answers: plain data, made to be posted. */
import type { Eligibility, QueryVectors } from "../core/backend.ts";
import type { TopK } from "../core/topk.ts";
import type { KernelLevel } from "./kernels.ts";

/** A block as a task names it. */
export interface TaskBlock {
  readonly block: number;
  readonly rowCount: number;
  readonly minNorm: number;
  readonly maxNorm: number;
}

export interface TaskQueries {
  readonly store: number;
  readonly count: number;
  /** [count × stride] words, as given. */
  readonly queries: QueryVectors;
  readonly norms: Float64Array;
  readonly wanted: Uint32Array;
  readonly maxDistances: Float32Array;
}

export interface ScanTask extends TaskQueries {
  readonly blocks: readonly TaskBlock[];
  readonly eligibilities: readonly Pick<Eligibility, "bits" | "rowCount">[];
  readonly eligibilityOf: Uint32Array;
}

export interface SettleTask extends TaskQueries {
  /** Candidates of query q: `rows[starts[q] … starts[q + 1] − 1]`, distinct and eligible. */
  readonly starts: Uint32Array;
  readonly rows: Uint32Array;
}

export interface TaskResult {
  readonly topK: TopK;
  /** [count] canonical distances computed for survivors and candidates. */
  readonly settled: Uint32Array;
  /** Rows scanned, once for each query. */
  readonly scanned: number;
  readonly level: KernelLevel;
  /** Spans that were estimated, and spans whose every distance was computed. */
  readonly spansF32: number;
  readonly spansCanonical: number;
}
