/**
 * What a metadata key holds in one block of rows, for a type of value: (row, value) pairs in the
 * order of rows, a pair for each element of an array. As long as entry i is row i's, which is what
 * a key that every record has looks like, rows are not written down. Values start narrow and
 * widen when one does not fit, each block for itself.
 */

/** Rows of a block: a row number within it takes two bytes. */
export const BLOCK_ROWS = 65_536;
export const BLOCK_WORDS: number = BLOCK_ROWS / 32;

const FIRST_ENTRIES = 64;

abstract class Entries {
  #count = 0;
  /** Row within the block of each entry; undefined: entry i is row i. */
  #rows: Uint16Array | undefined;

  get count(): number {
    return this.#count;
  }

  get rows(): Uint16Array | undefined {
    return this.#rows;
  }

  /** Writes down the row of the next entry, `row` ≥ the last one; returns the entry's number. */
  protected pushRow(row: number, capacity: number): number {
    const at = this.#count++;
    if (this.#rows === undefined) {
      if (row === at) return at;
      this.#rows = new Uint16Array(Math.max(capacity, at + 1));
      for (let i = 0; i < at; i++) this.#rows[i] = i;
    } else if (at >= this.#rows.length) {
      const grown = new Uint16Array(Math.max(capacity, at + 1));
      grown.set(this.#rows);
      this.#rows = grown;
    }
    this.#rows[at] = row;
    return at;
  }

  protected trimRows(): void {
    this.#rows = this.#rows?.slice(0, this.#count);
  }

  /** Gives spare room back: nothing more will come. */
  abstract trim(): void;
  abstract get sizeBytes(): number;
}

/** Numbers: 4 bytes each while all are whole and fit, else 8. */
export class NumberEntries extends Entries {
  #values: Int32Array | Float64Array = new Int32Array(FIRST_ENTRIES);

  get values(): Int32Array | Float64Array {
    return this.#values;
  }

  get sizeBytes(): number {
    return this.#values.byteLength + (this.rows?.byteLength ?? 0);
  }

  push(row: number, value: number): void {
    const at = this.pushRow(row, this.#values.length * 2);
    if (this.#values instanceof Int32Array && (value | 0) !== value) this.#values = Float64Array.from(this.#values);
    if (at === this.#values.length) {
      const grown = this.#values instanceof Int32Array ? new Int32Array(at * 2) : new Float64Array(at * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[at] = value;
  }

  trim(): void {
    this.#values = this.#values.slice(0, this.count);
    this.trimRows();
  }
}

/** Codes of a dictionary: 1, 2 or 4 bytes each. */
export class CodeEntries extends Entries {
  #values: Uint8Array | Uint16Array | Uint32Array = new Uint8Array(FIRST_ENTRIES);
  #most = 0xff;

  get values(): Uint8Array | Uint16Array | Uint32Array {
    return this.#values;
  }

  get sizeBytes(): number {
    return this.#values.byteLength + (this.rows?.byteLength ?? 0);
  }

  push(row: number, code: number): void {
    const at = this.pushRow(row, this.#values.length * 2);
    if (code > this.#most) {
      this.#most = code > 0xffff ? 0xffffffff : 0xffff;
      this.#resize(this.#values.length);
    }
    if (at === this.#values.length) this.#resize(at * 2);
    this.#values[at] = code;
  }

  trim(): void {
    this.#values = this.#values.slice(0, this.count);
    this.trimRows();
  }

  #resize(length: number): void {
    const of = this.#most === 0xff ? Uint8Array : this.#most === 0xffff ? Uint16Array : Uint32Array;
    const values = new of(length);
    values.set(this.#values);
    this.#values = values;
  }
}
