/**
 * Principal directions of a sample of rows: the P of the certificate (certificate.ts). Any
 * orthonormal P is correct; how well it fits decides how many rows survive a scan, never which
 * rows are found. So a sample, a seeded start and a fixed number of iterations will do.
 *
 * Block subspace iteration (Halko, Martinsson, Tropp 2011, algorithm 4.4, with the Rayleigh–Ritz
 * step of 5.3) on the sample's second moments: d² work a direction and iteration, where a full
 * eigen-decomposition takes some 9·d³ and would find directions that no prefix uses. Where the
 * sample has fewer than d/2 rows, moments are applied as Xᵀ(X·v) and never formed, so that
 * d = 65,535 needs no 34 GB matrix. Everything runs in pieces; nothing here has effects.
 */
import { symmetricEigen } from "./eigen.ts";
import { LIMITS } from "./limits.ts";
import { type Multiply, product, type Rows, transposed, zeroRows } from "./product.ts";
import { uniform } from "./random.ts";
import { runToEnd } from "./slices.ts";

/** The metrics whose scans go through inner products. */
export type ProductMetric = "cosine" | "dot" | "euclidean";

export interface Basis {
  readonly dimensions: number;
  /** Directions learnt, ≤ dimensions. */
  readonly directions: number;
  /** [directions × dimensions]: rows orthonormal up to float32 rounding, by descending eigenvalue; any prefix of rows is a valid P. */
  readonly vectors: Float32Array;
  /** [directions], of the sample's second-moment matrix (covariance for euclidean). */
  readonly eigenvalues: Float64Array;
  /** The sum of all d eigenvalues: what part of it a prefix holds says how long the tails are. */
  readonly trace: number;
  /** [dimensions]: what euclidean vectors are centred by; zeros for cosine and dot. */
  readonly mean: Float32Array;
}

export interface LearnOptions {
  readonly metric: ProductMetric;
  readonly dimensions: number;
  /** [count × dimensions], rows as stored, decoded. */
  readonly sample: Float32Array;
  readonly count: number;
  /** Default: half the dimensions in multiples of 16, within the bounds of limits.ts. */
  readonly directions?: number;
  readonly seed?: number;
  /** Default: `product`. */
  readonly multiply?: Multiply;
}

/** Applications of the moments to the block of directions; the last serves Rayleigh–Ritz too. */
const ITERATIONS = 3;

/** Directions that `learnBasis` learns unless told. */
export function learntDirections(dimensions: number, count: number): number {
  const perDirection = ITERATIONS * dimensions * Math.min(dimensions, 2 * Math.max(1, count));
  const affordable = Math.floor(LIMITS.basisWork / perDirection / 16) * 16;
  const wanted = Math.min(Math.ceil(dimensions / 32) * 16, LIMITS.basisDirections);
  // So many rows span no more.
  const spanned = Math.ceil(count / 16) * 16;
  return Math.min(dimensions, Math.max(16, Math.min(wanted, affordable, spanned)));
}

/** The work of `learnBasis`, about: what it yields, summed up. */
export function basisWork(dimensions: number, count: number): number {
  const d = dimensions;
  const p = learntDirections(d, count);
  const hasMoments = 2 * count >= d;
  const moments = hasMoments ? (count * d * (d + 4)) / 2 + (d * d) / 2 : 0;
  const applied = ITERATIONS * p * d * (hasMoments ? d : 2 * count);
  // Four passes of Gram–Schmidt and six more over what exceeds the sample's rank, then Rayleigh–Ritz;
  // 5·p³ for the eigenvalues, by experience.
  const orthonormalised = 4 * p * p * d + 6 * Math.max(0, p * p - count * count) * d;
  return 9 * count * d + moments + applied + orthonormalised + 1.5 * p * p * d + 5 * p ** 3;
}

