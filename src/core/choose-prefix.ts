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
 *
 * Thresholds need all of the sample, counting survivors does not: two thousand rows against 32
 * queries settle their fraction. What a prefix rules out a longer one rules out too, but for the
 * rounding of codes, which grows with the scale and hardly at all. So only the survivors of each
 * rung of the ladder climb to the next, and those of the longest prefix, counted first, tell when
 * to stop: noise has no prefix that could pay, and is known after one count.
 */
import type { Basis, ProductMetric } from "./basis.ts";
import { boundOf, queryBound } from "./certificate.ts";
import { encodeProjected, type EncodingScalars } from "./encoding.ts";
import { LIMITS } from "./limits.ts";
import { type Multiply, product, type Rows, zeroRows } from "./product.ts";

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
  /** Default: `product`. */
  readonly multiply?: Multiply;
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

/** Vectors on which survivors are counted, as the metric sees them: the queries first, then the rows. */
interface Counted {
  readonly queries: number;
  readonly rows: number;
  /** [queries + rows × dimensions]. */
  readonly full: Rows;
  readonly norm2: Float64Array;
  /** Of each query: what a row's lower bound must not exceed, in estimate scale. */
  readonly thresholds: readonly number[];
}

/** Yields the multiply-adds done since the last yield. */
export function* choosePrefix(o: ChooseOptions): Generator<number, PrefixChoice> {
  const { dimensions: d, directions: p, vectors } = o.basis;
  const queries = Math.min(o.queries ?? LIMITS.prefixQueries, Math.floor(o.count / 2));
  if (queries === 0) return costed(o, d, 1);
  const counted = yield* loadCounted(o, queries);
  const pairs = queries * counted.rows;
  const full = everyPair(pairs);
  let best = costed(o, d, (yield* survivors(o.metric, counted, counted.full, d, full, pairs)) / pairs);

  const ladder = (o.candidates ?? multiplesOf16(p)).filter((m) => m >= 1 && m <= p && m < d).sort((a, b) => a - b);
  const longest = ladder.at(-1);
  if (longest === undefined) return best;
  const basis: Rows = { data: new Float64Array(vectors), rows: p, length: d };
  const projected = yield* (o.multiply ?? product)(counted.full, basis);
  const fewest = (yield* survivors(o.metric, counted, projected, longest, everyPair(pairs), pairs)) / pairs;
  const alive = everyPair(pairs);
  let left = pairs;
  for (const m of ladder) {
    if (costed(o, m, fewest).expectedBytesPerRow >= best.expectedBytesPerRow) break;
    left = yield* survivors(o.metric, counted, projected, m, alive, left);
    const choice = costed(o, m, left / pairs);
    if (choice.expectedBytesPerRow < best.expectedBytesPerRow) best = choice;
  }
  return best;
}

/** At least the work of `choosePrefix` with the defaults. */
export function choosingWork(dimensions: number, directions: number, count: number): number {
  const queries = Math.min(LIMITS.prefixQueries, Math.floor(count / 2));
  const rows = queries + countedRows(dimensions, directions, count, queries);
  const rungs = Math.floor(directions / 16);
  const encoded = 5 * dimensions + 5 * directions + 40 * rungs * (rungs + 1);
  const compared = queries * (dimensions + directions + 8 * rungs * (rungs + 1));
  return queries * count * dimensions + rows * (3 * dimensions + directions * dimensions + encoded + compared);
}

function multiplesOf16(most: number): number[] {
  return Array.from({ length: Math.floor(most / 16) }, (_, i) => (i + 1) * 16);
}

function everyPair(pairs: number): Uint32Array {
  return Uint32Array.from({ length: pairs }, (_, i) => i);
}

function costed(o: ChooseOptions, m: number, survivorsFraction: number): PrefixChoice {
  const gathered = survivorsFraction * (o.gatherCost ?? 2) * o.rowBytesFull;
  return { m, survivorsFraction, expectedBytesPerRow: m + ROW_SCALARS + gathered, fullBytesPerRow: o.rowBytesFull };
}

function countedRows(d: number, directions: number, count: number, queries: number): number {
  const affordable = Math.floor(LIMITS.prefixWork / (d * directions)) - queries;
  return Math.max(1, Math.min(count - queries, LIMITS.prefixRows, affordable));
}

