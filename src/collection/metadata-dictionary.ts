/**
 * The distinct strings under one metadata key, numbered in the order they came: codes. Kept as
 * bytes in pages, because JavaScript strings in a Map weigh twice as much and keep the
 * garbage collector busy.
 *
 * Order is that of JavaScript's `<`, by UTF-16 code units, which bytes of UTF-8 follow but for
 * what is beyond U+FFFF (`compareUnits`). A range filter compares every distinct string until that
 * has cost as much as sorting them once; from then on it is two binary searches.
 *
 * Lone surrogates, which JSON can escape, are kept as three bytes each (WTF-8), so that strings
 * that differ stay different.
 */
import { NearfieldError } from "../core/errors.ts";
import { HashSlots, hashBytes, NONE, type NumberedBytes } from "./hash-slots.ts";
import { utf8Length } from "./id-table.ts";

const PAGE_BITS = 20;
const PAGE_BYTES = 1 << PAGE_BITS;
/** Every text is preceded by its length. */
const LENGTH_BYTES = 2;
const MOST_LENGTH = 0xffff;
/** Codes looked at between two yields, about 0.1 ms. */
const STEP_CODES = 2048;

export class TextDictionary implements NumberedBytes {
  readonly #slots: HashSlots = new HashSlots(this);
  /** All of PAGE_BYTES but the first, which grows up to it. */
  readonly #pages: Uint8Array[] = [];
  #used = PAGE_BYTES;
  /** Of each code: page, and offset there. */
  #addresses = new Uint32Array(16);
  #count = 0;
  /** Codes in the order of their strings: of the first so many. */
  #sorted: Uint32Array = new Uint32Array(0);
  /** Comparisons that range filters have spent on strings not sorted. */
  #compared = 0;

  get count(): number {
    return this.#count;
  }

  get sizeBytes(): number {
    const pages = this.#pages.reduce((sum, page) => sum + page.length, 0);
    return pages + this.#slots.sizeBytes + this.#addresses.byteLength + this.#sorted.byteLength;
  }

  /** Whether range filters already search instead of comparing; tests look at it. */
  get isSorted(): boolean {
    return this.#count > 0 && this.#sorted.length === this.#count;
  }

  /** The code of a text given as bytes (WTF-8); a new one if need be. */
  codeOf(bytes: Uint8Array, start: number, end: number): number {
    const hash = hashBytes(bytes, start, end);
    const known = this.#slots.find(hash, bytes, start, end);
    if (known !== NONE) return known;
    const code = this.#count;
    this.#keep(bytes, start, end);
    this.#slots.put(hash, bytes, start, end, code);
    return code;
  }

  /** The code of a text, or NONE. */
  find(text: string): number {
    // Most are short and ASCII: nothing is allocated for them.
    const { length } = text;
    if (length <= scratch.length) {
      let end = 0;
      for (; end < length; end++) {
        const unit = text.charCodeAt(end);
        if (unit > 0x7f) break;
        scratch[end] = unit;
      }
      if (end === length) return this.#slots.find(hashBytes(scratch, 0, end), scratch, 0, end);
    }
    const bytes = encodeText(text);
    return this.#slots.find(hashBytes(bytes, 0, bytes.length), bytes, 0, bytes.length);
  }

  isSame(code: number, bytes: Uint8Array, start: number, end: number): boolean {
    const address = this.#addresses[code] ?? 0;
    const page = this.#pages[address >>> PAGE_BITS];
    if (page === undefined) return false;
    let at = address & (PAGE_BYTES - 1);
    if (((page[at] ?? 0) | ((page[at + 1] ?? 0) << 8)) !== end - start) return false;
    at += LENGTH_BYTES;
    for (let i = start; i < end; i++, at++) if (page[at] !== bytes[i]) return false;
    return true;
  }

