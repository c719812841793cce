/// <reference lib="esnext.disposable" preserve="true" />
/** The public contract of an index: what callers give and get. Types only. */
import type { BackendInfo, CpuStats, GpuStats } from "../core/backend.ts";
import type { EngineEvent } from "../core/events.ts";
import type { VectorInput } from "../core/matrix.ts";
import type { Metric, Precision } from "../core/metric.ts";
import type { RowSet } from "../core/rowset.ts";
import type { SliceStats } from "../core/slices.ts";
import type { SearchResult } from "./result.ts";

/** Options of {@link createIndex}. Only `dimensions` is required. */
export interface IndexOptions {
  /** Elements of a vector: 1 … 65,535. */
  readonly dimensions: number;
  /**
   * What "near" means. Default `"cosine"` (with precision `"b1"`: `"hamming"`). cosine, dot, euclidean and manhattan
   * go with f32, f16 and i8; hamming and jaccard with b1; other pairs are INVALID_OPTION.
   */
  readonly metric?: Metric;
  /**
   * How rows are stored: `"f32"` (default) as given; `"f16"` rounded to the nearest half, 2 bytes an element, refusing
   * what is beyond ±65,504; `"i8"` as codes of −127 … 127 with a scale for each row, 1 byte an element; `"b1"` as packed
   * bits, set where x > 0. Answers are exact for the rows as stored; queries are used as given (with b1 as bits).
   */
  readonly precision?: Precision;
  /** `"auto"` (default) takes a real GPU, else the CPU, and says why; `"gpu"` takes any WebGPU adapter or rejects; `"cpu"` never asks for one. */
  readonly backend?: "auto" | "gpu" | "cpu";
  /** A device of yours. Never destroyed by `close()`; should it be lost, nearfield requests one of its own. */
  readonly device?: GPUDevice;
  /**
   * How an exact answer is found; the answer is the same. `"certified"`: by an int8 scan with a proof for each row it
   * leaves out, from the second or so on over the data's leading directions; UNSUPPORTED with manhattan, hamming and
   * jaccard, which have no bound. `"full"`: by a scan of the rows as stored. Default `"auto"`: certified where the index
   * is large enough to gain: on the CPU from 1 MiB of f32 and f16 rows of 128 bytes and more (i8 rows are codes already),
   * on a GPU from 32 MiB. Codes are made in the background, and rows without them scanned in full; `report.scan` says
   * what was done.
   */
  readonly scan?: "auto" | "full" | "certified";
  /** CPU workers. Default: the hardware's concurrency. They start when first needed. */
  readonly threads?: number;
  /** Bytes of vectors to keep on the GPU, int8 codes of certified scans among them; rows beyond it are streamed for each search. Default: no limit. */
  readonly memoryBudgetBytes?: number;
  /**
   * What `add` does with a row that holds NaN or ±Infinity, is beyond the precision's range, or is zero (as stored) under
   * cosine. Default `"reject"`. Invalid queries always reject.
   */
  readonly invalid?: "reject" | "skip";
  /** How long a search may wait for others to share its batch, in ms. Default 0: the next turn of the event loop, which gathers a burst of calls. */
  readonly batchWindowMs?: number;
  /** Queued queries beyond which `search` rejects with BUSY. Default 65,536. */
  readonly maxQueued?: number;
  /** Script of the CPU workers, for pages whose Content-Security-Policy forbids blob workers: serve the package's `nearfield/worker`. */
  readonly workerUrl?: string | URL;
  /** The WASM kernels, for pages that want them as a file: serve the package's `nearfield/kernels.wasm`. */
  readonly wasmUrl?: string | URL;
  /** Warnings, losses, fallbacks and recoveries. The library never writes to the console. */
  readonly onEvent?: (event: EngineEvent) => void;
}

/** Options of `search`. */
export interface SearchOptions {
  /** Rows wanted for each query: an integer ≥ 1. More than there are gives all there are. */
  readonly k: number;
  /** Which rows may be found: one set for all queries, or one for each. Its `size` must be the index's `rowCount`. */
  readonly filter?: RowSet | readonly RowSet[];
  /** Only rows at distance ≤ fround(maxDistance), inclusive. Still at most k. */
  readonly maxDistance?: number;
  readonly signal?: AbortSignal;
}

/** Where long work stands. */
export interface Progress {
  /** Input vectors handled so far. */
  readonly done: number;
  readonly total: number;
}

export interface AddOptions {
  readonly signal?: AbortSignal;
  /** Called between slices of the work and at its end. */
  readonly onProgress?: (progress: Progress) => void;
}

/** Which rows an `add` got. */
export interface AddResult {
  /** Row number of the first accepted vector; the others follow in input order. */
  readonly first: number;
  readonly count: number;
  /** Input positions left out because of `invalid: "skip"`. */
  readonly skipped: number[];
}

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
  /**
   * Stored values of live rows: a Float32Array [rows × dimensions], f32 bit for bit, f16 and i8 as they were rounded; of
   * b1 a Uint8Array [rows × ceil(dimensions / 8)], least significant bit first. Rejects with INVALID_ROW.
   */
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
