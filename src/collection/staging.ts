/**
 * Takes in the records of an upsert one by one: checks them, turns them into what is stored, and
 * sees to it that each id counts once, the last time. Few of them stay in memory, for the journal;
 * more go into a segment as they come, so that a stream of any length takes a few mebibytes of
 * vectors. Nothing shows before the change is committed, and nothing is left when it is not.
 */
import { abortedError, describe, type ErrorCode, NearfieldError } from "../core/errors.ts";
import { STORAGE_LIMITS } from "../core/limits.ts";
import type { WorkSlices } from "../core/slices.ts";
import { StoredColumnWriter } from "../core/stored-column-writer.ts";
import type { StoredColumn, StoredColumnShape } from "../core/stored-column.ts";
import type { CollectionSettings } from "../storage/manifest.ts";
import type { RecordBatch, TextColumn } from "../storage/record-batch.ts";
import { selectRecords } from "../storage/record-selection.ts";
import type { SegmentRef } from "../storage/segment-facts.ts";
import type { UpsertOptions, VectorRecord } from "./contract.ts";
import { IdTable, idProblem } from "./id-table.ts";
import { checkMetadata } from "./metadata.ts";
import type { NewSegment, SegmentStore } from "./segment-store.ts";
import { TextRows } from "./text-rows.ts";

/** Records that are ready to be committed. */
export interface Staged {
  /** Records, those in `retired` included. */
  readonly count: number;
  readonly ids: IdTable;
  /** For the journal; else they are in `segment`. */
  readonly batch: RecordBatch | undefined;
  readonly segment: SegmentRef | undefined;
  /** Vectors of all records; undefined: there are too many to keep, and `segment` has them. */
  readonly vectors: readonly StoredColumn[] | undefined;
  /** In a segment: the records that a later one of the same id took the place of. */
  readonly retired: Uint32Array | undefined;
  /** Ids and metadata of all records, in order. */
  readonly texts: readonly Pick<RecordBatch, "ids" | "metadata">[];
  readonly duplicates: number;
  readonly rejected: { readonly id: string; readonly reason: string }[];
}

/** Why a record cannot be stored. */
interface Refusal {
  readonly code: ErrorCode;
  readonly reason: string;
}

/** How records are taken in. */
export interface TakeOptions {
  readonly skipsInvalid: boolean;
  readonly signal: AbortSignal | undefined;
  /** Records so far. */
  readonly onTaken: (done: number) => void;
  readonly onReject: UpsertOptions["onReject"];
}

export class Staging {
  readonly #settings: CollectionSettings;
  readonly #shape: StoredColumnShape;
  readonly #segments: SegmentStore;
  readonly #slices: WorkSlices;
  readonly #ids = new IdTable();
  readonly #vectors: StoredColumnWriter;
  readonly #texts: Pick<RecordBatch, "ids" | "metadata">[] = [];
  #held: StoredColumn[] | undefined = [];
  #heldBytes = 0;
  /** The chunk that is being written: the next one is staged meanwhile. */
  #writing: Promise<void> = Promise.resolve();
  readonly #rejected: { id: string; reason: string }[] = [];
  #position = 0;
  /** Of the records that are not in the segment yet. */
  #metadata = new TextRows();
  #flushed = 0;
  #flushedIdBytes = 0;
  #duplicates = 0;
  #segment: NewSegment | undefined;

  constructor(settings: CollectionSettings, shape: StoredColumnShape, segments: SegmentStore, slices: WorkSlices) {
    this.#settings = settings;
    this.#shape = shape;
    this.#segments = segments;
    this.#slices = slices;
    this.#vectors = new StoredColumnWriter(settings);
  }