/** Queries and rows evenly from the whole sample, which may be in order of insertion. */
function* loadCounted(o: ChooseOptions, queries: number): Generator<number, Counted> {
  const { dimensions: d, directions, mean } = o.basis;
  const stride = Math.floor(o.count / queries);
  const held = Array.from({ length: queries }, (_, i) => i * stride);
  const isHeld = new Set(held);
  const others = Array.from({ length: o.count }, (_, i) => i).filter((row) => !isHeld.has(row));
  const rows = countedRows(d, directions, o.count, queries);
  const chosen = Array.from({ length: rows }, (_, i) => others[Math.floor((i * others.length) / rows)] ?? 0);
  const thresholds = yield* nearest(o, held, others);
  const full = zeroRows(queries + rows, d);
  const norm2 = new Float64Array(queries + rows);
  for (const [i, row] of [...held, ...chosen].entries()) {
    const b = full.data.subarray(i * d, (i + 1) * d);
    let square = 0;
    for (let j = 0; j < d; j++) {
      const value = o.sample[row * d + j]! - (o.metric === "euclidean" ? mean[j]! : 0); // inside the arrays
      b[j] = value;
      square += value * value;
    }
    if (o.metric === "cosine" && square > 0) {
      const norm = Math.sqrt(square);
      for (let j = 0; j < d; j++) b[j]! /= norm; // inside the array
      square = 1;
    }
    norm2[i] = square;
    yield 3 * d;
  }
  return { queries, rows, full, norm2, thresholds };
}

/** Of each held row, the distance to the one among the others that has the rank wanted. */
function* nearest(o: ChooseOptions, held: readonly number[], others: readonly number[]): Generator<number, number[]> {
  const d = o.basis.dimensions;
  const share = ((o.k ?? 10) * others.length) / Math.max(1, o.rowCount);
  const rank = Math.max(1, Math.min(others.length, Math.round(share)));
  const norms = new Float64Array(o.metric === "cosine" ? o.count : 0);
  for (let row = 0; row < norms.length; row++) {
    norms[row] = Math.sqrt(-distanceOf("dot", o.sample, row, row, d));
    yield d;
  }
  const thresholds: number[] = [];
  const distances = new Float64Array(others.length);
  for (const query of held) {
    for (const [i, row] of others.entries()) {
      const distance = distanceOf(o.metric, o.sample, query, row, d);
      const lengths = (norms[query] ?? 1) * (norms[row] ?? 1);
      distances[i] = o.metric === "cosine" ? 1 + (lengths > 0 ? distance / lengths : 0) : distance;
      yield d;
    }
    thresholds.push(distances.sort()[rank - 1] ?? Infinity);
  }
  return thresholds;
}

/** In estimate scale; for cosine minus the product. */
function distanceOf(metric: ProductMetric, sample: Float32Array, a: number, b: number, d: number): number {
  const [x, y] = [a * d, b * d];
  let sum = 0;
  if (metric === "euclidean") {
    for (let i = 0; i < d; i++) sum += (sample[x + i]! - sample[y + i]!) ** 2; // inside the array
    return sum;
  }
  for (let i = 0; i < d; i++) sum -= sample[x + i]! * sample[y + i]!;
  return sum;
}

/**
 * Keeps those of the first `count` pairs (query · rows + row) of `alive` whose lower bound does not
 * exceed the query's threshold, and returns how many they are. `y`: what is coded, m elements of it.
 */
function* survivors(
  metric: ProductMetric,
  counted: Counted,
  y: Rows,
  m: number,
  alive: Uint32Array,
  count: number,
): Generator<number, number> {
  const codes = new Int8Array(y.rows * m);
  const scalars: EncodingScalars[] = [];
  for (let i = 0; i < y.rows; i++) {
    scalars.push(coded(y, i, m, codes, counted.norm2[i] ?? 0));
    yield 5 * m;
  }
  const defect = y === counted.full ? 0 : TYPICAL_DEFECT;
  const bounds = scalars.slice(0, counted.queries).map((a) => queryBound(a, defect));
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const pair = alive[i] ?? 0;
    const query = Math.floor(pair / counted.rows);
    const row = counted.queries + (pair % counted.rows);
    const [a, b, bound] = [scalars[query], scalars[row], bounds[query]];
    if (a === undefined || b === undefined || bound === undefined) continue;
    let sum = 0;
    for (let j = 0; j < m; j++) sum += codes[query * m + j]! * codes[row * m + j]!; // inside the array
    const most = a.scale * b.scale * sum + boundOf(bound, b);
    const low = metric === "euclidean" ? a.norm2 + b.norm2 - 2 * most : metric === "cosine" ? 1 - most : -most;
    if (low <= (counted.thresholds[query] ?? Infinity)) alive[kept++] = pair;
    yield m;
  }
  return kept;
}

/** Codes the first m elements of row i, and what a bound needs of them. */
function coded(y: Rows, i: number, m: number, codes: Int8Array, norm2: number): EncodingScalars {
  const at = i * y.length;
  const { scale, error2, code2 } = encodeProjected(y.data, at, m, codes, i * m, 127);
  let projected2 = 0;
  for (let j = at; j < at + m; j++) projected2 += y.data[j]! * y.data[j]!; // inside the array
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
