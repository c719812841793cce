/**
 * Texts by row number, append-only: the ids or the metadata of a collection. Columns that come
 * from a file are adopted as they are, so opening costs nothing a row; single texts gather in a
 * tail of their own. What the texts mean, and which rows are alive, is not known here.
 */
import { TABLE_LIMITS } from "../core/limits.ts";
import { inSlices, type WorkSlices } from "../core/slices.ts";
import type { TextColumn } from "../storage/record-batch.ts";

/** Rows that lie together. Row `first + i` is the UTF-8 of bytes `offsets[i] … offsets[i + 1]`. */
export interface TextPart {
  readonly first: number;
  count: number;
  offsets: Uint32Array;
  bytes: Uint8Array;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

export class TextRows {
  readonly #parts: TextPart[] = [];
  /** The part that still grows; the last one, when there is one. */
  #tail: TextPart | undefined;
  #count = 0;
  #textBytes = 0;
  /** Where the last row asked for was: neighbours are asked for together. */
  #recent = 0;

  get count(): number {
    return this.#count;
  }

  /** Bytes of all texts. */
  get textBytes(): number {
    return this.#textBytes;
  }

  /** Bytes held, offsets and the tail's spare room included. */
  get sizeBytes(): number {
    return this.#parts.reduce((sum, { offsets, bytes }) => sum + offsets.byteLength + bytes.byteLength, 0);
  }

  /** Adds rows. A column of some size is kept, not copied: its owner writes no more to it. */
  append(column: TextColumn): void {
    const count = column.offsets.length - 1;
    const end = column.offsets[count];
    if (end === undefined || end > column.bytes.length || column.offsets[0] !== 0) {
      throw new Error(`a column of ${column.offsets.length} offsets up to ${end} over ${column.bytes.length} bytes`);
    }
    if (count === 0) return;
    if (end + count * 4 >= TABLE_LIMITS.adoptedTextBytes) {
      this.#parts.push({ first: this.#count, count, offsets: column.offsets, bytes: column.bytes });
      this.#tail = undefined;
    } else {
      const tail = this.#room(count, end);
      const base = tail.offsets[tail.count] ?? 0;
      tail.bytes.set(column.bytes.subarray(0, end), base);
      for (let i = 1; i <= count; i++) tail.offsets[tail.count + i] = base + (column.offsets[i] ?? 0);
      tail.count += count;
    }
    this.#count += count;
    this.#textBytes += end;
  }

  /** Adds one row. */
  appendText(text: string): void {
    // A UTF-16 code unit takes three bytes of UTF-8 at most.
    const tail = this.#room(1, text.length * 3);
    const base = tail.offsets[tail.count] ?? 0;
    const { written } = encoder.encodeInto(text, tail.bytes.subarray(base));
    tail.offsets[tail.count + 1] = base + written;
    tail.count++;
    this.#count++;
    this.#textBytes += written;
  }

  /** The part that row 0 ≤ row < count lies in. */
  partOf(row: number): TextPart {
    const recent = this.#parts[this.#recent];
    if (recent !== undefined && row >= recent.first && row < recent.first + recent.count) return recent;
    let low = 0;
    let high = this.#parts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#parts[middle]?.first ?? 0) <= row) low = middle;
      else high = middle - 1;
    }
    const part = this.#parts[low];
    if (part === undefined || row < part.first || row >= part.first + part.count) {
      throw new Error(`row ${row} of ${this.#count}`);
    }
    this.#recent = low;
    return part;
  }

  textOf(row: number): string {
    const { first, offsets, bytes } = this.partOf(row);
    return decoder.decode(bytes.subarray(offsets[row - first], offsets[row - first + 1]));
  }

  /** A copy of the texts of rows `first … first + count − 1`, in one stretch. */
  column(first: number, count: number): TextColumn {
    const offsets = new Uint32Array(count + 1);
    const spans: Uint8Array[] = [];
    for (let row = first; row < first + count; ) {
      const part = this.partOf(row);
      const at = row - part.first;
      const rows = Math.min(part.count - at, first + count - row);
      const from = part.offsets[at] ?? 0;
      const base = (offsets[row - first] ?? 0) - from;
      for (let i = 1; i <= rows; i++) offsets[row - first + i] = base + (part.offsets[at + i] ?? 0);
      spans.push(part.bytes.subarray(from, part.offsets[at + rows]));
      row += rows;
    }
    const bytes = new Uint8Array(offsets[count] ?? 0);
    let end = 0;
    for (const span of spans) {
      bytes.set(span, end);
      end += span.length;
    }
    return { offsets, bytes };
  }

