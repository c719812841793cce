/**
 * Vectors as they are stored (stored-rows.ts), many at once, on their way between a file and a
 * backend's row store: nobody looks at them row by row again. Types only.
 */
import type { NormRange } from "./norm-range.ts";

/** Vectors as stored, and bounds of their norms. */
export interface StoredColumn extends NormRange {
  /** [count × rowBytes] */
  readonly rows: Uint8Array;
  /** [count] what scans need of a row: 1 / norm under cosine, else the norm, of b1 the set bits; rounded to float32. */
  readonly terms: Float32Array;
  /** [count] of i8; else empty. */
  readonly scales: Float32Array;
}

/** What vectors of a collection are, for the size of a row: core/stored-rows.ts rowFormat. */
export interface StoredColumnShape {
  readonly rowBytes: number;
  /** i8: whether rows have scales. */
  readonly hasScales: boolean;
}

/** Reads a column of stored vectors from somewhere, in order, into the caller's memory. */
export interface StoredColumnReader extends NormRange {
  readonly count: number;
  /** How many reads may be under way at once, each called in its turn all the same. Default 1: a read is called when the last has resolved. */
  readonly readsAtOnce?: number;
  /**
   * Fills the arrays with rows `first … first + count − 1`, where `first` is where the last call
   * ended (0 at first). What it fills may be trusted only when all reads have resolved: a checksum
   * may cover more than one call. Rejects with CORRUPT; nothing writes to the arrays any more then.
   */
  read(
    first: number,
    into: { readonly rows: Uint8Array; readonly terms: Float32Array; readonly scales: Float32Array },
  ): Promise<void>;
}
