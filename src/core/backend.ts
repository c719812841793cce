/**
 * The seam between the engine (L2) and the two backends (L1).
 *
 * It is: matrices of queries, sets of rows, numbers of rows. It is not: records, ids, metadata,
 * options, or anything that knows a user. The CPU backend is *exact*: it owns the rows and has
 * the last word on every distance. The GPU backend is a *proposer*: it scans its own copies and
 * names, for each query, every row that could belong to the answer. The engine lets the CPU
 * backend settle what the GPU backend proposed, so both give the same bits.
 */
import type { FloatMetric } from "./metric.ts";
import type { TopK } from "./topk.ts";

/** What serves an index, and why. `limits` and `features` are the GPU device's, empty on the CPU. */
export interface BackendInfo {
  readonly kind: "gpu" | "cpu";
  /** Adapter or CPU kernel name, for people. */
  readonly name: string;
  /** Why this backend was chosen. */
  readonly reason: string;
  /** True for a GPU adapter that is a software rasteriser. */
  readonly software: boolean;
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
  /** CPU workers; absent on the GPU. */
  readonly threads?: number;
  /** CPU kernel level; absent on the GPU. */
  readonly simd?: "simd128" | "none";
}

/** Which rows a query may find: one immutable bitmap, shared by all queries that have the same. */
export interface Eligibility {
  /** ceil(rowCount / 32) words; bits beyond `rowCount` are zero. Never written after creation. */
  readonly bits: Uint32Array;
  readonly rowCount: number;
  /** Number of set bits. */
  readonly count: number;
}

/** Queries to answer together over one row store. */
export interface Batch {
  readonly count: number;
  /** [count × stride], as given by the caller, zero padded. */
  readonly queries: Float32Array;
  /** [count] Euclidean norms in float64. */
  readonly norms: Float64Array;
  /** [count] rows wanted: min(k asked, eligible rows), at least 1. */
  readonly wanted: Uint32Array;
  /** The largest of `wanted`. */
  readonly k: number;
  /** [count] canonical distances beyond which rows do not count; +Infinity for none. */
  readonly maxDistances: Float32Array;
  readonly eligibilities: readonly Eligibility[];
  /** [count] index into `eligibilities`. */
  readonly eligibilityOf: Uint32Array;
}

/** For each query the rows that could belong to its answer, or null where the scan could not bound them. */
export interface Proposal {
  /** [count]; each a set of distinct eligible rows that includes the whole answer. */
  readonly candidates: readonly (Uint32Array | null)[];
  /** [count] 1 where the query's survivors overflowed the first read-back. */
  readonly rescans: Uint8Array;
}

/** A range of rows that changed together: the unit of synchronisation between row store and copies of it. */
export interface RowBlock {
  readonly firstRow: number;
  /** Raised by each overwrite of rows already there; appending leaves it. */
  readonly version: number;
  /** Norms of the rows lie between these (float64; of non-zero rows for the smaller). */
  readonly minNorm: number;
  readonly maxNorm: number;
}

/** The row store as copies of it see it: read-only, by block. */
export interface RowSource {
  readonly dimensions: number;
  readonly stride: number;
  readonly metric: FloatMetric;
  /** Rows of a block; a multiple of 32, the last block may be partly filled. */
  readonly blockRows: number;
  readonly blocks: readonly RowBlock[];
  /** Rows written and committed. */
  readonly rowCount: number;
  /** The largest norm of any row. */
  readonly maxNorm: number;
  /** A view of rows `first … first + count − 1`, which lie in one block: [count × stride]. Valid until the next await. */
  view(first: number, count: number): Float32Array;
  /** Row terms of the same rows: 1/‖x‖ for cosine, ‖x‖ otherwise, rounded to float32. Same validity. */
  terms(first: number, count: number): Float32Array;
}

/** Proposes candidates from its own copies of the rows. One proposal runs at a time. */
export interface Proposer {
  readonly info: BackendInfo;
  /** Brings the copies up to the first `rowCount` rows of `source`; running it early only saves time later. */
  sync(source: RowSource): Promise<void>;
  /** Rejects with DeviceLostError when the device went away, with NearfieldError OUT_OF_MEMORY when it is too small. */
  propose(source: RowSource, batch: Batch): Promise<Proposal>;
  /** Drops the copies of `source`. */
  release(source: RowSource): void;
  readonly stats: GpuStats;
  /** Idempotent. Leaves no buffer behind. */
  close(): void;
}

