/** The public contract of an index: what callers see of engine/vector-index.ts. Types only. */
import type { BackendInfo, CpuStats, GpuStats } from "../core/backend.ts";
import type { VectorInput } from "../core/matrix.ts";
import type { Metric, Precision } from "../core/metric.ts";
import type { SliceStats } from "../core/slices.ts";
import type { AddOptions, AddResult } from "./ingest.ts";
import type { SearchOptions } from "./job.ts";
import type { SearchResult } from "./result.ts";

/** Counters and sizes of an index at this moment; cumulative since its creation unless said otherwise. */
export interface IndexStats {
  readonly rows: number;
  readonly removedRows: number;
  readonly searches: number;
  readonly queries: number;
  readonly batches: number;
  readonly largestBatch: number;
  /** Queries waiting now. */
  readonly queuedQueries: number;
  /** Work on the caller's thread, in elements: `largest` is the longest stretch without a turn of the event loop. */
  readonly slices: SliceStats;
  readonly sliceBudget: number;
  readonly cpu: CpuStats;
  /** Of the present device; null on an index without a GPU. */
  readonly gpu: GpuStats | null;
  readonly deviceLosses: number;
}

/**
 * An exact nearest-neighbour index.
 *
 * Rows are numbered from 0 in the order they were added and keep their numbers until `compact`.
 * All methods reject with a {@link NearfieldError}; after `close` its code is CLOSED.
 */
export interface VectorIndex extends AsyncDisposable {
  readonly dimensions: number;
  readonly metric: Metric;
  readonly precision: Precision;
  /** Live rows. */
  readonly size: number;
  /** Row numbers handed out, removed ones included: the `size` that a filter must have. */
  readonly rowCount: number;
  /** What serves searches now, and why. */
  readonly backend: BackendInfo;
  /**
   * Adds vectors, all or none, in the order of calls. `vectors` must not change until the promise settles.
   * Rejects with INVALID_VECTOR, INVALID_DIMENSIONS, TOO_LARGE, OUT_OF_MEMORY, ABORTED, CLOSED.
   */
  add(vectors: VectorInput, options?: AddOptions): Promise<AddResult>;
  /** Stored values of live rows, [rows × dimensions], f32 bit for bit (a Float32Array; packed bits come with precision b1). Rejects with INVALID_ROW. */
  get(rows: readonly number[]): Promise<Float32Array | Uint8Array>;
  /** Overwrites a live row. Waits for searches called before it. Rejects with INVALID_ROW, INVALID_VECTOR, INVALID_DIMENSIONS. */
  replace(row: number, vector: VectorInput): Promise<void>;
  /** Removes rows; resolves with how many were live. Row numbers stay stable. Rejects with INVALID_ROW for one out of range, and removes nothing. */
  remove(rows: Iterable<number>): Promise<number>;
  /** Gives removed rows' memory back by renumbering: old row → new row, 0xffffffff for removed. Needs room for both copies meanwhile. */
  compact(): Promise<Uint32Array>;
  /**
   * The nearest rows of each query, exactly. Sees the adds, replaces and removes that resolved before the call.
   * Rejects with INVALID_K, INVALID_VECTOR, INVALID_DIMENSIONS, INVALID_FILTER, INVALID_FILTER_SIZE, INVALID_OPTION,
   * TOO_LARGE, BUSY, ABORTED, WORKER_FAILED, CLOSED.
   */
  search(queries: VectorInput, options: SearchOptions): Promise<SearchResult>;
  stats(): IndexStats;
  /** Idempotent. Running work finishes, queued work rejects with CLOSED; afterwards Node exits by itself. */
  close(): Promise<void>;
}
