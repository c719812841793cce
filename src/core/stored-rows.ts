/**
 * How vectors are stored, precision by precision (DESIGN rule 4): the one procedure that turns
 * what callers give into the bytes of a row, and back. Values are read as float32 first, whatever
 * array they come in. The memory belongs to whoever gives it.
 *
 * A stored row covers whole 16-byte chunks, zero padded, and a query as many elements as a row:
 * kernels on every backend read chunk by chunk without a tail. f32 4 elements a chunk, f16 8,
 * i8 16, b1 128 bits.
 */
import { clearSpareBits, countWords, packBits, packedBytes } from "./bits.ts";
import { encodeHalves, halfToFloat, halvesNorm } from "./half.ts";
import { rejectionReason, type RowReader, rowNorm } from "./matrix.ts";
import { F32_MAX, type Metric, type Precision } from "./metric.ts";
import { codesNorm, quantiseRow } from "./quantiser.ts";

const BITS: Readonly<Record<Precision, number>> = { f32: 32, f16: 16, i8: 8, b1: 1 };

export interface RowFormat {
  readonly precision: Precision;
  readonly metric: Metric;
  readonly dimensions: number;
  /** 32-bit words of a query: floats, or packed bits for b1. */
  readonly stride: number;
  /** Bytes of a stored row, a multiple of 16. */
  readonly rowBytes: number;
}

export function rowFormat(precision: Precision, metric: Metric, dimensions: number): RowFormat {
  const rowBytes = Math.ceil((dimensions * BITS[precision]) / 128) * 16;
  const stride = precision === "b1" ? rowBytes / 4 : (rowBytes * 8) / BITS[precision];
  return { precision, metric, dimensions, stride, rowBytes };
}

/**
 * What scans multiply by, from a row's norm; stored rounded to float32: 1/‖x‖ under cosine, else
 * ‖x‖; of b1 the number of set bits.
 */
export function rowTerm(metric: Metric, norm: number): number {
  return metric === "cosine" ? 1 / norm : norm;
}

/** Rows in memory, [rows × rowBytes], 16-byte aligned, as the arrays that their precision makes them. */
export class StoredRows {
  readonly #format: RowFormat;
  readonly #bytes: Uint8Array;
  readonly #floats: Float32Array;
  readonly #words: Uint32Array;
  readonly #halves: Uint16Array;
  readonly #codes: Int8Array;
  /** A vector as given, and its bits. */
  readonly #scratch: Float32Array;
  readonly #scratchWords: Int32Array;
  #norm = 0;
  #scale = 0;

  constructor(format: RowFormat, bytes: Uint8Array) {
    const { buffer, byteOffset, byteLength } = bytes;
    this.#format = format;
    this.#bytes = bytes;
    this.#floats = new Float32Array(buffer, byteOffset, byteLength / 4);
    this.#words = new Uint32Array(buffer, byteOffset, byteLength / 4);
    this.#halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
    this.#codes = new Int8Array(buffer, byteOffset, byteLength);
    this.#scratch = new Float32Array(format.precision === "f32" ? 0 : format.dimensions);
    this.#scratchWords = new Int32Array(this.#scratch.buffer);
  }

  /** Norm, in float64, of the row written last, as stored; of b1 the number of set bits. */
  get norm(): number {
    return this.#norm;
  }

  /** Scale of the row written last; 0 for all precisions but i8. */
  get scale(): number {
    return this.#scale;
  }

