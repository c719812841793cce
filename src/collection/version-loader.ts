/**
 * Brings one version into memory: a manifest's segments, then the journal's records, in the order
 * they were written. Ids and metadata are kept as they come; vectors go into the index at the end,
 * in one step, straight from the files, so that nothing is in memory twice and a failure leaves the
 * index empty. A journal ends at its first record that is not whole, or names a segment that is
 * not; what came before counts.
 */
import { bitRange, setBits } from "../core/bit-ranges.ts";
import { abortedError, NearfieldError } from "../core/errors.ts";
import type { WorkSlices } from "../core/slices.ts";
import type { StoredColumnReader, StoredColumnShape } from "../core/stored-column.ts";
import { readColumn } from "../core/stored-column-reader.ts";
import type { AddOptions } from "../engine/contract.ts";
import type { StoredIndex } from "../engine/stored-index.ts";
import { type Damage, DamageError } from "../storage/damage.ts";
import type { ReadableFile, StorageDriver } from "../storage/driver.ts";
import { type JournalEnd, JournalReader } from "../storage/journal-reader.ts";
import type { JournalRecord } from "../storage/journal-record.ts";
import type { KeptVersion, Manifest, ManifestSegment } from "../storage/manifest.ts";
import { journalName, segmentName } from "../storage/names.ts";
import type { RecordBatch, TextColumn } from "../storage/record-batch.ts";
import { Segment } from "../storage/segment-reader.ts";
import type { SegmentRef } from "../storage/segment-facts.ts";
import { textCount } from "../storage/text-block.ts";
import { Extents } from "./extents.ts";
import { IdTable } from "./id-table.ts";
import { MetadataTable } from "./metadata-table.ts";
import { ROW_ELEMENTS } from "./records.ts";

/** A version in memory, but for its index. */
export interface LoadedVersion {
  readonly ids: IdTable;
  readonly metadata: MetadataTable;
  readonly extents: Extents;
  readonly version: number;
  readonly tags: ReadonlyMap<string, number>;
  /** Versions that can be opened, this one included. */
  readonly history: readonly KeptVersion[];
  /** Where a writer goes on, cutting off a damaged end; undefined where it must begin a journal. */
  readonly journal: { readonly generation: number; readonly end: JournalEnd } | undefined;
  /** Why replaying ended early. */
  readonly damage: Damage | undefined;
  /** The newest version that a journal speaks of, and that was not reached. */
  readonly beyond: number | undefined;
}

export interface LoadOptions extends AddOptions {
  /** Replay no later version. */
  readonly upTo?: number;
  /** Generations of later journals, to be replayed as far as each begins where the state is: what is left of a damaged manifest. */
  readonly followers?: readonly number[];
}

/** What a manifest says of a state. */
export type LoadableState = Pick<Manifest, "generation" | "version" | "segments" | "tags" | "history" | "journal">;

/** What a journal's segments were damaged by, found when their vectors were read: the state before is whole. */
export class JournalSegmentError extends DamageError {
  /** The version that the segment makes. */
  readonly version: number;

  constructor(cause: DamageError, version: number) {
    super(cause.details, cause);
    this.version = version;
  }
}

/** `index`: empty; stays so when this rejects. Rejects with CORRUPT, NOT_FOUND (a segment is missing), UNSUPPORTED_FORMAT, and as `adopt` does. */
export async function loadVersion(
  driver: StorageDriver,
  shape: StoredColumnShape,
  manifest: LoadableState,
  index: StoredIndex,
  options: LoadOptions = {},
): Promise<LoadedVersion> {
  const loading = new Loading(driver, shape, manifest, index.slices, options.signal);
  try {
    for (const segment of manifest.segments) await loading.takeSegment(segment);
    const upTo = options.upTo ?? Number.POSITIVE_INFINITY;
    if (upTo > manifest.version) await loading.replay(manifest.journal, upTo);
    for (const generation of options.followers ?? []) await loading.follow(generation, upTo);
    await loading.fill(index, options);
    return loading.result();
  } finally {
    await loading.close();
  }
}

