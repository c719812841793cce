/// <reference lib="esnext.disposable" preserve="true" />
/** The public contract of a collection: what callers give and get. Types only. */
import type { EngineEvent } from "../core/events.ts";
import type { VectorInput } from "../core/matrix.ts";
import type { Metric, Precision } from "../core/metric.ts";
import type { BackendInfo } from "../core/backend.ts";
import type { IndexOptions, IndexStats } from "../engine/contract.ts";
import type { SearchReport } from "../engine/result.ts";
import type { Damage } from "../storage/damage.ts";
import type { Filter } from "./filter.ts";
import type { Metadata } from "./metadata.ts";

/**
 * Which model made the vectors. Two fingerprints agree when their names are equal and their
 * revisions are, where both have one. A collection without one agrees with none.
 */
export interface ModelFingerprint {
  readonly name: string;
  readonly revision?: string;
}

/** Options of {@link openCollection}. Only a collection that is made needs any: `dimensions`. */
export interface CollectionOptions
  extends Pick<IndexOptions, "backend" | "scan" | "threads" | "memoryBudgetBytes" | "workerUrl" | "wasmUrl"> {
  /** Elements of a vector, 1 … 65,535. Needed to make a collection; of one that is there it must be the same, like metric and precision. */
  readonly dimensions?: number;
  /** Default of a new collection: `"cosine"`, with precision `"b1"` `"hamming"`. */
  readonly metric?: Metric;
  /** How vectors are stored. Default of a new collection: `"f32"`. */
  readonly precision?: Precision;
  /** Whether a collection that is not there is made. Default: true unless `readOnly`. */
  readonly create?: boolean;
  /** Reads the newest version there is now, and changes nothing: beside a writer, or where nothing may be written. Default false. */
  readonly readOnly?: boolean;
  /** Kept by a new collection; of one that is there it must agree (MODEL_MISMATCH). */
  readonly model?: ModelFingerprint;
  /** Warnings, fallbacks, recoveries; of the index as well. */
  readonly onEvent?: (event: EngineEvent) => void;
  /** Gives up opening (ABORTED); without effect once the collection is open. */
  readonly signal?: AbortSignal;
  /** Vectors loaded while opening. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
}

/** One record. Fresh objects when they come from a collection: yours to change. */
export interface VectorRecord {
  /** 1 … 512 bytes of UTF-8. */
  readonly id: string;
  /** [dimensions] numbers; with precision b1 floats, or [ceil(dimensions / 8)] packed bits, least significant first. */
  readonly vector: Float32Array | readonly number[] | Uint8Array;
  readonly metadata?: Metadata;
}

export interface UpsertOptions {
  /** `"upsert"` (default) replaces records and adds new ones, `"insert"` only adds (ID_EXISTS), `"update"` only replaces (NOT_FOUND). */
  readonly mode?: "upsert" | "insert" | "update";
  /** What an invalid record does: `"reject"` (default) the whole call, nothing is written; `"skip"` leaves it out and tells of it. */
  readonly onInvalid?: "reject" | "skip";
  /** Which model made these vectors: refused unless it agrees with the collection's. */
  readonly model?: ModelFingerprint;
  /** Gives up (ABORTED), nothing is written; without effect once the records are being committed. */
  readonly signal?: AbortSignal;
  /**
   * Called for each record that `onInvalid: "skip"` leaves out, with its number among those of the call,
   * from 0, as records are taken in: before anything is written. What it throws rejects the call.
   */
  readonly onReject?: (rejection: { readonly position: number; readonly id: string; readonly reason: string }) => void;
  /** Records taken in so far; `total` where the records are an array. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number | undefined }) => void;
}

export interface UpsertResult {
  /** Records written, each id once. */
  readonly written: number;
  /** The version that this call made; the present one where nothing was written. */
  readonly version: number;
  /** Records of the call that a later one of the same id took the place of. */
  readonly duplicates: number;
  /** Records left out by `onInvalid: "skip"`, in their order. */
  readonly rejected: { readonly id: string; readonly reason: string }[];
}

export interface DeleteResult {
  readonly deleted: number;
  /** The version that this call made; the present one where nothing was deleted. */
  readonly version: number;
}

export interface QueryOptions {
  /** Matches wanted: an integer ≥ 1. Default 10. The answer holds as many, or all that the filter leaves. */
  readonly k?: number;
  /** Which records may be found. Acts before selection. */
  readonly filter?: Filter;
  /** Only records at distance ≤ fround(maxDistance), inclusive. */
  readonly maxDistance?: number;
  /** What matches carry beside id and distance. Default `["metadata"]`. */
  readonly include?: readonly ("metadata" | "vector")[];
  /** Which model made the query's vector: refused unless it agrees with the collection's. */
  readonly model?: ModelFingerprint;
  readonly signal?: AbortSignal;
}

export interface Match {
  readonly id: string;
  /** Ascending; smaller is nearer. */
  readonly distance: number;
  /** Where it was asked for and the record has some. */
  readonly metadata?: Metadata;
  /** Where it was asked for: as stored, in memory of its own. */
  readonly vector?: Float32Array | Uint8Array;
}

export interface VersionInfo {
  readonly version: number;
  /** When it was committed, by the writer's clock: milliseconds since 1970. */
  readonly atMs: number;
  /** Records there were. */
  readonly count: number;
  /** Names of it, sorted. */
  readonly tags: readonly string[];
}

export interface CompactOptions {
  /** Newest versions to keep beside the tagged ones: an integer ≥ 1. Default 10. */
  readonly keepVersions?: number;
}

export interface CompactReport {
  readonly version: number;
  /** Rows of replaced and deleted records that are no longer in memory. */
  readonly removedRows: number;
  readonly removedVersions: number;
  readonly removedFiles: number;
  /** Bytes of the collection's files before and after. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

export interface VerifyReport {
  /** No damage. */
  readonly ok: boolean;
  /** Files that any version needs, all of whose bytes were read. */
  readonly files: number;
  readonly bytes: number;
  readonly damages: readonly Damage[];
  /** Files of ours that no version needs, such as what a crash left; `compact` removes them. Not read. */
  readonly unused: readonly string[];
}

export interface CollectionStats {
  readonly version: number;
  readonly records: number;
  /** Rows of replaced and deleted records that still take memory; above a quarter of all the collection compacts by itself. */
  readonly removedRows: number;
  readonly segments: number;
  /** Bytes of all files of the collection. */
  readonly storedBytes: number;
  /** The journal that the next change goes to: what opening has to replay. */
  readonly journal: { readonly bytes: number; readonly records: number };
  /** Versions that can be opened. */
  readonly versions: number;
  /** Memory of ids and metadata, without the vectors (`index.cpu.storeBytes`); `json`: of the metadata as JSON alone. */
  readonly memory: { readonly idBytes: number; readonly metadataBytes: number; readonly jsonBytes: number };
  readonly backend: BackendInfo;
  readonly index: IndexStats;
}

/** What opening had to do without. */
export interface Recovery {
  /** The version that could not be read whole. What was opened is the newest whole one (`stats().version`), which may be the same where nothing was lost. */
  readonly from: number;
  readonly reason: string;
}

/**
 * Records with ids and metadata over an index: durable, in versions, found by vector and filter.
 *
 * Each resolved change is a version, and survives the end of the process at any instant and, as far
 * as the platform's sync goes, the loss of power. Queries see the changes that resolved before the
 * call. All methods reject with a {@link NearfieldError}; after `close` its code is CLOSED, and
 * changes of a read-only collection are READ_ONLY.
 */
export interface Collection extends AsyncDisposable {
  readonly location: string;
  readonly dimensions: number;
  readonly metric: Metric;
  readonly precision: Precision;
  readonly model: ModelFingerprint | undefined;
  readonly readOnly: boolean;
  /** The newest version, of a checkout its own. */
  readonly version: number;
  /** Records there are. */
  readonly size: number;
  /** Set when opening had to fall back. */
  readonly recovered?: Recovery;
  /**
   * Writes records, all or none, as one version. An id that comes twice counts once, the last wins.
   * `records` are taken one by one: arrays, generators, streams of any length. Vectors must not change meanwhile.
   * Rejects with INVALID_OPTION (id, metadata, options), INVALID_VECTOR, INVALID_DIMENSIONS, ID_EXISTS, NOT_FOUND,
   * MODEL_MISMATCH, QUOTA_EXCEEDED, OUT_OF_MEMORY, TOO_LARGE, ABORTED, READ_ONLY; the first offending record is in `details`.
   */
  upsert(records: Iterable<VectorRecord> | AsyncIterable<VectorRecord>, options?: UpsertOptions): Promise<UpsertResult>;
  /** Deletes by id, ids that are not there ignored, or what a filter matches. Rejects with INVALID_FILTER, INVALID_OPTION, QUOTA_EXCEEDED. */
  delete(target: readonly string[] | { readonly filter: Filter }): Promise<DeleteResult>;
  /** Records in the order of the ids; undefined where there is none. */
  get(ids: readonly string[]): Promise<(VectorRecord | undefined)[]>;
  /**
   * The nearest records to a vector, or to a record (`like`, which leaves itself out; NOT_FOUND).
   * Rejects like `search` of an index, and with INVALID_FILTER, MODEL_MISMATCH.
   */
  query(
    options: ({ readonly vector: VectorInput } | { readonly like: string }) & QueryOptions,
  ): Promise<{ matches: Match[]; report: SearchReport }>;
  /** The same for many vectors at once, each with its own list. */
  queryBatch(
    options: { readonly vectors: VectorInput } & QueryOptions,
  ): Promise<{ results: Match[][]; report: SearchReport }>;
  /** Records that match; all without a filter. */
  count(filter?: Filter): Promise<number>;
  /** Records of the version there is at the first step, in batches (default 1,000), in the order they were written. Writers go on meanwhile. */
  scan(options?: { readonly filter?: Filter; readonly batch?: number }): AsyncIterable<VectorRecord[]>;
  /** Versions that can be opened, oldest first. */
  versions(): Promise<VersionInfo[]>;
  /** Names a version, default the newest, in one step; a name that is there moves. 1 … 256 bytes of UTF-8. NOT_FOUND, INVALID_OPTION. */
  tag(name: string, version?: number): Promise<void>;
  tags(): Promise<Record<string, number>>;
  /** A version as it was, read-only, in memory of its own, to be closed on its own; writers go on. Rejects with NOT_FOUND, CORRUPT. */
  checkout(versionOrTag: number | string): Promise<Collection>;
  /** Makes an older state the newest, as a new version, whose number it resolves with. In memory both are there meanwhile. NOT_FOUND, CORRUPT. */
  restore(versionOrTag: number | string): Promise<number>;
  /**
   * Rewrites the records without the removed rows, and drops versions that neither `keepVersions` nor a
   * tag keeps. Where no row is removed, segments are merged if no older version needs them, or if there
   * are more than eight. Queries go on; in memory both are there meanwhile.
   */
  compact(options?: CompactOptions): Promise<CompactReport>;
  /** Reads every byte that a version needs and tells of each damage: file, block, record. */
  verify(): Promise<VerifyReport>;
  stats(): Promise<CollectionStats>;
  /** Idempotent. Running work finishes, waiting changes reject with CLOSED; checkouts stay open. */
  close(): Promise<void>;
}
