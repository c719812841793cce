/**
 * Records as they are stored: in memory between the caller and a segment or journal record, and in
 * the columns of both. Plain data, checked before it is made; vectors as core/stored-rows.ts makes
 * them, so that a backend takes them without looking at them again.
 */

/** Strings in a row: string i is UTF-8, bytes `offsets[i] … offsets[i + 1]` of `bytes`. */
export interface TextColumn {
  /** [count + 1], from 0. */
  readonly offsets: Uint32Array;
  readonly bytes: Uint8Array;
}

/** Vectors as stored. */
export interface StoredColumn {
  /** [count × rowBytes] */
  readonly rows: Uint8Array;
  /** [count] what scans need of a row: 1 / norm under cosine, else the norm, of b1 the set bits; rounded to float32. */
  readonly terms: Float32Array;
  /** [count] of i8; else empty. */
  readonly scales: Float32Array;
  /** Of all rows, in float64; the least of those above 0, +∞ without one. */
  readonly minNorm: number;
  readonly maxNorm: number;
}

export interface RecordBatch {
  readonly count: number;
  readonly ids: TextColumn;
  /** JSON objects; empty strings where a record has none. */
  readonly metadata: TextColumn;
  readonly vectors: StoredColumn;
}

/** What vectors of a collection are, for the size of a row: core/stored-rows.ts rowFormat. */
export interface StoredColumnShape {
  readonly rowBytes: number;
  /** i8: whether rows have scales. */
  readonly hasScales: boolean;
}

/** Reads a column of stored vectors from somewhere, in order, into the caller's memory. */
export interface StoredColumnReader {
  readonly count: number;
  readonly minNorm: number;
  readonly maxNorm: number;
  /**
   * Fills the arrays with rows `first … first + count − 1`, where `first` is where the last call
   * ended (0 at first). What it fills may be trusted only when the last row was read: a checksum
   * may cover more than one call. Rejects with CORRUPT.
   */
  read(
    first: number,
    into: { readonly rows: Uint8Array; readonly terms: Float32Array; readonly scales: Float32Array },
  ): Promise<void>;
}
