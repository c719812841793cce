/** What the host asks of a scanner, in a worker or on its own thread, and what it answers: plain data, made to be posted. */
import type { Eligibility, QueryVectors } from "../core/backend.ts";
import type { TopK } from "../core/topk.ts";
import type { KernelLevel } from "./kernels.ts";

/** A block as a task names it. */
export interface TaskBlock {
  readonly block: number;
  readonly version: number;
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

/** Codes to be made: of the first `rowCount` rows of each block, as far as they are missing. */
export interface EncodeTask {
  readonly store: number;
  readonly blocks: readonly Pick<TaskBlock, "block" | "version" | "rowCount">[];
}

export interface TaskResult {
  readonly topK: TopK;
  /** [count] canonical distances computed for survivors and candidates. */
  readonly settled: Uint32Array;
  /** Rows scanned, once for each query. */
  readonly scanned: number;
  readonly level: KernelLevel;
  /** Spans by the stem of the kernel that passed over them. */
  readonly spans: Readonly<Record<string, number>>;
  readonly codes: CodeUse;
}

/** What a scan got out of codes. */
export interface CodeUse {
  /** Of the rows scanned, those judged by codes, and those that were to be and had none; once for each query. */
  readonly judged: number;
  readonly missing: number;
  /** Of those judged, the ones let through. */
  readonly survivors: number;
  /** [count] 1 where codes let through so much that the rest was scanned in full. */
  readonly rescans: Uint8Array;
  /** Directions that the codes have; 0 when none were used. */
  readonly directions: number;
}
