/**
 * Which row an id names: `rowOf`, `idOf`. Ids lie as UTF-8 in their columns; the hash over them is
 * built on first use, in slices by `prepare`, so that opening costs nothing an id. Rows are never
 * taken away, only retired; of rows with the same id that are not retired the last one counts.
 * Whether a search may find a row is the index's business, not this table's.
 */
import { describe } from "../core/errors.ts";
import { TABLE_LIMITS } from "../core/limits.ts";
import { hasBit, resizedBits, setBitRange } from "../core/rowset.ts";
import type { WorkSlices } from "../core/slices.ts";
import type { TextColumn } from "../storage/record-batch.ts";
import { HashSlots, hashBytes, NONE } from "./hash-slots.ts";
import { TextRows } from "./text-rows.ts";

/** Why `id` cannot be one, as the rest of a sentence that begins with it; undefined when it can. */
export function idProblem(id: unknown): string | undefined {
  if (typeof id !== "string") return `is ${describe(id)}, not a string`;
  if (id === "") return "is empty";
  const size = utf8Length(id, TABLE_LIMITS.idBytes);
  if (size === undefined) return "holds a lone surrogate, which UTF-8 cannot express";
  if (size > TABLE_LIMITS.idBytes) return `is longer than ${TABLE_LIMITS.idBytes} bytes of UTF-8`;
  return undefined;
}

/** Rows that are indexed between two looks at the slices. */
const STEP_ROWS = 1024;
/** An indexed row takes as long as so many elements of a slice: hashing, and a look into two cold cache lines. At first, while nothing is compiled, as so many more. */
const ROW_ELEMENTS = 16;
const COLD_ROWS = 16_384;
const COLD_FACTOR = 8;

export class IdTable {
  readonly #ids: TextRows;
  readonly #slots: HashSlots;
  /** Rows that `#slots` knows about. */
  #indexed = 0;
  /** Bit of a row set: it no longer stands for its id. */
  #retired: Uint32Array = new Uint32Array(0);
  /** Bytes of the id last asked for. */
  readonly #scratch = new Uint8Array(TABLE_LIMITS.idBytes);

  constructor(ids: TextRows = new TextRows()) {
    this.#ids = ids;
    this.#slots = new HashSlots({ isSame: (row, bytes, start, end) => this.#isSame(row, bytes, start, end) });
  }

  /** Rows, retired ones included. */
  get count(): number {
    return this.#ids.count;
  }

  /** Bytes of all ids. */
  get textBytes(): number {
    return this.#ids.textBytes;
  }

  /** Memory held. */
  get sizeBytes(): number {
    return this.#ids.sizeBytes + this.#slots.sizeBytes + this.#retired.byteLength;
  }

