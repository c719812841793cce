/**
 * Scan copies of vectors, made in float64: int8 codes of the projection onto a few directions,
 * and what they leave out, measured. certificate.ts turns these numbers into a proof.
 *
 * With b the vector that the metric is about (cosine: x/‖x‖; dot: x; euclidean: x − μ; the last
 * two times 2^exponent) and P the projection [m × d]:
 *
 *   y = P·b,  ŷ = scale·codes,  errorNorm ≥ ‖y − ŷ‖,  codeNorm ≥ ‖ŷ‖,  residualNorm ≥ ‖b − Pᵀ·y‖.
 *
 * The residual is formed and then measured. √(‖b‖² − ‖y‖²) is rejected: short tails drown in its
 * rounding and come out too small, or negative.
 *
 * Rounding, with U = 2⁻⁵³ and ‖P‖_F ≤ √m·(1 + δ) because tr(P·Pᵀ) ≤ m + √m·δ: a component of the
 * computed b is off by (d/2 + 3)·U of itself (cosine; U for euclidean, nothing for dot), hence b
 * by as much of ‖b‖; P·b by γ(d)·‖P‖_F·‖b‖ (Higham 3.5) and Pᵀ·y by γ(m)·‖P‖_F·‖y‖. All of it
 * together, amplified by ‖P‖ and ‖Pᵀ‖ ≤ 1 + δ, is below 4·(d + m + 16)·U·√m·(1 + δ)²·‖b‖, and
 * the norms' own evaluation below (d + m + 16)·U of themselves. Float64 has the range for all
 * finite float32 data: no squares over- or underflow.
 */
import { type Basis, orthonormalityDefect, type ProductMetric } from "./basis.ts";
import type { Projection } from "./projection.ts";
import { quantiseRow } from "./quantiser.ts";
import { roundUpF32 } from "./rounding.ts";

const U = 2 ** -53;

/** Scales are 0 or at least this, so that products of two scales never underflow float32. Smaller vectors have codes 0. */
export const MIN_SCALE: number = 2 ** -60;

/** The first m directions. `defect`: from `prefixDefects`, where computing it here would take too long in one go (m²·d/2). */
export function prefixProjection(basis: Basis, m: number, defect: number = orthonormalityDefect(basis, m)): Projection {
  return { dimensions: basis.dimensions, length: m, vectors: basis.vectors, mean: basis.mean, defect };
}

/** What is known of a vector beside its codes. Norms are float32 and upper bounds, 0 or normal numbers. */
export interface EncodingScalars {
  /** Float32; 0 (then all codes are 0) or ≥ MIN_SCALE. */
  readonly scale: number;
  /** E ≥ ‖y − ŷ‖. */
  readonly errorNorm: number;
  /** C ≥ ‖ŷ‖. */
  readonly codeNorm: number;
  /** R ≥ ‖b − Pᵀ·y‖. */
  readonly residualNorm: number;
  /** A ≥ ‖y‖; needed of queries. */
  readonly projectedNorm: number;
  /** ≥ ‖b‖. */
  readonly norm: number;
  /** ‖b‖² rounded to float32: off by at most 2⁻²³ of itself. */
  readonly norm2: number;
}

export interface Encoding extends EncodingScalars {
  /** [m]. */
  readonly codes: Int8Array;
}

/** What an encoder finds of a vector, as computed in float64: nothing is rounded up yet. */
export interface Measured {
  /** Float32; 0 (then all codes are 0) or ≥ MIN_SCALE. */
  readonly scale: number;
  /** ‖b‖². */
  readonly norm2: number;
  /** ‖y‖². */
  readonly projected2: number;
  /** ‖y − ŷ‖². */
  readonly error2: number;
  /** ‖b − Pᵀ·y‖²; 0 without projection. */
  readonly residual2: number;
  /** Σ codes², exact. */
  readonly code2: number;
  /** Σ codes, exact. */
  readonly codeSum: number;
}

