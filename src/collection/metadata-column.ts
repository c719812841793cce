/**
 * All values under one metadata key, by block of rows and by type, as filters look at them. A
 * row's value is a set of scalars: one, or the elements of its array; `present` tells an empty
 * array from a key that is not there. Knows nothing of filters, nor where its rows come from.
 */
import type { Metadata } from "./metadata.ts";
import { encodeText, TextDictionary } from "./metadata-dictionary.ts";
import { BLOCK_ROWS, BLOCK_WORDS, CodeEntries, NumberEntries } from "./metadata-entries.ts";
import { readNumber } from "./metadata-scan.ts";

/** What is undefined there is not in the block. */
export interface ColumnBlock {
  readonly present: Uint32Array;
  nulls?: Uint32Array;
  trues?: Uint32Array;
  falses?: Uint32Array;
  numbers?: NumberEntries;
  strings?: CodeEntries;
}

const BACKSLASH = 0x5c;
const QUOTE = 0x22;
const CLOSE_LIST = 0x5d;
const COMMA = 0x2c;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export class KeyColumn {
  readonly dictionary: TextDictionary = new TextDictionary();
  readonly #blocks: (ColumnBlock | undefined)[] = [];
  #rowCount = 0;

  /** Rows that were added, with or without the key. */
  get rowCount(): number {
    return this.#rowCount;
  }

  /** The block of rows `index · BLOCK_ROWS` and on; undefined where none has the key. */
  block(index: number): ColumnBlock | undefined {
    return this.#blocks[index];
  }

  get sizeBytes(): number {
    let size = this.dictionary.sizeBytes;
    for (const block of this.#blocks) {
      if (block === undefined) continue;
      for (const bits of [block.present, block.nulls, block.trues, block.falses]) size += bits?.byteLength ?? 0;
      size += (block.numbers?.sizeBytes ?? 0) + (block.strings?.sizeBytes ?? 0);
    }
    return size;
  }

  /** Adds a row that does not have the key. */
  addMissing(): void {
    this.#finishRow();
  }

  /** Adds a row whose value JSON.parse gave; undefined: it does not have the key. */
  addValue(value: Metadata[string] | undefined): void {
    if (value !== undefined) {
      const block = this.#blockWithRow();
      if (typeof value === "object" && value !== null) for (const item of value) this.#addScalar(block, item);
      else this.#addScalar(block, value);
    }
    this.#finishRow();
  }

  /** Adds a row whose value is the JSON of bytes `start … end − 1`, as metadata-scan.ts found it; false, and no row, when it is no value. */
  addJson(bytes: Uint8Array, start: number, end: number): boolean {
    const block = this.#blockWithRow();
    switch (bytes[start] ?? 0) {
      case QUOTE:
        this.#addText(block, bytes, start, end);
        break;
      case 0x5b:
        if (!this.#addList(block, bytes, start, end)) return false;
        break;
      case 0x74:
        this.#addScalar(block, true);
        break;
      case 0x66:
        this.#addScalar(block, false);
        break;
      case 0x6e:
        this.#addScalar(block, null);
        break;
      default:
        if (!this.#addNumber(block, bytes, start, end)) return false;
    }
    this.#finishRow();
    return true;
  }

  #addList(block: ColumnBlock, bytes: Uint8Array, start: number, end: number): boolean {
    for (let at = start + 1; at < end - 1; at++) {
      const itemStart = at;
      if (bytes[at] === QUOTE) {
        for (at++; bytes[at] !== QUOTE && at < end; at++) if (bytes[at] === BACKSLASH) at++;
        this.#addText(block, bytes, itemStart, ++at);
      } else {
        while (at < end && bytes[at] !== COMMA && bytes[at] !== CLOSE_LIST) at++;
        if (!this.#addNumber(block, bytes, itemStart, at)) return false;
      }
    }
    return true;
  }

  #addNumber(block: ColumnBlock, bytes: Uint8Array, start: number, end: number): boolean {
    const value = readNumber(bytes, start, end);
    if (Number.isNaN(value)) return false;
    this.#numbers(block).push(this.#rowCount % BLOCK_ROWS, value);
    return true;
  }

  /** A string, its quotes included. */
  #addText(block: ColumnBlock, bytes: Uint8Array, start: number, end: number): void {
    let at = start + 1;
    while (at < end && bytes[at] !== BACKSLASH) at++;
    if (at === end) {
      this.#strings(block).push(this.#rowCount % BLOCK_ROWS, this.dictionary.codeOf(bytes, start + 1, end - 1));
      return;
    }
    const text: unknown = JSON.parse(decoder.decode(bytes.subarray(start, end)));
    if (typeof text === "string") this.#addScalar(block, text);
  }

  #addScalar(block: ColumnBlock, value: string | number | boolean | null): void {
    const row = this.#rowCount % BLOCK_ROWS;
    if (typeof value === "number") this.#numbers(block).push(row, value);
    else if (typeof value === "string") {
      const bytes = encodeText(value);
      this.#strings(block).push(row, this.dictionary.codeOf(bytes, 0, bytes.length));
    } else {
      const kind = value === null ? "nulls" : value ? "trues" : "falses";
      const bits = (block[kind] ??= new Uint32Array(BLOCK_WORDS));
      bits[row >>> 5] = (bits[row >>> 5] ?? 0) | (1 << (row & 31));
    }
  }

  #numbers(block: ColumnBlock): NumberEntries {
    return (block.numbers ??= new NumberEntries());
  }

  #strings(block: ColumnBlock): CodeEntries {
    return (block.strings ??= new CodeEntries());
  }

  /** The block of the row being added, which has the key. */
  #blockWithRow(): ColumnBlock {
    const row = this.#rowCount;
    const block = (this.#blocks[Math.floor(row / BLOCK_ROWS)] ??= { present: new Uint32Array(BLOCK_WORDS) });
    const word = (row % BLOCK_ROWS) >>> 5;
    block.present[word] = (block.present[word] ?? 0) | (1 << (row & 31));
    return block;
  }

  #finishRow(): void {
    this.#rowCount++;
    if (this.#rowCount % BLOCK_ROWS !== 0) return;
    const block = this.#blocks[this.#rowCount / BLOCK_ROWS - 1];
    block?.numbers?.trim();
    block?.strings?.trim();
  }
}
