/**
 * How many principal directions to scan: the prefix length m with the least expected traffic.
 * A shorter prefix reads fewer bytes a row and rules out fewer rows; every survivor is gathered
 * whole. So survivors are counted on a sample, with the bounds of the real scan, for a ladder of
 * prefixes and for m = d without projection, which unstructured data must get.
 *
 * A choice of speed, not of correctness: so tails are formed by subtracting squares in float64,
 * and δ is a typical one. The threshold of a query is the true distance of its r-th nearest in the
 * sample, r = the rank that the k-th of all rows has there, at least 1. In a large index the k-th
 * is nearer than the nearest of the sample; survivors are overestimated then and m errs upwards.
 */
import type { Basis, ProductMetric } from "./basis.ts";
import { boundOf, queryBound } from "./certificate.ts";
import { encodeProjected, type EncodingScalars, project } from "./encoding.ts";
import { LIMITS } from "./limits.ts";

export interface ChooseOptions {
  readonly basis: Basis;
  readonly metric: ProductMetric;
  /** [count × dimensions], rows as stored, decoded; some are held out as queries. */
  readonly sample: Float32Array;
  readonly count: number;
  readonly queries?: number;
  /** Neighbours wanted; default 10. */
  readonly k?: number;
  /** Rows of the index. */
  readonly rowCount: number;
  /** Bytes of a row in full precision: what a survivor costs. */
  readonly rowBytesFull: number;
  /** Gathering a byte of a survivor costs as much as streaming this many; default 2. */
  readonly gatherCost?: number;
  /** Prefix lengths to try; default: the multiples of 16. */
  readonly candidates?: readonly number[];
}

export interface PrefixChoice {
  /** The dimensions: no projection. */
  readonly m: number;
  /** Bytes that a query touches, per row of the index. */
  readonly expectedBytesPerRow: number;
  readonly survivorsFraction: number;
  /** The same without a certificate: rowBytesFull. */
  readonly fullBytesPerRow: number;
}

/** Bytes of a row beside its codes: a float32 scale and two halves, or four. */
const ROW_SCALARS = 8;
/** δ of float32 directions, as measured: 2e-7 … 7e-7. */
const TYPICAL_DEFECT = 2 ** -20;

/** Vectors of the sample: as the metric sees them, and projected on all directions. */
interface Projected {
  readonly full: Float64Array;
  readonly prefix: Float64Array;
  readonly norm2: Float64Array;
  readonly count: number;
}

/** Yields the multiply-adds done since the last yield. */
export function* choosePrefix(o: ChooseOptions): Generator<number, PrefixChoice> {
  const d = o.basis.dimensions;
  const p = o.basis.directions;
  const affordable = Math.max(64, Math.floor(LIMITS.prefixWork / (p * d)));
  const count = Math.min(o.count, affordable);
  const queries = Math.min(o.queries ?? LIMITS.prefixQueries, Math.floor(count / 2));
  const identity = { m: d, survivorsFraction: 1 };
  if (queries === 0) return costed(o, identity);

  const all = yield* projectSample(o, count);
  const stride = Math.floor(count / queries);
  const held = Array.from({ length: queries }, (_, i) => i * stride);
  const isHeld = new Set(held);
  const rows = Array.from({ length: count }, (_, i) => i).filter((row) => !isHeld.has(row));
  const rank = Math.max(1, Math.min(rows.length, Math.round(((o.k ?? 10) * rows.length) / Math.max(1, o.rowCount))));
  const thresholds: number[] = [];
  for (const query of held) {
    const distances = new Float64Array(rows.length);
    for (const [i, row] of rows.entries()) {
      distances[i] = distance(o.metric, all, query, row, d);
      yield d;
    }
    thresholds.push(distances.sort()[rank - 1] ?? Infinity);
  }

  let best = costed(o, {
    m: d,
    survivorsFraction: yield* survivors(o.metric, all, all.full, d, d, held, rows, thresholds),
  });
  for (const m of o.candidates ?? ladder(p)) {
    // Out of range, or dearer than the best so far though nothing survived.
    if (m >= d || m > p || m < 1 || m + ROW_SCALARS >= best.expectedBytesPerRow) continue;
    const survivorsFraction = yield* survivors(o.metric, all, all.prefix, p, m, held, rows, thresholds);
    const choice = costed(o, { m, survivorsFraction });
    if (choice.expectedBytesPerRow < best.expectedBytesPerRow) best = choice;
  }
  return best;
}