  /** Writes vector `index` of `reader` as row `slot`, or returns why it cannot be stored; the row is garbage then. */
  write(slot: number, reader: RowReader, index: number): string | undefined {
    const { precision, metric, dimensions, stride, rowBytes } = this.#format;
    if (precision === "b1") {
      const reason = readBits(reader, index, this.#scratch, this.#bytes, slot * rowBytes, dimensions);
      this.#norm = this.normOf(slot, 0);
      return reason;
    }
    if (reader.kind === "bits") throw new Error("packed bits are for precision b1");
    if (precision === "f32") {
      reader.read(index, this.#floats, slot * stride);
      this.#norm = rowNorm(this.#floats, slot * stride, dimensions);
      return rejectionReason(this.#norm, metric);
    }
    reader.read(index, this.#scratch, 0);
    const given = rowNorm(this.#scratch, 0, dimensions);
    const reason =
      rejectionReason(given, metric) ?? (precision === "f16" ? this.#writeHalves(slot) : this.#writeCodes(slot));
    if (reason !== undefined) return reason;
    this.#norm = this.normOf(slot, this.#scale);
    return this.#norm === 0 && metric === "cosine"
      ? `a vector that is zero after rounding to ${precision} (and has no direction for cosine)`
      : undefined;
  }

  /** The norm of row `slot` as stored, in float64; of b1 the number of set bits. */
  normOf(slot: number, scale: number): number {
    const { precision, dimensions, stride } = this.#format;
    const at = slot * stride;
    switch (precision) {
      case "f32":
        return rowNorm(this.#floats, at, dimensions);
      case "f16":
        return halvesNorm(this.#halves, at, dimensions);
      case "i8":
        return scale * codesNorm(this.#codes, at, dimensions);
      case "b1":
        return countWords(this.#words, at, stride);
      default:
        return precision satisfies never;
    }
  }

  #writeHalves(slot: number): string | undefined {
    const { dimensions, stride } = this.#format;
    const isFinite = encodeHalves(this.#scratchWords, dimensions, this.#halves, slot * stride);
    return isFinite ? undefined : "an element beyond ±65504, the range of f16,";
  }

  #writeCodes(slot: number): undefined {
    const { dimensions, stride } = this.#format;
    this.#scale = quantiseRow(this.#scratch, 0, dimensions, this.#codes, slot * stride);
  }
}

/**
 * Writes vector `index` of `reader` as packed bits to `bytes[at …]`, or returns why it has none.
 * `scratch`: room for a vector of floats.
 */
export function readBits(
  reader: RowReader,
  index: number,
  scratch: Float32Array,
  bytes: Uint8Array,
  at: number,
  dimensions: number,
): string | undefined {
  if (reader.kind === "bits") {
    reader.read(index, bytes, at);
    clearSpareBits(bytes, at, dimensions);
    return undefined;
  }
  reader.read(index, scratch, 0);
  packBits(scratch, 0, dimensions, bytes, at);
  return rejectionReason(rowNorm(scratch, 0, dimensions), "hamming");
}

/** An array for `rows` rows of stored values as callers get them: floats, or packed bits for b1. */
export function valueArray({ precision, dimensions }: RowFormat, rows: number): Float32Array | Uint8Array {
  return precision === "b1" ? new Uint8Array(rows * packedBytes(dimensions)) : new Float32Array(rows * dimensions);
}

/** Reads the stored row in `bytes` [rowBytes] into row `index` of `values`, which `valueArray` made; rounded to float32. */
export function readValues(
  { precision, dimensions }: RowFormat,
  bytes: Uint8Array,
  scale: number,
  values: Float32Array | Uint8Array,
  index: number,
): void {
  const { buffer, byteOffset } = bytes;
  const at = index * dimensions;
  switch (precision) {
    case "f32":
      values.set(new Float32Array(buffer, byteOffset, dimensions), at);
      return;
    case "f16": {
      const halves = new Uint16Array(buffer, byteOffset, dimensions);
      for (let i = 0; i < dimensions; i++) values[at + i] = halfToFloat(halves[i] ?? 0);
      return;
    }
    case "i8": {
      const codes = new Int8Array(buffer, byteOffset, dimensions);
      // The scale of a row that reaches F32_MAX may be rounded up: 127 of it would be infinity.
      const clamp = (x: number): number => Math.min(F32_MAX, Math.max(-F32_MAX, x));
      for (let i = 0; i < dimensions; i++) values[at + i] = clamp(scale * (codes[i] ?? 0));
      return;
    }
    case "b1": {
      const size = packedBytes(dimensions);
      values.set(bytes.subarray(0, size), index * size);
      return;
    }
    default:
      precision satisfies never;
  }
}
