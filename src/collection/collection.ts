/**
 * The public collection: checks what callers give, and hands it to whoever does it (reading.ts,
 * writer.ts, rewriting.ts). Owns the driver, the lock and the records, and lets go of all of them
 * when it closes. Without `writing` it is read-only: a reader beside a writer, or a checkout.
 */
import type { EventSink } from "../core/events.ts";
import { describe } from "../core/errors.ts";
import { loadCode } from "../core/late-code.ts";
import { readRows, type VectorInput } from "../core/matrix.ts";
import type { Metric, Precision } from "../core/metric.ts";
import type { StoredColumnShape } from "../core/stored-column.ts";
import { invalidOption } from "../engine/options.ts";
import type { SearchReport } from "../engine/result.ts";
import type { StoredIndex } from "../engine/stored-index.ts";
import type { StorageDriver } from "../storage/driver.ts";
import type { CollectionSettings, KeptVersion } from "../storage/manifest.ts";
import { isTagName } from "../storage/tag-payload.ts";
import { closedCollection, noSuchVersion, readOnlyCollection } from "./collection-errors.ts";
import {
  checkedBatch,
  checkedIds,
  checkedKeep,
  checkedQuery,
  checkedTarget,
  checkedUpsert,
  checkObject,
  notOneVector,
} from "./collection-options.ts";
import type {
  Collection,
  CollectionStats,
  CompactOptions,
  CompactReport,
  DeleteResult,
  Match,
  ModelFingerprint,
  QueryOptions,
  Recovery,
  UpsertOptions,
  UpsertResult,
  VectorRecord,
  VerifyReport,
  VersionInfo,
} from "./contract.ts";
import { CurrentRecords } from "./current-records.ts";
import { compileFilter, type Filter } from "./filter.ts";
import { countMatches } from "./matching.ts";
import { checkedModel, requireModel } from "./model.ts";
import { storedBytes } from "./needed-files.ts";
import { getRecords, queryLike, queryVectors, scanRecords } from "./reading.ts";
import type { Records } from "./records.ts";
import type { RewritingParts } from "./rewriting.ts";
import type { SegmentStore } from "./segment-store.ts";
import type { VersionLog } from "./version-log.ts";
import { CollectionWriter } from "./writer.ts";

/** What is known of versions: of a log as it goes on, else of one moment. */
interface VersionState {
  readonly version: number;
  readonly tags: ReadonlyMap<string, number>;
  readonly history: readonly KeptVersion[];
}

export interface CollectionParts {
  readonly driver: StorageDriver;
  readonly settings: CollectionSettings;
  readonly shape: StoredColumnShape;
  readonly records: Records;
  readonly recovered: Recovery | undefined;
  readonly state: VersionState;
  readonly emit: EventSink;
  readonly newIndex: () => Promise<StoredIndex>;
  readonly writing:
    | { readonly log: VersionLog; readonly segments: SegmentStore; readonly release: () => Promise<void> }
    | undefined;
  /** A checkout's files are another's. */
  readonly borrowsDriver?: boolean;
}

/** What few pages need is loaded by those that do. */
const rewritingCode = (): Promise<typeof import("./rewriting.ts")> =>
  loadCode("rewriting a collection", () => import("./rewriting.ts"));

export class StoredCollection implements Collection {
  /** Present only where the runtime knows the symbol: set in the constructor. */
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  declare readonly recovered?: Recovery;
  readonly dimensions: number;
  readonly metric: Metric;
  readonly precision: Precision;
  readonly model: ModelFingerprint | undefined;
  readonly readOnly: boolean;
  readonly #parts: CollectionParts;
  readonly #current: CurrentRecords;
  readonly #writer: CollectionWriter | undefined;
  readonly #rewriting: RewritingParts | undefined;
  #closing: Promise<void> | undefined;

