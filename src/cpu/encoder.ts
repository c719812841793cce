/**
 * Scan copies of rows and queries (core/encoding.ts says what they are and why they prove
 * anything), made where the thread is: by the kernel encode_i8 on a memory of its own, or by its
 * twin in plain JS. The kernel measures, in float64; rounding up is done here for both, once a
 * vector. Rows of i8 are their own codes and need only facts.
 *
 * An encoder belongs to one thread and keeps one basis, the one used last. Its memory goes with it.
 */
import type { ProductMetric } from "../core/basis.ts";
import { type EncodingScalars, type Measured, MIN_SCALE, roundedUp, VectorEncoder } from "../core/encoding.ts";
import { halfToFloat } from "../core/half.ts";
import { LIMITS } from "../core/limits.ts";
import type { Projection } from "../core/projection.ts";
import { roundUpF32 } from "../core/rounding.ts";
import type { RowFormat } from "../core/stored-rows.ts";
import { codeStride } from "./layout.ts";
import { type ChunkMemory, ownMemory } from "./memory.ts";

/** What rows are projected on; plain data, posted to workers. */
export interface CodeBasis extends Projection {
  /** Names it; never 0. */
  readonly id: number;
}

/** Where codes and facts of `count` rows go. */
export interface CodeTarget {
  /** [count × codeStride], zero padded. Of i8 rows: length 0, the stored rows are the codes. */
  readonly codes: Int8Array;
  /** [count]: 0, then ŷ = 0, or at least 2⁻⁶⁰. */
  readonly scales: Float32Array;
  /** [count]: E ≥ ‖y − ŷ‖; this and the next two are +∞ where float32 ends. */
  readonly errors: Float32Array;
  /** [count]: R ≥ ‖b − Pᵀ·y‖. */
  readonly residuals: Float32Array;
  /** [count]: n ≥ ‖b‖; n·n in float32 is ‖b‖² up to 4·2⁻²³ of itself, or up to 2⁻¹²⁶. */
  readonly norms: Float32Array;
  /** [count]: Σ codes, exact. */
  readonly codeSums: Int32Array;
}

export class Encoder {
  readonly #format: RowFormat;
  readonly #metric: ProductMetric;
  readonly #coder: Coder;
  readonly #pieceRows: number;