function ladder(directions: number): number[] {
  return Array.from({ length: Math.floor(directions / 16) }, (_, i) => (i + 1) * 16);
}

function costed(o: ChooseOptions, found: { m: number; survivorsFraction: number }): PrefixChoice {
  const gathered = found.survivorsFraction * (o.gatherCost ?? 2) * o.rowBytesFull;
  return { ...found, expectedBytesPerRow: found.m + ROW_SCALARS + gathered, fullBytesPerRow: o.rowBytesFull };
}

/** Rows evenly from the whole sample, which may be in order of insertion. */
function* projectSample(o: ChooseOptions, count: number): Generator<number, Projected> {
  const { dimensions: d, directions: p, vectors, mean } = o.basis;
  const full = new Float64Array(count * d);
  const prefix = new Float64Array(count * p);
  const norm2 = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const at = Math.floor((i * o.count) / count) * d;
    const b = full.subarray(i * d, (i + 1) * d);
    let square = 0;
    for (let j = 0; j < d; j++) {
      const value = o.sample[at + j]! - (o.metric === "euclidean" ? mean[j]! : 0); // inside the arrays
      b[j] = value;
      square += value * value;
    }
    if (o.metric === "cosine" && square > 0) {
      const norm = Math.sqrt(square);
      for (let j = 0; j < d; j++) b[j]! /= norm; // inside the array
      square = 1;
    }
    norm2[i] = square;
    project(vectors, p, b, prefix.subarray(i * p, (i + 1) * p));
    yield p * d;
  }
  return { full, prefix, norm2, count };
}

/** The distance in estimate scale. */
function distance(metric: ProductMetric, all: Projected, query: number, row: number, d: number): number {
  let sum = 0;
  for (let i = 0; i < d; i++) sum += all.full[query * d + i]! * all.full[row * d + i]!; // inside the array
  if (metric === "euclidean") return Math.max(0, (all.norm2[query] ?? 0) + (all.norm2[row] ?? 0) - 2 * sum);
  return metric === "cosine" ? 1 - sum : -sum;
}

/** The mean part of the rows whose lower bound does not exceed the query's threshold. */
function* survivors(
  metric: ProductMetric,
  all: Projected,
  projected: Float64Array,
  width: number,
  m: number,
  held: readonly number[],
  rows: readonly number[],
  thresholds: readonly number[],
): Generator<number, number> {
  const codes = new Int8Array(all.count * m);
  const scalars: EncodingScalars[] = [];
  for (let i = 0; i < all.count; i++) {
    const { scale, error2, code2 } = encodeProjected(projected, i * width, m, codes, i * m, 127);
    scalars.push(measured(projected, i * width, m, scale, error2, code2, all.norm2[i] ?? 0));
    yield 4 * m;
  }
  const isEuclidean = metric === "euclidean";
  const defect = m === all.full.length / all.count ? 0 : TYPICAL_DEFECT;
  let kept = 0;
  for (const [i, query] of held.entries()) {
    const a = scalars[query];
    if (a === undefined) continue;
    const bound = queryBound(a, defect);
    const threshold = thresholds[i] ?? Infinity;
    for (const row of rows) {
      const b = scalars[row];
      if (b === undefined) continue;
      let sum = 0;
      for (let j = 0; j < m; j++) sum += codes[query * m + j]! * codes[row * m + j]!; // inside the array
      const product = a.scale * b.scale * sum + boundOf(bound, b);
      const low = isEuclidean ? a.norm2 + b.norm2 - 2 * product : metric === "cosine" ? 1 - product : -product;
      if (low <= threshold) kept++;
      yield m;
    }
  }
  return kept / (held.length * rows.length);
}

function measured(
  y: Float64Array,
  at: number,
  m: number,
  scale: number,
  error2: number,
  code2: number,
  norm2: number,
): EncodingScalars {
  let projected2 = 0;
  for (let i = 0; i < m; i++) projected2 += y[at + i]! * y[at + i]!; // inside the array
  return {
    scale,
    errorNorm: Math.sqrt(error2),
    codeNorm: scale * Math.sqrt(code2),
    residualNorm: Math.sqrt(Math.max(0, norm2 - projected2)),
    projectedNorm: Math.sqrt(projected2),
    norm: Math.sqrt(norm2),
    norm2,
  };
}