/** The scalars of a measured vector, upper bounds of the true ones: see the top of this file. */
export function roundedUp(projection: Projection, metric: ProductMetric, measured: Measured): EncodingScalars {
  const { dimensions: d, length: m, vectors, defect } = projection;
  const { scale, norm2 } = measured;
  const up = 1 + (d + m + 16) * U;
  const norm = Math.sqrt(norm2) * up;
  const loading = LOADING[metric](d) * U * norm;
  const slack = vectors === undefined ? loading : 4 * (d + m + 16) * U * Math.sqrt(m) * (1 + defect) ** 2 * norm;
  return {
    scale,
    errorNorm: roundUpF32(Math.sqrt(measured.error2) * up + slack),
    codeNorm: roundUpF32(scale * Math.sqrt(measured.code2) * up),
    residualNorm: vectors === undefined ? 0 : roundUpF32(Math.sqrt(measured.residual2) * up + slack),
    projectedNorm: roundUpF32(Math.sqrt(measured.projected2) * up + slack),
    norm: roundUpF32(norm + loading),
    norm2: Math.fround(norm2),
  };
}

/**
 * Encodes vector by vector, in plain JS. Twin, bit for bit: cpu/assembly/encode_i8.ts; so sums of
 * squares have four accumulators, element i in number i mod 4, and sums of P·b have two.
 */
export class VectorEncoder {
  readonly projection: Projection;
  readonly metric: ProductMetric;
  readonly #vector: Float64Array;
  readonly #projected: Float64Array;

  constructor(projection: Projection, metric: ProductMetric) {
    this.projection = projection;
    this.metric = metric;
    this.#vector = new Float64Array(projection.dimensions);
    this.#projected = projection.vectors === undefined ? this.#vector : new Float64Array(projection.length);
  }

  /**
   * Encodes `values[at … at + d)` times `factor`, a power of two that brings extreme magnitudes
   * into float32's comfort (margin.ts; 1 for cosine): about 2·m·d multiply-adds. Codes of at most
   * ±`levels` go to `codes[codesAt … + m)`.
   */
  encode(
    values: ArrayLike<number>,
    at: number,
    factor: number,
    levels: number,
    codes: Int8Array,
    codesAt: number,
  ): Measured {
    const { length: m, vectors } = this.projection;
    const norm2 = this.#load(values, at, factor);
    const b = this.#vector;
    const y = this.#projected;
    if (vectors !== undefined) project(vectors, m, b, y);
    const coded = encodeProjected(y, 0, m, codes, codesAt, levels);
    const projected2 = vectors === undefined ? norm2 : squaredNorm(y);
    const residual2 = vectors === undefined ? 0 : residual(vectors, m, y, b); // overwrites b
    return { ...coded, norm2, projected2, residual2 };
  }

  /** Brings b into #vector; returns ‖b‖². */
  #load(values: ArrayLike<number>, at: number, factor: number): number {
    const b = this.#vector;
    const mean = this.metric === "euclidean" ? this.projection.mean : undefined;
    for (let i = 0; i < b.length; i++) {
      b[i] = (values[at + i]! - (mean === undefined ? 0 : mean[i]!)) * factor; // inside the arrays
    }
    const norm2 = squaredNorm(b);
    if (this.metric !== "cosine" || norm2 === 0) return norm2;
    const norm = Math.sqrt(norm2);
    for (let i = 0; i < b.length; i++) b[i]! /= norm; // inside the array
    return squaredNorm(b);
  }
}

/** How far the loaded b may be from the true one, in U·‖b‖. */
const LOADING: Readonly<Record<ProductMetric, (dimensions: number) => number>> = {
  cosine: (dimensions) => dimensions + 8,
  dot: () => 0,
  euclidean: () => 2,
};

/** Encodes one vector, dot and euclidean ones times 2^exponent, into codes of its own. For many make a `VectorEncoder`. */
export function encodeVector(
  projection: Projection,
  metric: ProductMetric,
  values: Float32Array | Float64Array,
  at = 0,
  exponent = 0,
): Encoding {
  const codes = new Int8Array(projection.length);
  const factor = metric === "cosine" ? 1 : 2 ** exponent;
  const measured = new VectorEncoder(projection, metric).encode(values, at, factor, 127, codes, 0);
  return { codes, ...roundedUp(projection, metric, measured) };
}

/**
 * Codes of `y[at … at + m)`, at most ±`levels`; ‖y − ŷ‖² as computed, Σ codes² and Σ codes, exact.
 * Where the scale would be too small (MIN_SCALE), or too large for float32, codes are 0.
 */