class Loading {
  readonly #driver: StorageDriver;
  readonly #shape: StoredColumnShape;
  readonly #slices: WorkSlices;
  readonly #signal: AbortSignal | undefined;
  readonly #ids = new IdTable();
  readonly #metadata = new MetadataTable();
  readonly #extents = new Extents();
  readonly #readers: StoredColumnReader[] = [];
  readonly #removed: number[] = [];
  readonly #files: ReadableFile[] = [];
  readonly #tags: Map<string, number>;
  readonly #history: KeptVersion[];
  /** Names of segments that a journal brought, and their versions. */
  readonly #journalSegments = new Map<string, number>();
  #live = 0;
  #version: number;
  #generation: number;
  #journal: LoadedVersion["journal"];
  #damage: Damage | undefined;
  #beyond: number | undefined;

  constructor(
    driver: StorageDriver,
    shape: StoredColumnShape,
    manifest: LoadableState,
    slices: WorkSlices,
    signal: AbortSignal | undefined,
  ) {
    this.#driver = driver;
    this.#shape = shape;
    this.#slices = slices;
    this.#signal = signal;
    this.#tags = new Map(manifest.tags);
    this.#history = [...manifest.history];
    this.#version = manifest.version;
    this.#generation = manifest.generation;
  }

  async takeSegment({ deleted, ...ref }: ManifestSegment): Promise<void> {
    const { segment, ids, metadata } = await this.#openSegment(ref);
    const first = this.#extents.rowCount;
    let at = 0;
    for (const column of ids) {
      this.#ids.append(column, deleted === undefined ? undefined : bitRange(deleted, at, textCount(column)));
      at += textCount(column);
    }
    for (const column of metadata) this.#metadata.append(column);
    this.#live += ref.facts.count;
    if (deleted !== undefined) {
      for (const row of setBits(deleted, first)) {
        this.#removed.push(row);
        this.#live--;
      }
    }
    this.#extents.appendSegment(ref);
    this.#readers.push(segment.vectors());
  }