  constructor(parts: CollectionParts) {
    const { settings, writing, recovered } = parts;
    this.#parts = parts;
    this.dimensions = settings.dimensions;
    this.metric = settings.metric;
    this.precision = settings.precision;
    this.model = settings.model;
    this.readOnly = writing === undefined;
    if (recovered !== undefined) this.recovered = recovered;
    this.#current = new CurrentRecords(parts.records, parts.state.version);
    if (writing !== undefined) {
      const rewriting = { ...parts, ...writing, current: this.#current };
      this.#rewriting = rewriting;
      this.#writer = new CollectionWriter({
        ...rewriting,
        compact: () => this.#compactByItself(rewriting),
        reload: async () => (await rewritingCode()).reload(rewriting),
      });
    }
    if (typeof Symbol.asyncDispose === "symbol") {
      Object.defineProperty(this, Symbol.asyncDispose, { value: () => this.close() });
    }
  }

  get location(): string {
    return this.#parts.driver.location;
  }

  get version(): number {
    return this.#current.version;
  }

  /** What nearfield/testing breaks. It changes with `restore` and `compact`. */
  get index(): StoredIndex {
    return this.#current.records.index;
  }

  get size(): number {
    return this.#current.records.size;
  }

  async upsert(
    records: Iterable<VectorRecord> | AsyncIterable<VectorRecord>,
    options: UpsertOptions = {},
  ): Promise<UpsertResult> {
    const writer = this.#writing("upsert");
    const checked = checkedUpsert(records, options);
    this.#requireModel(options.model);
    const total = Array.isArray(records) ? records.length : undefined;
    return writer.upsert(records, {
      ...checked,
      signal: options.signal,
      onTaken: (done) => options.onProgress?.({ done, total }),
      onReject: options.onReject,
    });
  }

  async delete(target: readonly string[] | { readonly filter: Filter }): Promise<DeleteResult> {
    const writer = this.#writing("delete");
    const checked = checkedTarget(target);
    return "ids" in checked ? writer.deleteIds([...checked.ids]) : writer.deleteMatches(checked.filter);
  }

  async get(ids: readonly string[]): Promise<(VectorRecord | undefined)[]> {
    this.#checkOpen("get");
    return getRecords(this.#current.records, checkedIds(ids));
  }

  async query(
    options: ({ readonly vector: VectorInput } | { readonly like: string }) & QueryOptions,
  ): Promise<{ matches: Match[]; report: SearchReport }> {
    this.#checkOpen("query");
    checkObject("query", options);
    const vector = "vector" in options ? options.vector : undefined;
    const like = "like" in options ? options.like : undefined;
    if ((vector === undefined) === (like === undefined)) {
      throw invalidOption("query", options, "either a vector or like, the id of a record", "give one of the two");
    }
    const query = checkedQuery(options);
    this.#requireModel(options.model);
    const { records } = this.#current;
    if (vector === undefined) {
      const [id] = checkedIds([like]);
      const { results, report } = await queryLike(records, id ?? "", query);
      return { matches: results[0] ?? [], report };
    }
    const { count } = readRows(vector, this.dimensions, this.precision);
    if (count !== 1) throw notOneVector(count);
    const { results, report } = await queryVectors(records, vector, query);
    return { matches: results[0] ?? [], report };
  }

  async queryBatch(
    options: { readonly vectors: VectorInput } & QueryOptions,
  ): Promise<{ results: Match[][]; report: SearchReport }> {
    this.#checkOpen("queryBatch");
    checkObject("query", options);
    const query = checkedQuery(options);
    this.#requireModel(options.model);
    return queryVectors(this.#current.records, options.vectors, query);
  }

  async count(filter?: Filter): Promise<number> {
    this.#checkOpen("count");
    const { records } = this.#current;
    if (filter === undefined) return records.size;
    const compiled = compileFilter(filter);
    return records.reading(() => countMatches(records, compiled));
  }

  scan(options: { readonly filter?: Filter; readonly batch?: number } = {}): AsyncIterable<VectorRecord[]> {
    this.#checkOpen("scan");
    checkObject("scan options", options);
    const filter = options.filter === undefined ? undefined : compileFilter(options.filter);
    const batch = checkedBatch(options.batch);
    const current = this.#current;
    return { [Symbol.asyncIterator]: () => scanRecords(current.records, filter, batch) };
  }

  async versions(): Promise<VersionInfo[]> {
    this.#checkOpen("versions");
    const { history, tags } = this.#parts.state;
    const names = new Map<number, string[]>();
    for (const [name, version] of tags) names.set(version, [...(names.get(version) ?? []), name]);
    return history.map(({ version, atMs, liveRows }) => ({
      version,
      atMs,
      count: liveRows,
      tags: (names.get(version) ?? []).sort(),
    }));
  }

  async tag(name: string, version?: number): Promise<void> {
    const writer = this.#writing("tag");
    if (typeof name !== "string" || !isTagName(name)) {
      throw invalidOption("a tag's name", name, "a string of 1 to 256 bytes of UTF-8", "choose another name");
    }
    return writer.tag(name, () => this.#entryOf(version ?? this.version).version);
  }

  async tags(): Promise<Record<string, number>> {
    this.#checkOpen("tags");
    return Object.fromEntries(this.#parts.state.tags);
  }

  async checkout(versionOrTag: number | string): Promise<Collection> {
    this.#checkOpen("checkout");
    const entry = this.#entryOf(versionOrTag);
    // In turn with compaction, which removes files of versions that it drops.
    const load = async (): Promise<Records> => (await rewritingCode()).recordsOfVersion(this.#parts, entry);
    const records = await (this.#writer?.alone(load) ?? load());
    const { tags, history } = this.#parts.state;
    return new StoredCollection({
      ...this.#parts,
      records,
      recovered: undefined,
      state: { version: entry.version, tags: new Map(tags), history: [...history] },
      writing: undefined,
      borrowsDriver: true,
    });
  }

  async restore(versionOrTag: number | string): Promise<number> {
    const writer = this.#writing("restore");
    const rewriting = this.#rewritingOf("restore");
    return writer.alone(async () => (await rewritingCode()).restore(rewriting, this.#entryOf(versionOrTag)));
  }

  async compact(options: CompactOptions = {}): Promise<CompactReport> {
    const writer = this.#writing("compact");
    const rewriting = this.#rewritingOf("compact");
    const keep = checkedKeep(options);
    return writer.alone(async () => (await rewritingCode()).compact(rewriting, keep));
  }

  async verify(): Promise<VerifyReport> {
    this.#checkOpen("verify");
    const { driver, shape, state } = this.#parts;
    const check = async (): Promise<VerifyReport> => {
      const { verifyFiles } = await loadCode("verification", () => import("./verification.ts"));
      return verifyFiles(driver, shape, state.history);
    };
    return this.#writer?.alone(check) ?? check();
  }

  async stats(): Promise<CollectionStats> {
    this.#checkOpen("stats");
    const { driver, state, writing } = this.#parts;
    const bytes = await storedBytes(driver);
    const { index, ids, metadata, extents, rowCount, size } = this.#current.records;
    const { goodBytes, recordCount } = writing?.log.journalEnd ?? { goodBytes: 0, recordCount: 0 };
    return {
      version: this.version,
      records: size,
      removedRows: rowCount - size,
      segments: extents.segmentCount,
      storedBytes: bytes,
      journal: { bytes: goodBytes, records: recordCount },
      versions: state.history.length,
      memory: { idBytes: ids.sizeBytes, metadataBytes: metadata.sizeBytes, jsonBytes: metadata.jsonBytes },
      backend: index.backend,
      index: index.stats(),
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  async #shutDown(): Promise<void> {
    const { driver, writing, borrowsDriver } = this.#parts;
    try {
      await this.#writer?.close();
      await this.#current.close();
    } finally {
      if (borrowsDriver !== true) await driver.close();
      await writing?.release();
    }
  }

  async #compactByItself(parts: RewritingParts): Promise<void> {
    const { removedRows } = await (await rewritingCode()).compact(parts, checkedKeep({}));
    this.#parts.emit({
      code: "collection-compacted",
      level: "info",
      message: `${this.location} was rewritten without ${removedRows} removed rows`,
    });
  }

  #entryOf(versionOrTag: number | string): KeptVersion {
    const { tags, history } = this.#parts.state;
    const version = typeof versionOrTag === "string" ? tags.get(versionOrTag) : versionOrTag;
    const entry = history.find((known) => known.version === version);
    if (entry !== undefined) return entry;
    const known =
      typeof versionOrTag === "string"
        ? `one of ${tags.size} tags${tags.size === 0 ? "" : `: ${[...tags.keys()].slice(0, 5).map(describe).join(", ")}`}`
        : `one of ${history.length} versions, ${history[0]?.version} to ${history.at(-1)?.version}`;
    throw noSuchVersion(versionOrTag, known);
  }

  #requireModel(model: unknown): void {
    requireModel(this.model, checkedModel(model));
  }

  #checkOpen(action: string): void {
    if (this.#closing !== undefined) throw closedCollection(action);
  }

  #writing(action: string): CollectionWriter {
    this.#checkOpen(action);
    if (this.#writer !== undefined) return this.#writer;
    throw readOnlyCollection(action, this.location);
  }

  #rewritingOf(action: string): RewritingParts {
    if (this.#rewriting !== undefined) return this.#rewriting;
    throw readOnlyCollection(action, this.location);
  }
}
