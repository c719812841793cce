/**
 * The records of a version in memory: ids, metadata and vectors by row number. Rows are only ever
 * appended and retired, so what a row number stood for stays readable as long as this lives:
 * compaction and restoring make new Records and let go of the old ones when the last reader does.
 *
 * Ids and metadata follow the index, a moment later: an answer's rows have their texts once
 * `settled` resolves, and what needs ids, metadata and index to agree, such as a filter and the
 * search it is for, goes through `steady`.
 */
import { ReadersWriterLock } from "../core/lock.ts";
import type { WorkSlices } from "../core/slices.ts";
import type { StoredColumnReader } from "../core/stored-column.ts";
import type { AddOptions } from "../engine/contract.ts";
import type { StoredIndex } from "../engine/stored-index.ts";
import type { SegmentRef } from "../storage/segment-facts.ts";
import type { TextColumn } from "../storage/record-batch.ts";
import type { Extents } from "./extents.ts";
import type { IdTable } from "./id-table.ts";
import type { MetadataTable } from "./metadata-table.ts";

/** Records on their way in: rows of one file. */
export interface AppendedRows {
  readonly count: number;
  readonly texts: readonly { readonly ids: TextColumn; readonly metadata: TextColumn }[];
  readonly vectors: StoredColumnReader;
  /** undefined: the journal. */
  readonly segment: SegmentRef | undefined;
}

export interface RowChange {
  readonly appended: readonly AppendedRows[];
  /** Rows that are no more; appended ones may be among them. */
  readonly removed: readonly number[];
}

/** Tries to read without keeping writers waiting, before it does. */
const STEADY_TRIES = 3;
/** A row's way through the hash of ids, in elements of a slice. */
export const ROW_ELEMENTS = 16;

export class Records {
  readonly index: StoredIndex;
  readonly ids: IdTable;
  readonly metadata: MetadataTable;
  readonly extents: Extents;
  readonly #lock = new ReadersWriterLock();
  /** Odd while texts follow the index. */
  #steps = 0;
  #readers = 0;
  #onUnread: (() => void) | undefined;

  constructor(parts: { index: StoredIndex; ids: IdTable; metadata: MetadataTable; extents: Extents }) {
    this.index = parts.index;
    this.ids = parts.ids;
    this.metadata = parts.metadata;
    this.extents = parts.extents;
  }

  get slices(): WorkSlices {
    return this.index.slices;
  }

  /** Live records. */
  get size(): number {
    return this.index.size;
  }

  /** Rows, removed ones included. */
  get rowCount(): number {
    return this.extents.rowCount;
  }

  /** Applies a change: one at a time, in the order of versions. When it rejects, texts and extents are as before. */
  async apply({ appended, removed }: RowChange, options: AddOptions = {}): Promise<void> {
    const readers = appended.map(({ vectors }) => vectors);
    await this.#lock.write(async () => {
      await this.index.adoptAndRemove(readers, removed, options);
      this.#steps++;
      for (const rows of appended) this.#appendTexts(rows);
      for (const row of removed) {
        const turn = this.slices.take(ROW_ELEMENTS);
        if (turn !== undefined) await turn;
        this.ids.retire(row);
      }
      this.#steps++;
    });
  }

  #appendTexts({ count, texts, segment }: AppendedRows): void {
    for (const { ids, metadata } of texts) {
      this.ids.append(ids);
      this.metadata.append(metadata);
    }
    if (segment === undefined) this.extents.appendJournal(count);
    else this.extents.appendSegment(segment);
  }

  /**
   * What `use` makes of what `prepare` found, where no change came between the call of `prepare`
   * and the return of `use`, which runs in one turn.
   */
  async steady<T, R>(prepare: () => Promise<T>, use: (prepared: T) => R, signal?: AbortSignal): Promise<R> {
    for (let tries = 0; tries < STEADY_TRIES; tries++) {
      const before = this.#steps;
      const prepared = await prepare();
      if (this.#steps === before && this.#isSettled) return use(prepared);
    }
    await this.#lock.beginRead(signal);
    try {
      return use(await prepare());
    } finally {
      this.#lock.endRead();
    }
  }

  /** Resolves when texts are there for every row that an answer may name. */
  async settled(): Promise<void> {
    if (this.#isSettled) return;
    await this.#lock.beginRead();
    this.#lock.endRead();
  }

  get #isSettled(): boolean {
    return this.#steps % 2 === 0 && this.index.rowCount === this.ids.count;
  }

  /** Looks up all ids that there are no later than now, so that each lookup is short. */
  async prepareIds(): Promise<void> {
    await this.ids.prepare(this.slices);
  }

  /** Runs a task that reads rows by number: they stay readable until it ends. */
  async reading<T>(task: () => Promise<T>): Promise<T> {
    this.beginReading();
    try {
      return await task();
    } finally {
      this.endReading();
    }
  }

  beginReading(): void {
    this.#readers++;
  }

  endReading(): void {
    this.#readers--;
    if (this.#readers === 0) this.#onUnread?.();
  }

  /** Resolves when the last reader is done and everything is let go of. */
  async retire(): Promise<void> {
    if (this.#readers > 0) {
      await new Promise<void>((resolve) => {
        this.#onUnread = resolve;
      });
    }
    await this.close();
  }

  /** Ends a `retire` that waits for readers. */
  hurry(): void {
    this.#onUnread?.();
  }

  /** Searches that run finish; reads that come later reject with CLOSED. Idempotent. */
  close(): Promise<void> {
    return this.index.close();
  }
}
