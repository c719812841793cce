/**
 * Sets of rows as bitmaps: filters of the public contract, and the liveness and eligibility
 * masks inside the engine. Bit r of word r >>> 5 is row r; bits beyond `size` are always zero,
 * so that words can be counted and combined without masking.
 */
import { describe, NearfieldError } from "./errors.ts";
import { LIMITS } from "./limits.ts";

/** Words of a bitmap of `size` rows. */
function wordCount(size: number): number {
  return Math.ceil(size / 32);
}

export function hasBit(bits: Uint32Array, row: number): boolean {
  return (((bits[row >>> 5] ?? 0) >>> (row & 31)) & 1) === 1;
}

/** Number of set bits of a 32-bit word. */
export function countWord(word: number): number {
  let w = word - ((word >>> 1) & 0x55555555);
  w = (w & 0x33333333) + ((w >>> 2) & 0x33333333);
  return Math.imul((w + (w >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Number of set bits. */
export function countBits(bits: Uint32Array): number {
  let count = 0;
  for (const word of bits) count += countWord(word);
  return count;
}

/** Clears the bits of the last word that lie beyond `size`. */
function clearSpare(bits: Uint32Array, size: number): void {
  const used = size & 31;
  const last = bits.length - 1;
  if (used !== 0 && last >= 0) bits[last] = (bits[last] ?? 0) & (0xffffffff >>> (32 - used));
}

/** A copy of `bits` as a bitmap of `size` rows; rows beyond the source are absent. */
export function resizedBits(bits: Uint32Array, size: number): Uint32Array {
  const out = new Uint32Array(wordCount(size));
  out.set(bits.subarray(0, out.length));
  clearSpare(out, size);
  return out;
}

/** Sets bits `first … end − 1`. */
export function setBitRange(bits: Uint32Array, first: number, end: number): void {
  for (let row = first; row < end; ) {
    if ((row & 31) === 0 && row + 32 <= end) {
      bits[row >>> 5] = 0xffffffff;
      row += 32;
    } else {
      bits[row >>> 5] = (bits[row >>> 5] ?? 0) | (1 << (row & 31));
      row++;
    }
  }
}

/** The bitmap of a set as it is now, without copying: later changes of the set leave it alone. Not to be written. */
export let heldBits: (set: RowSet) => Uint32Array;

/**
 * A set of rows out of `size` rows: a filter says which rows may be found.
 *
 * A search sees the set as it was when called; it may be changed right after. `size` must equal
 * the index's `rowCount` at that moment (`INVALID_FILTER_SIZE` otherwise). Memory: size / 8 bytes.
 */
export class RowSet {
  readonly size: number;
  #bits: Uint32Array;
  /** Set once a search holds the bitmap: the next change writes a copy. */
  #isHeld = false;

  static {
    heldBits = (set) => {
      set.#isHeld = true;
      return set.#bits;
    };
  }

  private constructor(bits: Uint32Array, size: number) {
    this.#bits = bits;
    this.size = size;
  }

  /** The set of the given row numbers. Throws `INVALID_ROW` for one that is not an integer in 0 … size − 1. */
  static of(rows: Iterable<number>, size: number): RowSet {
    const set = new RowSet(new Uint32Array(wordCount(checkedSize(size))), size);
    if (typeof rows !== "object" || rows === null || !(Symbol.iterator in rows)) {
      throw new NearfieldError("INVALID_ROW", {
        got: describe(rows),
        expected: "an array or other iterable of row numbers",
        remedy: "give the rows that may be found",
      });
    }
    for (const row of rows) set.add(row);
    return set;
  }

  /**
   * The set whose bit r of word r >>> 5 says whether row r is in it. The words are copied; bits
   * beyond `size` are ignored. Throws `INVALID_FILTER_SIZE` unless there are ceil(size / 32) words.
   */
  static fromBits(bits: Uint32Array, size: number): RowSet {
    checkedSize(size);
    if (!(bits instanceof Uint32Array)) {
      throw new NearfieldError("INVALID_FILTER", {
        got: `${describe(bits)} as bits`,
        expected: "a Uint32Array",
        remedy: "pack row r into bit r % 32 of word r / 32, or use RowSet.of",
      });
    }
    if (bits.length !== wordCount(size)) {
      throw new NearfieldError("INVALID_FILTER_SIZE", {
        got: `${bits.length} words for ${size} rows`,
        expected: `${wordCount(size)} words`,
        remedy: "give ceil(size / 32) words",
      });
    }
    return new RowSet(resizedBits(bits, size), size);
  }

  /** Number of rows in the set. Costs one pass over the bitmap. */
  get count(): number {
    return countBits(this.#bits);
  }

  /** Whether `row` is in the set; false for anything that is not one of its rows. */
  has(row: number): boolean {
    return Number.isInteger(row) && row >= 0 && row < this.size && hasBit(this.#bits, row);
  }

  /** Throws `INVALID_ROW` unless `row` is an integer in 0 … size − 1. */
  add(row: number): this {
    this.#prepareChange(row);
    this.#bits[row >>> 5] = (this.#bits[row >>> 5] ?? 0) | (1 << (row & 31));
    return this;
  }

  /** Throws `INVALID_ROW` unless `row` is an integer in 0 … size − 1. */
  delete(row: number): this {
    this.#prepareChange(row);
    this.#bits[row >>> 5] = (this.#bits[row >>> 5] ?? 0) & ~(1 << (row & 31));
    return this;
  }

  /** A copy of the bitmap, ceil(size / 32) words. */
  bits(): Uint32Array {
    return this.#bits.slice();
  }

  /** Rows in both sets, as a new set. Throws `INVALID_FILTER_SIZE` when the sizes differ. */
  and(other: RowSet): RowSet {
    const bits = this.#paired(other);
    const others = other.#bits;
    for (let i = 0; i < bits.length; i++) bits[i] = (bits[i] ?? 0) & (others[i] ?? 0);
    return new RowSet(bits, this.size);
  }

  /** Rows in either set, as a new set. Throws `INVALID_FILTER_SIZE` when the sizes differ. */
  or(other: RowSet): RowSet {
    const bits = this.#paired(other);
    const others = other.#bits;
    for (let i = 0; i < bits.length; i++) bits[i] = (bits[i] ?? 0) | (others[i] ?? 0);
    return new RowSet(bits, this.size);
  }

  /** Rows of 0 … size − 1 that are not in this set, as a new set. */
  not(): RowSet {
    const bits = this.#bits.map((word) => ~word);
    clearSpare(bits, this.size);
    return new RowSet(bits, this.size);
  }

  #paired(other: RowSet): Uint32Array {
    if (!(other instanceof RowSet)) {
      throw new NearfieldError("INVALID_FILTER", {
        got: describe(other),
        expected: "a RowSet",
        remedy: "make one with RowSet.of(rows, size)",
      });
    }
    if (other.size !== this.size) {
      throw new NearfieldError("INVALID_FILTER_SIZE", {
        got: `row sets of ${this.size} and ${other.size} rows`,
        expected: "sets of the same size",
        remedy: "build both for the same rowCount",
      });
    }
    return this.#bits.slice();
  }

  #prepareChange(row: number): void {
    if (!Number.isInteger(row) || row < 0 || row >= this.size) {
      throw new NearfieldError("INVALID_ROW", {
        got: `row ${describe(row)}`,
        expected: `an integer from 0 to ${this.size - 1}`,
        remedy: "use row numbers that add() handed out, and a size of the index's rowCount",
      });
    }
    if (!this.#isHeld) return;
    this.#bits = this.#bits.slice();
    this.#isHeld = false;
  }
}

function checkedSize(size: number): number {
  if (Number.isInteger(size) && size >= 0 && size <= LIMITS.maxRows) return size;
  throw new NearfieldError("INVALID_FILTER_SIZE", {
    got: `size ${describe(size)}`,
    expected: `an integer from 0 to ${LIMITS.maxRows}`,
    remedy: "give the index's rowCount",
  });
}
