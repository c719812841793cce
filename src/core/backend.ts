/**
 * The seam between the engine (L2) and the two backends (L1).
 *
 * It is: matrices of queries, sets of rows, numbers of rows. It is not: records, ids, metadata,
 * options, or anything that knows a user. The CPU backend is *exact*: it owns the rows and has
 * the last word on every distance. The GPU backend is a *proposer*: it scans its own copies and
 * names, for each query, every row that could belong to the answer. The engine lets the CPU
 * backend settle what the GPU backend proposed, so both give the same bits.
 */
import type { LearnRequest, LearntProjection } from "./learn.ts";
import type { RowReader } from "./matrix.ts";
import type { Metric, Precision } from "./metric.ts";
import type { NormRange } from "./norm-range.ts";
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
  readonly simd?: "relaxed-simd" | "simd128" | "none";
}

/** Which rows a query may find: one immutable bitmap, shared by all queries that have the same. */
export interface Eligibility {
  /** ceil(rowCount / 32) words; bits beyond `rowCount` are zero. Never written after creation. */
  readonly bits: Uint32Array;
  readonly rowCount: number;
  /** Number of set bits. */
  readonly count: number;
}

/** 32-bit words of queries: floats as given, or packed bits (Uint32Array, precision b1). Never quantised otherwise. */
export type QueryVectors = Float32Array | Uint32Array;

/** Queries to answer together over one row store. */
export interface Batch {
  readonly count: number;
  /** [count × stride] words, as given by the caller, zero padded. */
  readonly queries: QueryVectors;
  /** [count] Euclidean norms in float64; of b1 the number of set bits. */
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
  /** [count] 1 where rows were ruled out by a scan of codes, 0 where by one in full precision. */
  readonly certified: Uint8Array;
  /** Directions that the codes have; 0 when there were none. */
  readonly directions: number;
}

/** A range of rows that changed together: the unit of synchronisation between row store and copies of it. */
export interface RowBlock extends NormRange {
  readonly firstRow: number;
  /** Raised by each overwrite of rows already there; appending leaves it. */
  readonly version: number;
}

/** The row store as copies of it see it: read-only, by block. */
export interface RowSource {
  readonly dimensions: number;
  readonly precision: Precision;
  readonly metric: Metric;
  /**
   * 32-bit words of a query: dimensions padded so that it covers whole 16-byte chunks of a stored
   * row: f32 a multiple of 4, f16 of 8, i8 of 16 floats; b1 4 words of packed bits per 128 bits.
   */
  readonly stride: number;
  /** Bytes of a stored row, a multiple of 16: f32 4, f16 2, i8 1 byte an element, b1 1 bit; zero padded. */
  readonly rowBytes: number;
  /** Rows of a block; a multiple of 32, the last block may be partly filled. */
  readonly blockRows: number;
  readonly blocks: readonly RowBlock[];
  /** Rows written and committed. */
  readonly rowCount: number;
  /** The largest norm of any row, as stored. */
  readonly maxNorm: number;
  /** A view of stored rows `first … first + count − 1`, which lie in one block: [count × rowBytes]. Valid until the next await. */
  bytes(first: number, count: number): Uint8Array;
  /** Row terms of the same rows: 1/‖x‖ for cosine, ‖x‖ otherwise (of the stored values), rounded to float32; of b1 the number of set bits. Same validity. */
  terms(first: number, count: number): Float32Array;
  /** Scales of the same rows, of i8; empty for the other precisions. Same validity. */
  scales(first: number, count: number): Float32Array;
}

/** Proposes candidates from its own copies of the rows. Proposals may overlap; each sees the rows that its batch names. */
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
  readonly bindGroupsCreated: number;
  readonly bytesAllocated: number;
  /** Bytes of scan copies kept on the device. */
  readonly residentBytes: number;
  /** The most bytes of scan copies there ever were, stream buffers included: within `memoryBudgetBytes`. */
  readonly peakResidentBytes: number;
  /** Rows that scans let through to a full-precision look, summed over the queries. */
  readonly candidates: number;
  /** Milliseconds by kernel, where `withInternals` asked for timestamps and the device has them. */
  readonly kernelMs?: Readonly<Record<string, number>>;
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
  /** Work by kernel name: spans of rows that a `scan_…` passed over, rows that a `distance_…` computed. */
  readonly kernels: Readonly<Record<string, number>>;
  /** Rows judged by their int8 codes, once for each query, and those of them that had to be looked at again. */
  readonly rowsJudged: number;
  readonly survivors: number;
  /** Queries whose codes ruled out too little, so that the rest of the rows was scanned in full. */
  readonly rescans: number;
  /** The int8 codes of the rows there are now; null where rows are scanned in full. */
  readonly codes: CodeStats | null;
}