  /** Applies the records of a journal up to a version. */
  async replay(generation: number, upTo: number): Promise<void> {
    const reader = await this.#openJournal(generation);
    if (reader === undefined || this.#version >= upTo) return;
    try {
      for await (const record of reader.records()) {
        if (record.version > upTo) return;
        await this.#apply(record);
      }
    } catch (error) {
      // A segment that a record names: the record is worth as much as its segment.
      const damage = damageOf(error);
      if (damage === undefined) throw error;
      this.#damage = damage;
      return;
    }
    this.#damage = reader.end.damage;
    this.#journal = { generation, end: reader.end };
  }

  /** Applies a journal whose manifest is lost, if it begins where the state is. */
  async follow(generation: number, upTo: number): Promise<void> {
    const reader = await this.#openJournal(generation, true);
    if (reader === undefined) return;
    const { baseVersion } = reader.head;
    if (baseVersion > this.#version) this.#beyond = baseVersion;
    if (baseVersion !== this.#version) return;
    this.#damage = undefined;
    await this.replay(generation, upTo);
    // Its manifest is not whole: whoever goes on begins with a new one.
    this.#journal = undefined;
  }

  async fill(index: StoredIndex, options: AddOptions): Promise<void> {
    try {
      await index.adoptAndRemove(this.#readers, this.#removed, options);
    } catch (error) {
      const version = error instanceof DamageError ? this.#journalSegments.get(error.details.file) : undefined;
      throw error instanceof DamageError && version !== undefined ? new JournalSegmentError(error, version) : error;
    }
  }

  result(): LoadedVersion {
    return {
      ids: this.#ids,
      metadata: this.#metadata,
      extents: this.#extents,
      version: this.#version,
      tags: this.#tags,
      history: this.#history,
      journal: this.#journal,
      damage: this.#damage,
      beyond: this.#beyond,
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#files.map((file) => file.close()));
  }

  async #openJournal(generation: number, isOptional = false): Promise<JournalReader | undefined> {
    try {
      const name = journalName(generation);
      const file = await this.#driver.openToRead(name);
      this.#files.push(file);
      return await JournalReader.open(file, name, generation, this.#shape);
    } catch (error) {
      const damage = damageOf(error, journalName(generation));
      if (damage === undefined) throw error;
      if (!isOptional) this.#damage = damage;
      return undefined;
    }
  }

  /** With all of its ids and metadata read, so that what is applied is whole. */
  async #openSegment(ref: SegmentRef): Promise<{ segment: Segment; ids: TextColumn[]; metadata: TextColumn[] }> {
    const name = segmentName(ref.id);
    const file = await this.#driver.openToRead(name);
    this.#files.push(file);
    const segment = await Segment.open(file, name, this.#shape, ref.facts);
    return { segment, ids: await this.#columns(segment.ids()), metadata: await this.#columns(segment.metadata()) };
  }

  async #columns(columns: AsyncIterable<TextColumn>): Promise<TextColumn[]> {
    const list: TextColumn[] = [];
    for await (const column of columns) {
      if (this.#signal?.aborted === true) throw abortedError(this.#signal);
      list.push(column);
      // Reading waited for the file, and checked at most a mebibyte in one stretch.
      this.#slices.reset();
    }
    return list;
  }

  async #apply(record: JournalRecord): Promise<void> {
    switch (record.kind) {
      case "upsert":
        await this.#applyBatch(record.batch);
        break;
      case "segment":
        await this.#applySegment(record.segment, record.version);
        break;
      case "delete":
        await this.#applyDelete(record.ids);
        break;
      case "tag":
        if (record.target === undefined) this.#tags.delete(record.name);
        else this.#tags.set(record.name, record.target);
        return;
      default:
        record satisfies never;
    }
    this.#version = record.version;
    const { version, atMs } = record;
    this.#history.push({ version, generation: this.#generation, atMs, liveRows: this.#live });
  }

  async #applyBatch({ count, ids, metadata, vectors }: RecordBatch): Promise<void> {
    const first = this.#extents.rowCount;
    this.#ids.appendRetired(ids);
    this.#metadata.append(metadata);
    this.#readers.push(readColumn(vectors));
    this.#extents.appendJournal(count);
    await this.#replaceOlder(first, count);
  }

  async #applySegment(ref: SegmentRef, version: number): Promise<void> {
    const { segment, ids, metadata } = await this.#openSegment(ref);
    this.#journalSegments.set(segmentName(ref.id), version);
    const first = this.#extents.rowCount;
    for (const column of ids) this.#ids.appendRetired(column);
    for (const column of metadata) this.#metadata.append(column);
    this.#readers.push(segment.vectors());
    this.#extents.appendSegment(ref);
    await this.#replaceOlder(first, ref.facts.count);
  }

  /** New rows take the place of those that stood for their ids. */
  async #replaceOlder(first: number, count: number): Promise<void> {
    await this.#ids.prepare(this.#slices);
    for (let row = first; row < first + count; row++) {
      const turn = this.#slices.take(ROW_ELEMENTS);
      if (turn !== undefined) await turn;
      const before = this.#ids.set(row);
      if (before === undefined) this.#live++;
      else this.#removed.push(before);
    }
  }

  async #applyDelete(ids: TextColumn): Promise<void> {
    await this.#ids.prepare(this.#slices);
    for (let i = 0; i < textCount(ids); i++) {
      const turn = this.#slices.take(ROW_ELEMENTS);
      if (turn !== undefined) await turn;
      const row = this.#ids.rowOfColumn(ids, i);
      if (row === undefined) continue;
      this.#ids.retire(row);
      this.#removed.push(row);
      this.#live--;
    }
  }
}

/** The damage behind an error, a file that is missing included; undefined for what is none. */
export function damageOf(error: unknown, file = ""): Damage | undefined {
  if (error instanceof DamageError) return error.details;
  if (error instanceof NearfieldError && error.code === "NOT_FOUND") return { file, offset: 0, reason: error.message };
  return undefined;
}