  /** `module`: the kernels; undefined: plain JS. `format`: f32, f16 or i8. */
  constructor(module: WebAssembly.Module | undefined, format: RowFormat, metric: ProductMetric) {
    this.#format = format;
    this.#metric = metric;
    // Whole groups of four, as the kernel takes them.
    this.#pieceRows = Math.max(4, Math.floor(LIMITS.tileBytes / format.rowBytes / 4) * 4);
    this.#coder =
      module === undefined ? new PlainCoder(format, metric) : new KernelCoder(module, format, metric, this.#pieceRows);
  }

  /**
   * Encodes `count` rows as stored, `rows` [count × rowBytes], into the first `count` places of
   * `target`. `scales` [count]: of i8 rows, whose basis is an identity without a mean; else ignored.
   */
  encodeRows(basis: CodeBasis, rows: Uint8Array, scales: Float32Array, count: number, target: CodeTarget): void {
    const { precision, stride } = this.#format;
    if (precision === "i8") {
      const codes = new Int8Array(rows.buffer, rows.byteOffset, count * stride);
      for (let row = 0; row < count; row++) storedFacts(this.#metric, codes, stride, scales[row] ?? 0, row, target);
      return;
    }
    const values =
      precision === "f16"
        ? new Uint16Array(rows.buffer, rows.byteOffset, count * stride)
        : new Float32Array(rows.buffer, rows.byteOffset, count * stride);
    const width = codeStride(basis.length);
    for (let from = 0; from < count; from += this.#pieceRows) {
      const to = Math.min(count, from + this.#pieceRows);
      const piece = values.subarray(from * stride, to * stride);
      const codes = target.codes.subarray(from * width, to * width);
      for (const [i, measured] of this.#coder.encode(basis, piece, to - from, 1, 127, codes).entries()) {
        const { scale, errorNorm, residualNorm, norm } = roundedUp(basis, this.#metric, measured);
        target.scales[from + i] = scale;
        target.errors[from + i] = errorNorm;
        target.residuals[from + i] = residualNorm;
        target.norms[from + i] = norm;
        target.codeSums[from + i] = measured.codeSum;
      }
    }
  }

  /**
   * Encodes a query [stride], as given, zero padded, times `factor`: a power of two, 1 but for
   * dot. `levels`: largest code; 63 for kernels that need 7 bits. Codes go to
   * `codes[at … at + codeStride)`, zero padded.
   */
  encodeQuery(
    basis: CodeBasis,
    query: Float32Array,
    factor: number,
    levels: 127 | 63,
    codes: Int8Array,
    at: number,
  ): EncodingScalars {
    const target = codes.subarray(at, at + codeStride(basis.length));
    const [measured] = this.#coder.encode(basis, query, 1, factor, levels, target);
    if (measured === undefined) throw new Error("bug: one vector, one measurement");
    return roundedUp(basis, this.#metric, measured);
  }
}

/**
 * The facts of a row whose codes are the stored ones. x̂ = scale·codes is exact in float64, and so
 * is Σ codes². Cosine: b = codes/√Σ codes², and ŷ = s·codes misses it by |s·√Σ codes² − 1|.
 */
function storedFacts(
  metric: ProductMetric,
  rows: Int8Array,
  stride: number,
  scale: number,
  row: number,
  target: CodeTarget,
): void {
  let square = 0;
  let sum = 0;
  for (let i = row * stride; i < (row + 1) * stride; i++) {
    const code = rows[i]!; // inside the array
    square += code * code;
    sum += code;
  }
  const length = Math.sqrt(square);
  // Of the root and of each product and difference with it.
  const up = 1 + 2 ** -50;
  if (metric === "cosine") {
    const inverse = square === 0 ? 0 : Math.fround(1 / length);
    target.scales[row] = inverse;
    target.errors[row] = square === 0 ? 0 : roundUpF32(Math.abs(inverse * length - 1) + 2 ** -50);
    target.norms[row] = square === 0 ? 0 : 1;
  } else {
    const norm = roundUpF32(scale * length * up);
    target.scales[row] = scale < MIN_SCALE ? 0 : scale;
    target.errors[row] = scale < MIN_SCALE ? norm : 0;
    target.norms[row] = norm;
  }
  target.residuals[row] = 0;
  target.codeSums[row] = sum;
}

/** Encodes and measures, on one thread. */
interface Coder {
  /** Encodes `count` vectors [count × stride], floats or halves, times `factor`, into `codes` [count × codeStride], zero padded. */
  encode(
    basis: CodeBasis,
    values: Float32Array | Uint16Array,
    count: number,
    factor: number,
    levels: number,
    codes: Int8Array,
  ): Measured[];
}

class PlainCoder implements Coder {
  readonly #stride: number;
  readonly #metric: ProductMetric;
  readonly #decoded: Float32Array;
  #basis = 0;
  #encoder: VectorEncoder | undefined;

  constructor(format: RowFormat, metric: ProductMetric) {
    this.#stride = format.stride;
    this.#metric = metric;
    this.#decoded = new Float32Array(format.precision === "f16" ? format.stride : 0);
  }

  encode(
    basis: CodeBasis,
    values: Float32Array | Uint16Array,
    count: number,
    factor: number,
    levels: number,
    codes: Int8Array,
  ): Measured[] {
    if (this.#encoder === undefined || this.#basis !== basis.id) {
      this.#encoder = new VectorEncoder(basis, this.#metric);
      this.#basis = basis.id;
    }
    const encoder = this.#encoder;
    const width = codeStride(basis.length);
    const all: Measured[] = [];
    for (let row = 0; row < count; row++) {
      const at = row * this.#stride;
      const to = row * width;
      codes.fill(0, to + basis.length, to + width);
      if (values instanceof Uint16Array) {
        for (let i = 0; i < this.#stride; i++) this.#decoded[i] = halfToFloat(values[at + i] ?? 0);
        all.push(encoder.encode(this.#decoded, 0, factor, levels, codes, to));
      } else {
        all.push(encoder.encode(values, at, factor, levels, codes, to));
      }
    }
    return all;
  }
}

interface EncodeExports {
  encode_i8(
    rows: number,
    isHalf: boolean,
    rowCount: number,
    stride: number,
    mean: number,
    factor: number,
    isUnit: boolean,
    p: number,
    directions: number,
    b: number,
    bWidth: number,
    y: number,
    levels: number,
    codes: number,
    codeStride: number,
    measured: number,
  ): void;
}

/** Float64 words that encode_i8 writes for a row. */
const MEASURED_WORDS = 7;
/** Vectors that encode_i8 works on at once. */
const GROUP = 4;

/** Byte offsets in the memory of a KernelCoder; laid out anew for each basis. */
interface Layout {
  readonly rows: number;
  readonly mean: number;
  readonly p: number;
  /** Rows of P, padded with zeros to a multiple of four. */
  readonly directions: number;
  readonly b: number;
  /** Doubles from one b to the next. */
  readonly bWidth: number;
  readonly y: number;
  readonly codes: number;
  readonly measured: number;
  readonly end: number;
}

class KernelCoder implements Coder {
  readonly #format: RowFormat;
  readonly #metric: ProductMetric;
  readonly #pieceRows: number;
  readonly #memory: ChunkMemory;
  readonly #kernel: EncodeExports;
  #basis = 0;
  #layout: Layout | undefined;

  constructor(module: WebAssembly.Module, format: RowFormat, metric: ProductMetric, pieceRows: number) {
    this.#format = format;
    this.#metric = metric;
    this.#pieceRows = pieceRows;
    this.#memory = ownMemory(1);
    const { wasm } = this.#memory;
    if (wasm === undefined) throw new Error("bug: kernels without WebAssembly");
    const instance = new WebAssembly.Instance(module, { env: { memory: wasm } });
    // The module is ours and built with this export; WebAssembly's types cannot know.
    this.#kernel = instance.exports as unknown as EncodeExports;
  }

  encode(
    basis: CodeBasis,
    values: Float32Array | Uint16Array,
    count: number,
    factor: number,
    levels: number,
    codes: Int8Array,
  ): Measured[] {
    const layout = this.#layoutFor(basis);
    const { buffer } = this.#memory;
    new Uint8Array(buffer, layout.rows).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    const width = codeStride(basis.length);
    this.#kernel.encode_i8(
      layout.rows,
      values instanceof Uint16Array,
      count,
      this.#format.stride,
      this.#metric === "euclidean" && basis.mean !== undefined ? layout.mean : 0,
      factor,
      this.#metric === "cosine",
      layout.p,
      layout.directions,
      layout.b,
      layout.bWidth,
      layout.y,
      levels,
      layout.codes,
      width,
      layout.measured,
    );
    codes.set(new Int8Array(buffer, layout.codes, count * width));
    const words = new Float64Array(buffer, layout.measured, count * MEASURED_WORDS);
    return Array.from({ length: count }, (_, row) => {
      const [scale = 0, norm2 = 0, projected2 = 0, error2 = 0, residual2 = 0, code2 = 0, codeSum = 0] = words.subarray(
        row * MEASURED_WORDS,
        (row + 1) * MEASURED_WORDS,
      );
      return { scale, norm2, projected2, error2, residual2, code2, codeSum };
    });
  }

  /** Brings a basis that is not there yet into the memory. */
  #layoutFor(basis: CodeBasis): Layout {
    if (this.#layout !== undefined && this.#basis === basis.id) return this.#layout;
    const { dimensions, vectors, length, mean } = basis;
    const { stride } = this.#format;
    const layout = layoutOf(basis, this.#format, this.#pieceRows);
    this.#memory.ensure(layout.end);
    const { buffer } = this.#memory;
    // Scratch must be zero where no vector reaches.
    new Uint8Array(buffer).fill(0);
    if (mean !== undefined) new Float32Array(buffer, layout.mean, stride).set(mean.subarray(0, dimensions));
    if (vectors !== undefined) {
      const p = new Float32Array(buffer, layout.p, length * stride);
      for (let k = 0; k < length; k++) p.set(vectors.subarray(k * dimensions, (k + 1) * dimensions), k * stride);
    }
    this.#basis = basis.id;
    this.#layout = layout;
    return layout;
  }
}

function layoutOf(basis: CodeBasis, { stride }: RowFormat, pieceRows: number): Layout {
  const width = codeStride(basis.length);
  const directions = basis.vectors === undefined ? 0 : Math.ceil(basis.length / 4) * 4;
  const bWidth = directions === 0 ? width : stride;
  let end = 16; // 0 is no pointer
  const take = (bytes: number): number => {
    const at = end;
    end += Math.ceil(bytes / 16) * 16;
    return at;
  };
  const parts = {
    rows: take(pieceRows * stride * 4),
    mean: take(stride * 4),
    p: take(directions * stride * 4),
    b: take(GROUP * bWidth * 8),
    y: take(GROUP * width * 8),
    codes: take(pieceRows * width),
    measured: take(pieceRows * MEASURED_WORDS * 8),
  };
  return { ...parts, directions, bWidth, end };
}