  /** Marks the codes of all strings that are before, at or after `text`, as asked for, with 1. Yields its work. */
  *between(
    { text, isAbove, isEqual }: { readonly text: string; readonly isAbove: boolean; readonly isEqual: boolean },
    into: Uint8Array,
  ): Generator<number, void> {
    const bytes = encodeText(text);
    const count = Math.min(this.#count, into.length);
    yield* this.#sortIfWorthwhile(count);
    const isIn = (code: number): boolean => {
      const order = this.#compareWith(code, bytes);
      return order === 0 ? isEqual : order > 0 === isAbove;
    };
    // In the sorted part what is in lies together, at the end or at the beginning.
    const sorted = this.#sorted;
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isIn(sorted[middle] ?? 0) === isAbove) high = middle;
      else low = middle + 1;
    }
    const [from, to] = isAbove ? [low, sorted.length] : [0, low];
    for (let i = from; i < to; i++) into[sorted[i] ?? 0] = 1;
    yield (to - from) >>> 3;
    for (let code = sorted.length; code < count; code++) {
      if (isIn(code)) into[code] = 1;
      if (code % STEP_CODES === STEP_CODES - 1) yield STEP_CODES * 4;
    }
    this.#compared += count - sorted.length;
  }

  *#sortIfWorthwhile(count: number): Generator<number, void> {
    if (count === this.#sorted.length || this.#compared < count * Math.log2(count + 1)) return;
    const fresh = Uint32Array.from({ length: count }, (_, code) => code);
    yield count;
    const sorted = yield* mergeSorted(fresh, (a, b) => this.#compareCodes(a, b));
    this.#compared = 0;
    this.#sorted = sorted;
  }

  #compareCodes(a: number, b: number): number {
    const left = this.#bytesOf(a);
    const right = this.#bytesOf(b);
    return compareUnits(left.page, left.start, left.end, right.page, right.start, right.end);
  }

  #compareWith(code: number, bytes: Uint8Array): number {
    const { page, start, end } = this.#bytesOf(code);
    return compareUnits(page, start, end, bytes, 0, bytes.length);
  }

  #bytesOf(code: number): { page: Uint8Array; start: number; end: number } {
    const address = this.#addresses[code] ?? 0;
    const page = this.#pages[address >>> PAGE_BITS];
    if (page === undefined) throw new Error(`code ${code} of ${this.#count}`);
    const at = address & (PAGE_BYTES - 1);
    const start = at + LENGTH_BYTES;
    return { page, start, end: start + ((page[at] ?? 0) | ((page[at + 1] ?? 0) << 8)) };
  }

  /** Appends a text that is not there yet. */
  #keep(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start;
    const index = this.#used + LENGTH_BYTES + size > PAGE_BYTES ? this.#pages.length : this.#pages.length - 1;
    if (size > MOST_LENGTH || index >= 2 ** (32 - PAGE_BITS)) throw tooMuchText(size);
    if (index === this.#pages.length) {
      this.#pages.push(new Uint8Array(index === 0 ? Math.max(1024, size + LENGTH_BYTES) : PAGE_BYTES));
      this.#used = 0;
    }
    let page = this.#pages[index] ?? new Uint8Array(0);
    const needed = this.#used + LENGTH_BYTES + size;
    if (needed > page.length) {
      const grown = new Uint8Array(Math.min(PAGE_BYTES, Math.max(needed, page.length * 2)));
      grown.set(page);
      page = grown;
      this.#pages[index] = page;
    }
    if (this.#count === this.#addresses.length) {
      const grown = new Uint32Array(Math.ceil(this.#count * 1.5));
      grown.set(this.#addresses);
      this.#addresses = grown;
    }
    this.#addresses[this.#count++] = index * PAGE_BYTES + this.#used;
    page[this.#used] = size & 0xff;
    page[this.#used + 1] = size >>> 8;
    for (let i = start, at = this.#used + LENGTH_BYTES; i < end; i++, at++) page[at] = bytes[i] ?? 0;
    this.#used = needed;
  }
}

function tooMuchText(size: number): NearfieldError {
  return new NearfieldError("TOO_LARGE", {
    got: size > MOST_LENGTH ? `a metadata string of ${size} bytes` : "4 GiB of distinct strings under one metadata key",
    expected: `strings of at most ${MOST_LENGTH} bytes, and less than 4 GiB of them under a key that is filtered on`,
    remedy: "filter on a shorter key, such as a category or a hash of the text",
  });
}

const encoder = new TextEncoder();
const scratch = new Uint8Array(256);

/** UTF-8, with lone surrogates as three bytes each. */
export function encodeText(text: string): Uint8Array {
  if (utf8Length(text, Infinity) !== undefined) return encoder.encode(text);
  const pieces: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code >= 0xd800 && code <= 0xdfff) {
      pieces.push(0xe0 | (code >>> 12), 0x80 | ((code >>> 6) & 0x3f), 0x80 | (code & 0x3f));
    } else pieces.push(...encoder.encode(character));
  }
  return Uint8Array.from(pieces);
}

/** The order of two texts by UTF-16 code units, from their WTF-8: below, at or above 0. */
export function compareUnits(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  let i = aStart;
  let j = bStart;
  while (i < aEnd && j < bEnd && a[i] === b[j]) {
    i++;
    j++;
  }
  if (i === aEnd || j === bEnd) return aEnd - i - (bEnd - j);
  const x = a[i] ?? 0;
  const y = b[j] ?? 0;
  // Bytes have the order of code points; code units differ where what is beyond U+FFFF meets U+D800 … U+FFFF.
  if (x < 0xed || y < 0xed) return x - y;
  const first = unitAt(a, i, aEnd) - unitAt(b, j, bEnd);
  if (first !== 0) return first;
  // A lone surrogate and a pair that begins with the same one: what follows it decides.
  return followingUnit(a, i, aEnd) - followingUnit(b, j, bEnd);
}

/** The first code unit of the character whose first byte is at `at`; −1 at the end. */
function unitAt(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return -1;
  const lead = bytes[at] ?? 0;
  const next = (offset: number): number => (bytes[at + offset] ?? 0) & 0x3f;
  if (lead < 0x80) return lead;
  if (lead < 0xe0) return ((lead & 0x1f) << 6) | next(1);
  if (lead < 0xf0) return ((lead & 0x0f) << 12) | (next(1) << 6) | next(2);
  return 0xd800 + (((((lead & 7) << 18) | (next(1) << 12) | (next(2) << 6)) - 0x10000) >> 10);
}

/** The code unit after the first one of the character at `at`, whose lead byte is 0xed or more. */
function followingUnit(bytes: Uint8Array, at: number, end: number): number {
  if ((bytes[at] ?? 0) < 0xf0) return unitAt(bytes, at + 3, end);
  return 0xdc00 | (((bytes[at + 2] ?? 0) & 0x0f) << 6) | ((bytes[at + 3] ?? 0) & 0x3f);
}

/** Merge sort from the bottom up: what it has done so far can wait at any point. Yields about 8 a comparison. */
function* mergeSorted(values: Uint32Array, compare: (a: number, b: number) => number): Generator<number, Uint32Array> {
  let from = values;
  let to: Uint32Array = new Uint32Array(values.length);
  let work = 0;
  for (let width = 1; width < values.length; width *= 2) {
    for (let start = 0; start < values.length; start += 2 * width) {
      const middle = Math.min(start + width, values.length);
      const end = Math.min(start + 2 * width, values.length);
      let left = start;
      let right = middle;
      for (let i = start; i < end; i++) {
        const takesLeft = left < middle && (right === end || compare(from[left] ?? 0, from[right] ?? 0) <= 0);
        to[i] = (takesLeft ? from[left++] : from[right++]) ?? 0;
        if (++work < STEP_CODES) continue;
        yield work * 8;
        work = 0;
      }
    }
    [from, to] = [to, from];
  }
  return from;
}
