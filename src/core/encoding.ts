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
import { quantiseRow } from "./quantiser.ts";
import { roundUpF32 } from "./rounding.ts";

const U = 2 ** -53;

/** Scales are 0 or at least this, so that products of two scales never underflow float32. Smaller vectors have codes 0. */
const MIN_SCALE: number = 2 ** -60;

export interface Projection {
  readonly dimensions: number;
  /** m: rows of P, codes of a vector. */
  readonly length: number;
  /** [m × d] at least; undefined: the identity, m = d. */
  readonly vectors: Float32Array | undefined;
  /** [d]: what euclidean vectors are centred by; undefined: nothing. */
  readonly mean: Float32Array | undefined;
  /** δ ≥ ‖P·Pᵀ − I‖_F. */
  readonly defect: number;
}

export function identityProjection(dimensions: number, mean?: Float32Array): Projection {
  return { dimensions, length: dimensions, vectors: undefined, mean, defect: 0 };
}

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

class VectorEncoder {
  readonly projection: Projection;
  readonly metric: ProductMetric;
  readonly #factor: number;
  readonly #vector: Float64Array;
  readonly #projected: Float64Array;

  /** `exponent`: dot and euclidean vectors are multiplied by 2^exponent, to bring extreme magnitudes into float32's comfort (margin.ts). */
  constructor(projection: Projection, metric: ProductMetric, exponent = 0) {
    this.projection = projection;
    this.metric = metric;
    this.#factor = metric === "cosine" ? 1 : 2 ** exponent;
    this.#vector = new Float64Array(projection.dimensions);
    this.#projected = projection.vectors === undefined ? this.#vector : new Float64Array(projection.length);
  }

  /** Encodes `values[at … at + d)`, about 2·m·d multiply-adds; the codes go to `codes[codesAt … + m)`. */
  encode(values: Float32Array | Float64Array, at: number, codes: Int8Array, codesAt: number): EncodingScalars {
    const { dimensions: d, length: m, vectors, defect } = this.projection;
    const norm2 = this.#load(values, at);
    const b = this.#vector;
    const y = this.#projected;
    if (vectors !== undefined) project(vectors, m, b, y);
    const { scale, error2, code2 } = encodeProjected(y, 0, m, codes, codesAt);
    const projected2 = vectors === undefined ? norm2 : squaredNorm(y);
    const residual2 = vectors === undefined ? 0 : residual(vectors, m, y, b); // overwrites b

    const up = 1 + (d + m + 16) * U;
    const norm = Math.sqrt(norm2) * up;
    const loading = LOADING[this.metric](d) * U * norm;
    const slack = vectors === undefined ? loading : 4 * (d + m + 16) * U * Math.sqrt(m) * (1 + defect) ** 2 * norm;
    return {
      scale,
      errorNorm: roundUpF32(Math.sqrt(error2) * up + slack),
      codeNorm: roundUpF32(scale * Math.sqrt(code2) * up),
      residualNorm: vectors === undefined ? 0 : roundUpF32(Math.sqrt(residual2) * up + slack),
      projectedNorm: roundUpF32(Math.sqrt(projected2) * up + slack),
      norm: roundUpF32(norm + loading),
      norm2: Math.fround(norm2),
    };
  }

  /** Brings b into #vector; returns ‖b‖². */
  #load(values: Float32Array | Float64Array, at: number): number {
    const b = this.#vector;
    const mean = this.metric === "euclidean" ? this.projection.mean : undefined;
    const factor = this.#factor;
    let sum = 0;
    for (let i = 0; i < b.length; i++) {
      const value = (values[at + i]! - (mean === undefined ? 0 : mean[i]!)) * factor; // inside the arrays
      b[i] = value;
      sum += value * value;
    }
    if (this.metric !== "cosine" || sum === 0) return sum;
    const norm = Math.sqrt(sum);
    let unit = 0;
    for (let i = 0; i < b.length; i++) {
      const value = b[i]! / norm; // inside the array
      b[i] = value;
      unit += value * value;
    }
    return unit;
  }
}

/** How far the loaded b may be from the true one, in U·‖b‖. */
const LOADING: Readonly<Record<ProductMetric, (dimensions: number) => number>> = {
  cosine: (dimensions) => dimensions + 8,
  dot: () => 0,
  euclidean: () => 2,
};

/** Encodes one vector into codes of its own. For many make a `VectorEncoder`. */
export function encodeVector(
  projection: Projection,
  metric: ProductMetric,
  values: Float32Array | Float64Array,
  at = 0,
  exponent = 0,
): Encoding {
  const codes = new Int8Array(projection.length);
  return { codes, ...new VectorEncoder(projection, metric, exponent).encode(values, at, codes, 0) };
}

/** Codes of `y[at … at + m)`; ‖y − ŷ‖² as computed and Σ codes², exact. */
export function encodeProjected(
  y: Float64Array,
  at: number,
  m: number,
  codes: Int8Array,
  codesAt: number,
): { scale: number; error2: number; code2: number } {
  let scale = quantiseRow(y, at, m, codes, codesAt);
  if (scale < MIN_SCALE) {
    codes.fill(0, codesAt, codesAt + m);
    scale = 0;
  }
  let error2 = 0;
  let code2 = 0;
  for (let i = 0; i < m; i++) {
    const code = codes[codesAt + i]!; // inside the arrays
    const error = y[at + i]! - scale * code; // the product is exact: 24 bits by 7
    error2 += error * error;
    code2 += code * code;
  }
  return { scale, error2, code2 };
}

// Indices below are inside the arrays by construction.
/** y = P·b, four directions at a time. */
export function project(vectors: Float32Array, m: number, b: Float64Array, y: Float64Array): void {
  const d = b.length;
  let k = 0;
  for (; k + 4 <= m; k += 4) {
    let p0 = k * d;
    let p1 = p0 + d;
    let p2 = p1 + d;
    let p3 = p2 + d;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let i = 0; i < d; i++) {
      const v = b[i]!;
      s0 += vectors[p0++]! * v;
      s1 += vectors[p1++]! * v;
      s2 += vectors[p2++]! * v;
      s3 += vectors[p3++]! * v;
    }
    y[k] = s0;
    y[k + 1] = s1;
    y[k + 2] = s2;
    y[k + 3] = s3;
  }
  for (; k < m; k++) {
    let sum = 0;
    for (let i = 0; i < d; i++) sum += vectors[k * d + i]! * b[i]!;
    y[k] = sum;
  }
}

/** b −= Pᵀ·y, four directions at a time; returns the square of what is left. */
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
      b[i]! -= y0 * vectors[p0++]! + y1 * vectors[p1++]! + (y2 * vectors[p2++]! + y3 * vectors[p3++]!);
    }
  }
  for (; k < m; k++) {
    for (let i = 0; i < d; i++) b[i]! -= y[k]! * vectors[k * d + i]!;
  }
  return squaredNorm(b);
}

function squaredNorm(vector: Float64Array): number {
  let sum = 0;
  for (const value of vector) sum += value * value;
  return sum;
}
