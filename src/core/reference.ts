/**
 * The oracle: the slow, obvious float64 brute force that every backend must equal, ids and
 * distances bit for bit (DESIGN rules 1 and 2). Written from the contract's text and sharing no
 * code with the kernels; never optimise it. Used by tests and by the benchmark's answer check.
 */
import type { Metric, Precision } from "./metric.ts";

export interface ReferenceHit {
  readonly row: number;
  readonly distance: number;
}

/**
 * The elements of a vector as a row stores them (DESIGN rule 4), exact in float64; of b1 zeros and
 * ones. `values` are float32. Throws for a value that f16 cannot hold.
 */
export function storedRow(precision: Precision, values: ArrayLike<number>): Float64Array {
  const elements = Float64Array.from(values);
  switch (precision) {
    case "f32":
      return elements;
    case "f16":
      return elements.map(nearestHalf);
    case "i8": {
      const largest = elements.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const scale = Math.fround(largest / 127);
      if (scale === 0) return elements.fill(0);
      const code = (x: number): number => Math.min(127, Math.max(-127, roundHalfToEven(x / scale))) + 0; // no −0
      return elements.map((x) => scale * code(x));
    }
    case "b1":
      return elements.map((x) => (x > 0 ? 1 : 0));
    default:
      return precision satisfies never;
  }
}

/** The float16 nearest to x: a multiple of 2^(e − 10) for 2^e ≤ |x| < 2^(e + 1), where e is at least −14. */
function nearestHalf(x: number): number {
  let exponent = -14;
  while (2 ** (exponent + 1) <= Math.abs(x)) exponent++;
  const step = 2 ** (exponent - 10);
  const half = roundHalfToEven(x / step) * step;
  if (Math.abs(half) > 65504) throw new Error(`${x} is beyond float16`);
  return half;
}

function roundHalfToEven(x: number): number {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

/** The canonical distance of two unpadded vectors: of numbers, or of zeros and ones for the metrics of bits. */
export function referenceDistance(metric: Metric, a: ArrayLike<number>, b: ArrayLike<number>): number {
  const sum = (term: (x: number, y: number) => number): number => {
    const s = [0, 0, 0, 0];
    for (let i = 0; i < a.length; i++) s[i % 4] = (s[i % 4] ?? 0) + term(a[i] ?? 0, b[i] ?? 0);
    const [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = s;
    return s0 + s1 + (s2 + s3);
  };
  const exact = (): number => {
    switch (metric) {
      case "cosine":
        return Math.max(0, 1 - sum((x, y) => x * y) / Math.sqrt(sum((x) => x * x) * sum((_, y) => y * y)));
      case "dot":
        return 0 - sum((x, y) => x * y);
      case "euclidean":
        return Math.sqrt(sum((x, y) => (x - y) * (x - y)));
      case "manhattan":
        return sum((x, y) => Math.abs(x - y));
      case "hamming":
        return sum((x, y) => (x === y ? 0 : 1));
      case "jaccard": {
        const either = sum((x, y) => (x === 1 || y === 1 ? 1 : 0));
        return either === 0 ? 0 : 1 - sum((x, y) => (x === 1 && y === 1 ? 1 : 0)) / either;
      }
      default:
        return metric satisfies never;
    }
  };
  const largest = 3.4028234663852886e38;
  const rounded = Math.fround(exact());
  if (rounded === 0) return 0;
  return Math.min(largest, Math.max(-largest, rounded));
}

export interface ReferenceQuery {
  readonly metric: Metric;
  /** Elements of the rows as stored (`storedRow`), row-major [rowCount × dimensions]. */
  readonly rows: Float32Array | Float64Array;
  readonly dimensions: number;
  /** As given; zeros and ones for the metrics of bits. */
  readonly query: ArrayLike<number>;
  readonly k: number;
  /** Which rows may be found; default all. */
  readonly isEligible?: (row: number) => boolean;
  readonly maxDistance?: number;
}

/** All eligible rows, sorted by (distance, row), the first k of them. */
export function reference(o: ReferenceQuery): ReferenceHit[] {
  const hits: ReferenceHit[] = [];
  const rowCount = o.rows.length / o.dimensions;
  const limit = Math.fround(o.maxDistance ?? Infinity);
  for (let row = 0; row < rowCount; row++) {
    if (o.isEligible !== undefined && !o.isEligible(row)) continue;
    const vector = o.rows.subarray(row * o.dimensions, (row + 1) * o.dimensions);
    const distance = referenceDistance(o.metric, o.query, vector);
    if (distance <= limit) hits.push({ row, distance });
  }
  hits.sort((a, b) => a.distance - b.distance || a.row - b.row);
  return hits.slice(0, o.k);
}