  /** The same texts under new row numbers: old row → new row, 0xffffffff gone. Nothing may be appended meanwhile. */
  async compact(mapping: Uint32Array, slices: WorkSlices): Promise<TextRows> {
    const texts = await inSlices(this.#renumbered(mapping), slices, () => false);
    if (texts === undefined) throw new Error("stopped without being told to");
    return texts;
  }

  *#renumbered(mapping: Uint32Array): Generator<number, TextRows> {
    if (mapping.length !== this.#count) throw new Error(`a mapping of ${mapping.length} rows for ${this.#count}`);
    let kept = 0;
    for (let row = 0; row < mapping.length; row++) {
      if (mapping[row] !== GONE) kept++;
      if (row % STEP_ROWS === STEP_ROWS - 1) yield STEP_ROWS / 4;
    }
    const sources = new Uint32Array(kept).fill(GONE);
    for (let row = 0; row < mapping.length; row++) {
      const target = mapping[row] ?? GONE;
      if (row % STEP_ROWS === STEP_ROWS - 1) yield STEP_ROWS / 2;
      if (target === GONE) continue;
      if (target >= kept || sources[target] !== GONE) throw new Error(`row ${row} becomes ${target} of ${kept}`);
      sources[target] = row;
    }
    const out = new TextRows();
    for (let row = 0; row < kept; ) {
      const part = yield* this.#gathered(sources.subarray(row));
      out.append(part);
      row += part.offsets.length - 1;
    }
    return out;
  }

  /** The texts of these rows, or of as many of the first as a part may hold. */
  *#gathered(sources: Uint32Array): Generator<number, TextColumn> {
    let size = 0;
    let end = 0;
    for (; end < sources.length; end++) {
      const more = this.#sizeOf(sources[end] ?? 0);
      if (end > 0 && size + more > TABLE_LIMITS.textPartBytes) break;
      size += more;
      if (end % STEP_ROWS === STEP_ROWS - 1) yield STEP_ROWS / 2;
    }
    const rows = sources.subarray(0, end);
    const offsets = new Uint32Array(end + 1);
    const bytes = new Uint8Array(size);
    let work = 0;
    // Rows that were neighbours before are copied together.
    for (let i = 0; i < rows.length; ) {
      const row = rows[i] ?? 0;
      const part = this.partOf(row);
      const most = Math.min(part.first + part.count - row, rows.length - i, RUN_ROWS);
      const at = row - part.first;
      const from = part.offsets[at] ?? 0;
      let run = 1;
      while (run < most && rows[i + run] === row + run && (part.offsets[at + run] ?? 0) - from < RUN_BYTES) run++;
      const base = (offsets[i] ?? 0) - from;
      for (let j = 1; j <= run; j++) offsets[i + j] = base + (part.offsets[at + j] ?? 0);
      bytes.set(part.bytes.subarray(from, part.offsets[at + run]), offsets[i] ?? 0);
      work += 24 + run * 2 + (((offsets[i + run] ?? 0) - (offsets[i] ?? 0)) >>> 3);
      i += run;
      if (work < WORK_STEP) continue;
      yield work;
      work = 0;
    }
    yield work;
    return { offsets, bytes };
  }

  #sizeOf(row: number): number {
    const { first, offsets } = this.partOf(row);
    return (offsets[row - first + 1] ?? 0) - (offsets[row - first] ?? 0);
  }

  /** A tail with room for `rows` rows of `bytes` bytes. Doubling copies; beyond its limit a new tail begins instead. */
  #room(rows: number, bytes: number): TextPart {
    const tail = this.#tail;
    const used = tail?.offsets[tail.count] ?? 0;
    if (tail === undefined || (tail.count > 0 && used + bytes > TABLE_LIMITS.textTailBytes)) {
      const offsets = new Uint32Array(Math.max(16, rows + 1));
      const part = { first: this.#count, count: 0, offsets, bytes: new Uint8Array(Math.max(256, bytes)) };
      this.#parts.push(part);
      this.#tail = part;
      return part;
    }
    if (tail.count + rows + 1 > tail.offsets.length) {
      const offsets = new Uint32Array(Math.max(tail.offsets.length * 2, tail.count + rows + 1));
      offsets.set(tail.offsets);
      tail.offsets = offsets;
    }
    if (used + bytes > tail.bytes.length) {
      const grown = new Uint8Array(Math.max(tail.bytes.length * 2, used + bytes));
      grown.set(tail.bytes.subarray(0, used));
      tail.bytes = grown;
    }
    return tail;
  }
}

/** Of a mapping: the row is no more. */
const GONE = 0xffffffff;
/** Rows counted between two yields. */
const STEP_ROWS = 65_536;
/** Most rows and bytes, but for the last row's, copied by one call, so that the work between two yields is bounded. */
const RUN_ROWS = 4096;
const RUN_BYTES = 1 << 20;
const WORK_STEP = 1 << 14;
