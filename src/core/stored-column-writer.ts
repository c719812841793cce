/**
 * Makes stored columns of vectors as callers give them, one by one: the same procedure as the row
 * store's (stored-rows.ts), so that a backend takes the column's bytes for its own. Memory doubles
 * as it fills, which copies what there is: `take` before it is large (`sizeBytes`).
 */
import { packedBytes } from "./bits.ts";
import { describe, NearfieldError } from "./errors.ts";
import { readRows } from "./matrix.ts";
import type { Metric, Precision } from "./metric.ts";
import { GrowingNormRange } from "./norm-range.ts";
import type { StoredColumn } from "./stored-column.ts";
import { type RowFormat, rowFormat, rowTerm, StoredRows } from "./stored-rows.ts";

/** One vector: floats, or packed bits where the precision is b1. */
export type OneVector = Float32Array | Uint8Array | readonly number[];

/** Rows that a new column has room for: an upsert of one record needs no more. */
const FIRST_ROWS = 8;

/** Rows under way, and the arrays they are in. */
interface Room {
  readonly capacity: number;
  readonly bytes: Uint8Array;
  readonly rows: StoredRows;
  readonly terms: Float32Array;
  readonly scales: Float32Array;
}

export class StoredColumnWriter {
  readonly format: RowFormat;
  #room: Room;
  #count = 0;
  #norms = new GrowingNormRange();

  constructor({ precision, metric, dimensions }: { precision: Precision; metric: Metric; dimensions: number }) {
    this.format = rowFormat(precision, metric, dimensions);
    this.#room = this.#roomFor(FIRST_ROWS, undefined);
  }

  /** Rows pushed since the last `take`. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of those rows. */
  get sizeBytes(): number {
    return this.#count * this.format.rowBytes;
  }

  /**
   * Appends a vector, or returns why it cannot be stored, in the words of `add`; the column is as
   * before then. For INVALID_DIMENSIONS ask `lengthReason` first. Throws OUT_OF_MEMORY.
   */
  push(vector: OneVector): string | undefined {
    const { precision, metric, dimensions } = this.format;
    const reason = this.lengthReason(vector) ?? typeReason(vector, precision);
    if (reason !== undefined) return reason;
    if (this.#count === this.#room.capacity) this.#room = this.#roomFor(this.#count * 2, this.#room);
    const { rows, terms, scales } = this.#room;
    const slot = this.#count;
    const refusal = rows.write(slot, readRows(vector, dimensions, precision), 0);
    if (refusal !== undefined) return refusal; // the row's elements are garbage, which the next vector overwrites
    terms[slot] = rowTerm(metric, rows.norm);
    if (scales.length > 0) scales[slot] = rows.scale;
    this.#norms.include(rows.norm);
    this.#count++;
    return undefined;
  }

  /** Why a vector is not as long as the dimensions say; undefined for one that is, and for what is no vector at all. */
  lengthReason(vector: OneVector): string | undefined {
    const { precision, dimensions } = this.format;
    if (vector instanceof Uint8Array && precision === "b1") {
      const size = packedBytes(dimensions);
      return vector.length === size
        ? undefined
        : `${vector.length} bytes of packed bits where ${dimensions} dimensions take ${size}`;
    }
    if (!(vector instanceof Float32Array) && !Array.isArray(vector)) return undefined;
    return vector.length === dimensions
      ? undefined
      : `a vector of length ${vector.length} where there are ${dimensions} dimensions`;
  }

  /** Hands the column over and begins another. The arrays are views of memory up to twice as large. */
  take(): StoredColumn {
    const count = this.#count;
    const { bytes, terms, scales } = this.#room;
    const { minNorm, maxNorm } = this.#norms;
    // As many will come again, of a stream that is taken in parts; growing would copy each of them once.
    this.#room = this.#roomFor(Math.max(FIRST_ROWS, count), undefined);
    this.#count = 0;
    this.#norms = new GrowingNormRange();
    return {
      rows: bytes.subarray(0, count * this.format.rowBytes),
      terms: terms.subarray(0, count),
      scales: scales.subarray(0, Math.min(count, scales.length)),
      minNorm,
      maxNorm,
    };
  }

  #roomFor(capacity: number, old: Room | undefined): Room {
    try {
      const bytes = new Uint8Array(capacity * this.format.rowBytes);
      const terms = new Float32Array(capacity);
      const scales = new Float32Array(this.format.precision === "i8" ? capacity : 0);
      if (old !== undefined) {
        bytes.set(old.bytes);
        terms.set(old.terms);
        scales.set(old.scales);
      }
      return { capacity, bytes, terms, scales, rows: new StoredRows(this.format, bytes) };
    } catch (cause) {
      throw new NearfieldError("OUT_OF_MEMORY", {
        got: `no memory for ${capacity} rows of ${this.format.rowBytes} bytes on their way to be stored`,
        expected: "room for them",
        remedy: "write fewer records at once, or give the process more memory",
        cause,
      });
    }
  }
}

/** Why something is not a vector of this precision at all. */
function typeReason(vector: OneVector, precision: Precision): string | undefined {
  if (vector instanceof Float32Array || (vector instanceof Uint8Array && precision === "b1")) return undefined;
  if (vector instanceof Uint8Array) return `a Uint8Array where precision ${precision} stores floats`;
  if (!Array.isArray(vector)) return `${describe(vector)} where a vector should be`;
  const elements: readonly unknown[] = vector;
  const at = elements.findIndex((element) => typeof element !== "number");
  return at < 0 ? undefined : `${describe(elements[at])} as element ${at}, where a number should be,`;
}
