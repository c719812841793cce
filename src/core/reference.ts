/**
 * The oracle: the slow, obvious float64 brute force that every backend must equal, ids and
 * distances bit for bit (DESIGN rules 1 and 2). Written from the contract's text and sharing no
 * code with the kernels; never optimise it. Used by tests and by the benchmark's answer check.
 */
import type { FloatMetric } from "./metric.ts";

export interface ReferenceHit {
  readonly row: number;
  readonly distance: number;
}

/** The canonical distance of two unpadded vectors. */
export function referenceDistance(metric: FloatMetric, a: ArrayLike<number>, b: ArrayLike<number>): number {
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
  readonly metric: FloatMetric;
  /** Row-major [rowCount × dimensions]. */
  readonly rows: Float32Array;
  readonly dimensions: number;
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