  /** Takes in all records. Rejects with what is wrong with the first bad one, unless `skipsInvalid`; as the iterable does; ABORTED. */
  async takeAll(records: Iterable<VectorRecord> | AsyncIterable<VectorRecord>, options: TakeOptions): Promise<void> {
    const { signal } = options;
    const take = async (record: unknown): Promise<void> => {
      const turn = this.#slices.take(this.#cost(record));
      if (turn !== undefined) {
        options.onTaken(this.#position);
        await turn;
      }
      if (signal?.aborted === true) throw abortedError(signal);
      const refusal = this.#take(record);
      if (refusal !== undefined) this.#refuse(record, refusal, options);
      this.#position++;
      if (this.#isFull) await this.#flush();
    };
    if (Symbol.iterator in records) for (const record of records) await take(record);
    else for await (const record of records) await take(record);
    options.onTaken(this.#position);
  }

  /** The last call. What lies in a segment is durable when it resolves. */
  async finish(): Promise<Staged> {
    const shared = { ids: this.#ids, duplicates: this.#duplicates, rejected: this.#rejected };
    if (this.#segment === undefined) {
      const all = this.#chunk();
      const batch = this.#duplicates === 0 ? all : selectRecords(all, liveRows(this.#ids));
      const ids = this.#duplicates === 0 ? this.#ids : tableOf(batch.ids);
      return {
        ...shared,
        ids,
        count: batch.count,
        batch,
        segment: undefined,
        retired: undefined,
        texts: [batch],
        vectors: [batch.vectors],
      };
    }
    await this.#flush();
    await this.#writing;
    const segment = await this.#segment.finish();
    const { count } = this.#ids;
    const retired = this.#duplicates === 0 ? undefined : retiredOf(this.#ids);
    return { ...shared, count, batch: undefined, segment, retired, texts: this.#texts, vectors: this.#held };
  }

  /** Instead of `finish`: leaves no file behind. */
  async discard(): Promise<void> {
    await this.#writing.catch(() => {}); // what failed is told already, or is of no interest
    await this.#segment?.discard();
  }

  #cost(record: unknown): number {
    const metadata: unknown =
      typeof record === "object" && record !== null ? Reflect.get(record, "metadata") : undefined;
    return this.#shape.rowBytes / 2 + (metadata === undefined ? 0 : METADATA_ELEMENTS) + RECORD_ELEMENTS;
  }

  /** Takes a record in, or returns why it cannot be stored. */
  #take(record: unknown): Refusal | undefined {
    if (typeof record !== "object" || record === null) {
      return { code: "INVALID_OPTION", reason: `is ${describe(record)}, not an object with id and vector` };
    }
    const { id, vector, metadata }: { id?: unknown; vector?: unknown; metadata?: unknown } = record;
    const problem = idProblem(id);
    if (typeof id !== "string" || problem !== undefined)
      return { code: "INVALID_OPTION", reason: `has an id that ${problem}` };
    const checked = metadata === undefined ? NO_METADATA : checkMetadata(metadata);
    if (!checked.isValid) return { code: "INVALID_OPTION", reason: `has ${checked.reason}` };
    const given = vector as VectorRecord["vector"]; // the writer looks at what it is
    const length = this.#vectors.lengthReason(given);
    if (length !== undefined) return { code: "INVALID_DIMENSIONS", reason: `has ${length}` };
    const refusal = this.#vectors.push(given);
    if (refusal !== undefined) return { code: "INVALID_VECTOR", reason: `has ${refusal.replace(/,$/, "")}` };
    this.#metadata.appendText(checked.json);
    if (this.#ids.add(id) !== undefined) this.#duplicates++;
    return undefined;
  }

  #refuse(record: unknown, { code, reason }: Refusal, { skipsInvalid, onReject }: TakeOptions): void {
    const id: unknown = typeof record === "object" && record !== null ? Reflect.get(record, "id") : undefined;
    if (skipsInvalid) {
      const rejected = { id: typeof id === "string" ? id.slice(0, ID_SHOWN) : describe(id), reason };
      this.#rejected.push(rejected);
      onReject?.({ position: this.#position, ...rejected });
      return;
    }
    throw new NearfieldError(code, {
      got: `record ${this.#position}${typeof id === "string" ? ` (${describe(id)})` : ""}, which ${reason}`,
      expected: `an id, ${this.#settings.dimensions} finite numbers, and plain metadata`,
      remedy: 'correct it, or use onInvalid: "skip" to leave such records out; nothing of this call was written',
      details: { position: this.#position, id, reason },
    });
  }

  /** A journal record leaves an eighth, a mebibyte, for its head and the largest record: that is taken in before it is looked how much there is. */
  get #isFull(): boolean {
    const { count, sizeBytes } = this.#vectors;
    const textBytes = this.#ids.textBytes - this.#flushedIdBytes + this.#metadata.textBytes;
    const bytes = sizeBytes + count * OVERHEAD_BYTES + textBytes;
    const most = STORAGE_LIMITS.journalRecordBytes;
    return bytes > (this.#segment === undefined ? most - most / 8 : STORAGE_LIMITS.stagedBytes);
  }

  /** What has not been flushed. */
  #chunk(): RecordBatch {
    const count = this.#vectors.count;
    const ids = this.#ids.column(this.#flushed, count);
    const metadata = this.#metadata.column(0, count);
    return { count, ids, metadata, vectors: this.#vectors.take() };
  }

  async #flush(): Promise<void> {
    this.#segment ??= await this.#segments.create();
    const chunk = this.#chunk();
    if (chunk.count === 0) return;
    await this.#writing;
    this.#writing = this.#segment.append(chunk);
    this.#writing.catch(() => {}); // told by whoever waits for it next
    this.#slices.reset();
    this.#hold(chunk.vectors);
    this.#texts.push({ ids: chunk.ids, metadata: chunk.metadata });
    this.#metadata = new TextRows();
    this.#flushed += chunk.count;
    this.#flushedIdBytes = this.#ids.textBytes;
  }

  #hold(vectors: StoredColumn): void {
    this.#heldBytes += vectors.rows.length;
    if (this.#heldBytes > STORAGE_LIMITS.heldBytes) this.#held = undefined;
    this.#held?.push(vectors);
  }
}

/** Elements of a slice that taking a record costs beside its vector, and that reading metadata costs. */
const RECORD_ELEMENTS = 128;
const METADATA_ELEMENTS = 512;
/** Of a record in the journal beside its row and texts: term, scale and two offsets. */
const OVERHEAD_BYTES = 16;
/** Characters of a rejected id that are told. */
const ID_SHOWN = 600;
const NO_METADATA = { isValid: true, json: "" } as const;

function retiredOf(ids: IdTable): Uint32Array {
  const bits = new Uint32Array(Math.ceil(ids.count / 32));
  for (let row = 0; row < ids.count; row++) {
    if (!ids.isLive(row)) bits[row >>> 5] = (bits[row >>> 5] ?? 0) | (1 << (row & 31));
  }
  return bits;
}

function liveRows(ids: IdTable): number[] {
  return Array.from({ length: ids.count }, (_, row) => row).filter((row) => ids.isLive(row));
}

function tableOf(ids: TextColumn): IdTable {
  const table = new IdTable();
  table.append(ids);
  return table;
}