export function encodeProjected(
  y: Float64Array,
  at: number,
  m: number,
  codes: Int8Array,
  codesAt: number,
  levels: number,
): Pick<Measured, "scale" | "error2" | "code2" | "codeSum"> {
  let scale = quantiseRow(y, at, m, codes, codesAt, levels);
  if (scale < MIN_SCALE || scale === Infinity) {
    codes.fill(0, codesAt, codesAt + m);
    scale = 0;
  }
  const errors = [0, 0, 0, 0];
  let code2 = 0;
  let codeSum = 0;
  for (let i = 0; i < m; i++) {
    const code = codes[codesAt + i]!; // inside the arrays
    const error = y[at + i]! - scale * code; // the product is exact: 24 bits by 7
    errors[i & 3]! += error * error;
    code2 += code * code;
    codeSum += code;
  }
  const [e0, e1, e2, e3] = errors as [number, number, number, number];
  return { scale, error2: e0 + e1 + (e2 + e3), code2, codeSum };
}

// Indices below are inside the arrays by construction.
/** y = P·b, four directions at a time; each sum of even elements and of odd ones. */
function project(vectors: Float32Array, m: number, b: Float64Array, y: Float64Array): void {
  const d = b.length;
  const even = d - (d & 1);
  let k = 0;
  for (; k + 4 <= m; k += 4) {
    let p0 = k * d;
    let p1 = p0 + d;
    let p2 = p1 + d;
    let p3 = p2 + d;
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    let [t0, t1, t2, t3] = [0, 0, 0, 0];
    for (let i = 0; i < even; i += 2) {
      const v = b[i]!;
      const w = b[i + 1]!;
      s0 += vectors[p0]! * v;
      t0 += vectors[p0 + 1]! * w;
      s1 += vectors[p1]! * v;
      t1 += vectors[p1 + 1]! * w;
      s2 += vectors[p2]! * v;
      t2 += vectors[p2 + 1]! * w;
      s3 += vectors[p3]! * v;
      t3 += vectors[p3 + 1]! * w;
      p0 += 2;
      p1 += 2;
      p2 += 2;
      p3 += 2;
    }
    if (even < d) {
      const v = b[even]!;
      s0 += vectors[p0]! * v;
      s1 += vectors[p1]! * v;
      s2 += vectors[p2]! * v;
      s3 += vectors[p3]! * v;
    }
    y[k] = s0 + t0;
    y[k + 1] = s1 + t1;
    y[k + 2] = s2 + t2;
    y[k + 3] = s3 + t3;
  }
  for (; k < m; k++) {
    const at = k * d;
    let s = 0;
    let t = 0;
    for (let i = 0; i < even; i += 2) {
      s += vectors[at + i]! * b[i]!;
      t += vectors[at + i + 1]! * b[i + 1]!;
    }
    if (even < d) s += vectors[at + even]! * b[even]!;
    y[k] = s + t;
  }
}

/** b −= Pᵀ·y, direction after direction though four at a time; returns the square of what is left. */
function residual(vectors: Float32Array, m: number, y: Float64Array, b: Float64Array): number {
  const d = b.length;
  let k = 0;
  for (; k + 4 <= m; k += 4) {
    const [y0, y1, y2, y3] = [y[k]!, y[k + 1]!, y[k + 2]!, y[k + 3]!];
    let p0 = k * d;
    let p1 = p0 + d;
    let p2 = p1 + d;
    let p3 = p2 + d;
    for (let i = 0; i < d; i++) {
      b[i] = b[i]! - y0 * vectors[p0++]! - y1 * vectors[p1++]! - y2 * vectors[p2++]! - y3 * vectors[p3++]!;
    }
  }
  for (; k < m; k++) {
    for (let i = 0; i < d; i++) b[i]! -= y[k]! * vectors[k * d + i]!;
  }
  return squaredNorm(b);
}

function squaredNorm(vector: Float64Array): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  const n = vector.length;
  let i = 0;
  for (; i + 4 <= n; i += 4) {
    s0 += vector[i]! * vector[i]!;
    s1 += vector[i + 1]! * vector[i + 1]!;
    s2 += vector[i + 2]! * vector[i + 2]!;
    s3 += vector[i + 3]! * vector[i + 3]!;
  }
  if (i < n) s0 += vector[i]! * vector[i]!;
  if (i + 1 < n) s1 += vector[i + 1]! * vector[i + 1]!;
  if (i + 2 < n) s2 += vector[i + 2]! * vector[i + 2]!;
  return s0 + s1 + (s2 + s3);
}