export interface CodeStats {
  /** Codes of a row: principal directions, or dimensions where rows are coded as they are. */
  readonly directions: number;
  /** Rows that have theirs; the others are scanned in full until they do. */
  readonly codedRows: number;
  /** How far learning directions has come, 0 … 1; null when nothing is being learnt. */
  readonly learning: number | null;
}

/** The exact answers of a batch, and what finding them took. */
export interface ExactAnswer {
  readonly topK: TopK;
  /** [count] rows whose canonical distance was computed. */
  readonly settled: Uint32Array;
  /** [count] how many of its rows a query had judged by codes: 0 none, 1 some, 2 all. */
  readonly certified: Uint8Array;
  /** [count] 1 where codes ruled out too little, so that the rest of the rows was scanned in full. */
  readonly rescans: Uint8Array;
  /** Directions that the codes have; 0 when there were none. */
  readonly directions: number;
}

/** A vector as it is stored. */
export interface StoredVector {
  /** [rowBytes] */
  readonly bytes: Uint8Array;
  /** Of i8; else 0. */
  readonly scale: number;
  /** Euclidean norm of the stored values in float64; of b1 the number of set bits. */
  readonly norm: number;
}

/** The row store as its single writer, the engine, sees it. Rows written are scratch until committed. */
export interface Rows extends RowSource {
  readonly memoryBytes: number;
  /** Makes room for all rows up to `row`. Throws OUT_OF_MEMORY, leaving the rows as they are. */
  reserve(row: number): void;
  /** Stores vector `index` of `reader` as `row`, which has room; or returns why it cannot be stored. */
  write(row: number, reader: RowReader, index: number): string | undefined;
  /** Vector `index` of `reader` as `write` would store it, or why it cannot be stored. */
  encode(reader: RowReader, index: number): StoredVector | string;
  /** A row as it is stored; its bytes are a view, valid until the next await. */
  stored(row: number): StoredVector;
  /** Stores a vector, of a store of the same precision and dimensions, as `row`, which has room. */
  put(row: number, vector: StoredVector): void;
  /**
   * Says that rows of the block of row `first` were filled as stored, terms and scales too, through
   * the views that `bytes`, `terms` and `scales` give of rows with room; their norms lie within `norms`.
   */
  claim(first: number, norms: NormRange): void;
  /** Zeroes the bytes of rows of one block that were filled and are not to be: `write` relies on padding being zero. */
  erase(first: number, count: number): void;
  /** Makes the rows written since, and the first `rowCount` rows, part of the store; rows beyond are scratch. */
  commit(rowCount: number): void;
  /** Forgets rows that were written and not committed. */
  discard(): void;
  /** Says that a committed row was overwritten: copies of its block are stale. */
  touch(row: number): void;
}

/** Answers exactly, from the rows themselves. Takes only stores that it created. */
export interface ExactBackend {
  readonly info: Pick<BackendInfo, "name" | "threads" | "simd">;
  readonly stats: Omit<CpuStats, "storeBytes" | "codes">;
  createRows(): Rows;
  /** Says that rows changed which searches here will scan: begins, in the background, what makes these fast. */
  prepare(rows: Rows): void;
  codesOf(rows: Rows): CodeStats | null;
  /** The exact answer of every query, by scanning all rows. Rejects with WORKER_FAILED when no worker is left. */
  search(rows: Rows, batch: Batch): Promise<ExactAnswer>;
  /** The exact answer of every query among the rows proposed for it; none of the proposals may be null. */
  settle(rows: Rows, batch: Batch, proposal: Proposal): Promise<ExactAnswer>;
  /**
   * Directions of a sample of the store's rows, learnt by a worker, which takes the sample over: for
   * proposers. Undefined where it is stopped or no worker can do it. Rejects where learning fails.
   */
  learn(rows: Rows, request: LearnRequest, isStopped: () => boolean): Promise<LearntProjection | undefined>;
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
  /** How an exact answer is to be found: the caller's option. */
  readonly scan: "auto" | "full" | "certified";
  readonly reason: string;
}

/** What a proposer has learnt for it, by the exact backend's workers ({@link ExactBackend.learn}) for a source that it was given. */
export type LearnDirections = (
  source: RowSource,
  request: LearnRequest,
  isStopped: () => boolean,
) => Promise<LearntProjection | undefined>;

/** Opens the GPU backend, or says why there is none that fits. */
export type ProposerFactory = (
  request: ProposerRequest,
) => Promise<{ readonly open: OpenProposer } | { readonly refused: string; readonly cause?: unknown }>;