/** Yields the multiply-adds (or elements moved) since the last yield, each time at most about `LIMITS.sliceElements`. */
export function* learnBasis(o: LearnOptions): Generator<number, Basis> {
  const d = o.dimensions;
  const directions = Math.min(d, o.directions ?? learntDirections(d, o.count));
  const multiply = o.multiply ?? product;
  const { rows, mean, trace } = yield* prepared(o);
  const columns = yield* transposed(rows);
  const moments = 2 * o.count < d ? undefined : yield* multiply(columns, columns, true);
  const apply = function* (block: Rows): Generator<number, Rows> {
    // Symmetric, so that rows of the moments are its columns.
    if (moments !== undefined) return yield* multiply(block, moments);
    return yield* multiply(yield* multiply(block, rows), columns);
  };

  const draw = uniform(o.seed ?? 1);
  let block = zeroRows(directions, d);
  for (let row = 0; row < directions; row++) {
    for (let i = row * d; i < (row + 1) * d; i++) block.data[i] = draw() * 2 - 1;
    yield d;
  }
  let image = block;
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    block = image;
    yield* orthonormalise(block, draw, iteration === ITERATIONS - 1 ? 2 : 1);
    image = yield* apply(block);
  }
  // Rayleigh–Ritz: the best directions inside the block's span, in order.
  const { values, vectors } = yield* symmetricEigen(yield* multiply(image, block, true));
  const turned = yield* multiply(vectors, yield* transposed(block));
  return {
    dimensions: d,
    directions,
    vectors: new Float32Array(turned.data),
    eigenvalues: values.map((value) => Math.max(0, value) * trace),
    trace,
    mean,
  };
}

/** The sample in float64: unit rows for cosine, centred for euclidean; then scaled so that the moments have trace 1. */
function* prepared(o: LearnOptions): Generator<number, { rows: Rows; mean: Float32Array; trace: number }> {
  const d = o.dimensions;
  const mean = new Float32Array(d);
  if (o.metric === "euclidean" && o.count > 0) {
    const sums = new Float64Array(d);
    for (let row = 0; row < o.count; row++) {
      for (let i = 0; i < d; i++) sums[i]! += o.sample[row * d + i]!; // inside both arrays
      yield d;
    }
    for (let i = 0; i < d; i++) mean[i] = (sums[i] ?? 0) / o.count;
  }
  const rows = zeroRows(o.count, d);
  let total = 0;
  for (let row = 0; row < o.count; row++) {
    let square = 0;
    for (let i = 0; i < d; i++) {
      const value = (o.sample[row * d + i] ?? 0) - (mean[i] ?? 0);
      rows.data[row * d + i] = value;
      square += value * value;
    }
    if (o.metric === "cosine" && square > 0) {
      const norm = Math.sqrt(square);
      for (let i = 0; i < d; i++) rows.data[row * d + i]! /= norm; // inside the array
      square = 1;
    }
    total += square;
    yield 3 * d;
  }
  const scale = total > 0 ? 1 / Math.sqrt(total) : 0;
  for (let row = 0; row < o.count; row++) {
    for (let i = row * d; i < (row + 1) * d; i++) rows.data[i]! *= scale; // inside the array
    yield d;
  }
  return { rows, mean, trace: o.count > 0 ? total / o.count : 0 };
}

/**
 * Gram–Schmidt, row by row, `passes` times ("twice is enough": Kahan, Parlett). A row that lies in
 * the span of those before, as happens with duplicate rows or few of them, is replaced by a
 * random one.
 */
function* orthonormalise(block: Rows, draw: () => number, passes: number): Generator<number, void> {
  const d = block.length;
  for (let i = 0; i < block.rows; i++) {
    const row = block.data.subarray(i * d, (i + 1) * d);
    for (let attempt = 0; ; attempt++) {
      const before = lengthOf(row);
      for (let pass = 0; pass < (attempt > 0 ? 2 : passes); pass++) yield* subtractProjection(block, i, row);
      const after = lengthOf(row);
      // What is left of a dependent row is rounding; a random row keeps at least about d^(−1/2) of itself.
      if (after > 1e-7 * before) {
        for (let t = 0; t < d; t++) row[t]! /= after; // inside the row
        break;
      }
      if (attempt === 16) throw new Error("bug: no direction is independent of fewer than d others");
      for (let t = 0; t < d; t++) row[t] = draw() * 2 - 1;
    }
  }
}