  /**
   * Adds rows `count … count + n − 1`. `ids` must be valid, and are kept, not copied, when there are
   * many. `retired`: bitmap over the new rows of those that do not stand for their id.
   */
  append(ids: TextColumn, retired?: Uint32Array): void {
    const first = this.#ids.count;
    this.#ids.append(ids);
    this.#fitRetired();
    if (retired === undefined) return;
    for (let i = 0; i < retired.length; i++) {
      for (let word = retired[i] ?? 0; word !== 0; word &= word - 1) {
        const row = first + i * 32 + (31 - Math.clz32(word & -word));
        if (row < this.#ids.count) this.#setRetired(row, true);
      }
    }
  }

  /** Adds rows that do not stand for their ids yet: `set` makes each of them. */
  appendRetired(ids: TextColumn): void {
    const first = this.#ids.count;
    this.#ids.append(ids);
    this.#fitRetired();
    setBitRange(this.#retired, first, this.#ids.count);
  }

  /** Adds a row that stands for a valid id, and returns the one that did. */
  add(id: string): number | undefined {
    this.#indexUpTo(this.#ids.count);
    const row = this.#ids.count;
    this.#ids.appendText(id);
    this.#fitRetired();
    this.#indexed = row + 1;
    return this.#index(row);
  }

  /** Adds a row for each id; they must be valid. */
  appendIds(ids: Iterable<string>): void {
    for (const id of ids) this.#ids.appendText(id);
    this.#fitRetired();
  }

  /** The id of row 0 ≤ row < count, retired or not. */
  idOf(row: number): string {
    return this.#ids.textOf(row);
  }

  /** A copy of the ids of rows `first … first + count − 1`. */
  column(first: number, count: number): TextColumn {
    return this.#ids.column(first, count);
  }

  /**
   * The row that stands for the id: the last one of that id that is not retired. Indexes first what
   * is not indexed yet, in one stretch; `prepare` does that in slices.
   */
  rowOf(id: string): number | undefined {
    this.#indexUpTo(this.#ids.count);
    const end = this.#encode(id);
    return end === undefined ? undefined : this.#find(this.#scratch, 0, end);
  }

  /** The row that stands for id `index` of a column. */
  rowOfColumn({ offsets, bytes }: TextColumn, index: number): number | undefined {
    this.#indexUpTo(this.#ids.count);
    return this.#find(bytes, offsets[index] ?? 0, offsets[index + 1] ?? 0);
  }

  /** The row that stands here for the id of another table's row. */
  rowOfOther(other: IdTable, row: number): number | undefined {
    this.#indexUpTo(this.#ids.count);
    const { bytes, start, end } = other.#span(row);
    return this.#find(bytes, start, end);
  }

  /** Indexes the rows there are, in slices. */
  async prepare(slices: WorkSlices): Promise<void> {
    this.#slots.reserve(this.#ids.count);
    while (this.#indexed < this.#ids.count) {
      const end = Math.min(this.#indexed + STEP_ROWS, this.#ids.count);
      const work = (end - this.#indexed) * ROW_ELEMENTS;
      const turn = slices.take(end <= COLD_ROWS ? Math.min(work * COLD_FACTOR, slices.budget) : work);
      if (turn !== undefined) await turn;
      this.#indexUpTo(Math.min(end, this.#ids.count));
    }
  }

  /** Makes `row` stand for its id, retired or not, and retires the one that did; returns that one. */
  set(row: number): number | undefined {
    this.#checkRow(row);
    this.#indexUpTo(this.#ids.count);
    this.#setRetired(row, false);
    const before = this.#index(row);
    return before === row ? undefined : before;
  }

  /** The row no longer stands for its id; false when it did not. */
  retire(row: number): boolean {
    this.#checkRow(row);
    if (hasBit(this.#retired, row)) return false;
    this.#setRetired(row, true);
    if (row < this.#indexed) {
      const { bytes, start, end } = this.#span(row);
      this.#slots.remove(hashBytes(bytes, start, end), row);
    }
    return true;
  }

  /** Whether the row stands for its id. Of equal ids only the last: known once `prepare` has indexed them. */
  isLive(row: number): boolean {
    return row >= 0 && row < this.#ids.count && !hasBit(this.#retired, row);
  }

  /** The table after rows were renumbered (old row → new row, 0xffffffff gone); this one stays as it is. */
  async compact(mapping: Uint32Array, slices: WorkSlices): Promise<IdTable> {
    const out = new IdTable(await this.#ids.compact(mapping, slices));
    out.#fitRetired();
    for (let word = 0; word < this.#retired.length; word++) {
      for (let rest = this.#retired[word] ?? 0; rest !== 0; rest &= rest - 1) {
        const row = mapping[word * 32 + (31 - Math.clz32(rest & -rest))];
        if (row !== undefined && row !== 0xffffffff) out.#setRetired(row, true);
      }
    }
    return out;
  }

  #find(bytes: Uint8Array, start: number, end: number): number | undefined {
    const row = this.#slots.find(hashBytes(bytes, start, end), bytes, start, end);
    return row === NONE ? undefined : row;
  }

  #indexUpTo(end: number): void {
    for (; this.#indexed < end; this.#indexed++) if (!hasBit(this.#retired, this.#indexed)) this.#index(this.#indexed);
  }

  /** Takes the row into the hash, in place of the one that it retires and returns. */
  #index(row: number): number | undefined {
    const { bytes, start, end } = this.#span(row);
    const before = this.#slots.put(hashBytes(bytes, start, end), bytes, start, end, row);
    if (before === NONE) return undefined;
    if (before !== row) this.#setRetired(before, true);
    return before;
  }

  #span(row: number): { bytes: Uint8Array; start: number; end: number } {
    const { first, offsets, bytes } = this.#ids.partOf(row);
    return { bytes, start: offsets[row - first] ?? 0, end: offsets[row - first + 1] ?? 0 };
  }

  #isSame(row: number, bytes: Uint8Array, start: number, end: number): boolean {
    const { first, offsets, bytes: own } = this.#ids.partOf(row);
    const base = offsets[row - first] ?? 0;
    if ((offsets[row - first + 1] ?? 0) - base !== end - start) return false;
    for (let i = start, at = base; i < end; i++, at++) if (own[at] !== bytes[i]) return false;
    return true;
  }

  /** Length of the id's UTF-8 in the scratch; undefined when it is none that a row could have. */
  #encode(id: string): number | undefined {
    const { length } = id;
    if (length > TABLE_LIMITS.idBytes) return undefined;
    for (let i = 0; i < length; i++) {
      const code = id.charCodeAt(i);
      if (code < 0x80) {
        this.#scratch[i] = code;
        continue;
      }
      if (idProblem(id) !== undefined) return undefined;
      return encoder.encodeInto(id, this.#scratch).written;
    }
    return length;
  }

  #checkRow(row: number): void {
    if (!(Number.isInteger(row) && row >= 0 && row < this.#ids.count))
      throw new Error(`row ${row} of ${this.#ids.count}`);
  }

  #setRetired(row: number, isRetired: boolean): void {
    const bit = 1 << (row & 31);
    const word = this.#retired[row >>> 5] ?? 0;
    this.#retired[row >>> 5] = isRetired ? word | bit : word & ~bit;
  }

  #fitRetired(): void {
    const words = (this.#ids.count + 31) >>> 5;
    if (words > this.#retired.length)
      this.#retired = resizedBits(this.#retired, Math.max(words, this.#retired.length * 2) * 32);
  }
}

const encoder = new TextEncoder();

/** Bytes of the text's UTF-8, counted no further than just beyond `most`; undefined when it holds a lone surrogate. */
export function utf8Length(text: string, most: number): number | undefined {
  let size = 0;
  for (let i = 0; i < text.length && size <= most; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) size++;
    else if (code < 0x800) size += 2;
    else if (code < 0xd800 || code > 0xdfff) size += 3;
    else {
      const next = text.charCodeAt(i + 1);
      if (code > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return undefined;
      size += 4;
      i++;
    }
  }
  return size;
}