/** Thrown by a proposer whose device is gone: the engine finishes on the CPU and recovers. */
export class DeviceLostError extends Error {
  override readonly name = "DeviceLostError";
}

/** Counters of the GPU backend since the index was created; bytes are of this moment. */
export interface GpuStats {
  readonly submits: number;
  readonly dispatches: number;
  readonly uploadedBytes: number;
  readonly readBackBytes: number;
  readonly buffersCreated: number;
  readonly bytesAllocated: number;
  /** Bytes of scan copies kept on the device. */
  readonly residentBytes: number;
  /** Rows sent anew for each scan because they exceed the memory budget. */
  readonly streamedRows: number;
  readonly shards: number;
  /** Dispatches by kernel name. */
  readonly kernels: Readonly<Record<string, number>>;
}

/** Counters of the CPU backend since the index was created. */
export interface CpuStats {
  /** Workers alive now. */
  readonly workers: number;
  readonly crashes: number;
  /** Rows scanned, once for each query, in workers and on the caller's thread. */
  readonly rowsScannedInWorkers: number;
  readonly rowsScannedInPage: number;
  /** Rows whose canonical distance was computed: survivors of a scan, or proposals settled. */
  readonly rowsSettled: number;
  /** Bytes of the row store. */
  readonly storeBytes: number;
  /** Spans of rows scanned, by kernel name. */
  readonly kernels: Readonly<Record<string, number>>;
}

/** The exact answers of a batch, and what finding them took. */
export interface ExactAnswer {
  readonly topK: TopK;
  /** [count] rows whose canonical distance was computed. */
  readonly settled: Uint32Array;
}

/** The row store as its single writer, the engine, sees it. */
export interface Rows extends RowSource {
  readonly bytes: number;
  /** Makes room for `row`. Throws OUT_OF_MEMORY, leaving the rows as they are. */
  reserve(row: number): void;
  /** Completes a row whose elements were written through `view`. `norm`: its Euclidean norm in float64. */
  finishRow(row: number, norm: number): void;
  /** Makes the rows finished since, and the first `rowCount` rows, part of the store; rows beyond are scratch. */
  commit(rowCount: number): void;
  /** Forgets rows that were finished and not committed. */
  discard(): void;
  /** Says that a committed row was overwritten: copies of its block are stale. */
  touch(row: number): void;
}

/** Answers exactly, from the rows themselves. Takes only stores that it created. */
export interface ExactBackend {
  readonly info: Pick<BackendInfo, "name" | "threads" | "simd">;
  readonly stats: Omit<CpuStats, "storeBytes">;
  createRows(): Rows;
  /** The exact answer of every query, by scanning all rows. Rejects with WORKER_FAILED when no worker is left. */
  search(rows: Rows, batch: Batch): Promise<ExactAnswer>;
  /** The exact answer of every query among the rows proposed for it; none of the proposals may be null. */
  settle(rows: Rows, batch: Batch, proposal: Proposal): Promise<ExactAnswer>;
  release(rows: Rows): void;
  /** Fault injection: kills a worker, if there are any. */
  crashWorker(): Promise<void>;
  close(): void;
}

/** A proposer and the life of its device. */
export interface OpenProposer {
  readonly proposer: Proposer;
  /** Resolves with the reason when the device goes away, whoever made it. */
  readonly lost: Promise<string>;
  /** Fault injection: loses the device. */
  lose(): void;
}

export interface ProposerRequest {
  /** Take a software rasteriser too. */
  readonly acceptSoftware: boolean;
  /** The caller's own device; never destroyed by us. */
  readonly device?: GPUDevice;
  readonly memoryBudgetBytes: number | undefined;
  readonly reason: string;
}

/** Opens the GPU backend, or says why there is none that fits. */
export type ProposerFactory = (
  request: ProposerRequest,
) => Promise<{ readonly open: OpenProposer } | { readonly refused: string; readonly cause?: unknown }>;