function lengthOf(row: Float64Array): number {
  let sum = 0;
  for (const value of row) sum += value * value;
  return Math.sqrt(sum);
}

/** row −= Σ_k (q_k·row)·q_k over the first `count` rows of the block, four at a time. */
function* subtractProjection(block: Rows, count: number, row: Float64Array): Generator<number, void> {
  const d = block.length;
  let done = 0;
  // Modified Gram–Schmidt in groups of four: each group sees what the groups before left over.
  for (let k = 0; k < count; k += 4) {
    subtractFour(block.data, k * d, Math.min(4, count - k), row);
    done += 8 * d;
    if (done >= LIMITS.sliceElements - 8 * d) {
      yield done;
      done = 0;
    }
  }
  yield done;
}

function subtractFour(q: Float64Array, at: number, count: number, row: Float64Array): void {
  const d = row.length;
  // A group of fewer than four repeats its first row with coefficient 0.
  const a1 = count > 1 ? at + d : at;
  const a2 = count > 2 ? at + 2 * d : at;
  const a3 = count > 3 ? at + 3 * d : at;
  let c0 = 0;
  let c1 = 0;
  let c2 = 0;
  let c3 = 0;
  for (let t = 0; t < d; t++) {
    const v = row[t]!;
    c0 += q[at + t]! * v;
    c1 += q[a1 + t]! * v;
    c2 += q[a2 + t]! * v;
    c3 += q[a3 + t]! * v;
  }
  if (count < 2) c1 = 0;
  if (count < 3) c2 = 0;
  if (count < 4) c3 = 0;
  for (let t = 0; t < d; t++) row[t]! -= c0 * q[at + t]! + c1 * q[a1 + t]! + c2 * q[a2 + t]! + c3 * q[a3 + t]!;
}

/**
 * For every m ≤ directions, a bound of ‖P·Pᵀ − I‖_F of the first m rows as float32 has them:
 * [directions + 1]. Products of float32 are exact in float64, so an entry's sum is off by at most
 * γ·|p_i||p_j| with γ = (d + 2)·2⁻⁵³, and the whole matrix by γ·Σ|p_i|² in this norm; the m² additions
 * of squares are off by another (m² + 8)·2⁻⁵³ of themselves. Both are doubled here, which covers
 * the second-order terms and the evaluation of this very sum.
 */
export function* prefixDefects(basis: Basis, directions: number = basis.directions): Generator<number, Float64Array> {
  const d = basis.dimensions;
  const p: Rows = { data: new Float64Array(basis.vectors.subarray(0, directions * d)), rows: directions, length: d };
  const gram = yield* product(p, p, true);
  const defects = new Float64Array(directions + 1);
  let squares = 0;
  let trace = 0;
  for (let i = 0; i < directions; i++) {
    for (let j = 0; j < i; j++) squares += 2 * (gram.data[i * directions + j] ?? 0) ** 2;
    const length = gram.data[i * directions + i] ?? 0;
    squares += (length - 1) ** 2;
    trace += length;
    const m = i + 1;
    defects[m] = Math.sqrt(squares) * (1 + 2 * (m * m + 8) * 2 ** -53) + 2 * (d + 2) * 2 ** -53 * trace;
    yield m;
  }
  return defects;
}

/** At least ‖P·Pᵀ − I‖_F of the first m rows. Takes m²·d/2 multiply-adds in one go: see `prefixDefects` for pieces. */
export function orthonormalityDefect(basis: Basis, m: number): number {
  return runToEnd(prefixDefects(basis, m))[m] ?? 0;
}
