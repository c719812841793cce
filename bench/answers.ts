/** Answers compared with the oracle's, and with each other, bit for bit: no number for a wrong answer. Pure. */
import type { ReferenceHit } from "../src/core/reference.ts";

/** What a search returned, and whether it said that the k-th place is settled to 1e-6 only (DESIGN rule 3). */
export interface Answer {
  readonly queries: number;
  readonly k: number;
  readonly rows: Uint32Array;
  readonly distances: Float32Array;
  readonly counts: Uint32Array;
  readonly report: { readonly exact: boolean; readonly degraded: readonly string[] };
}

export interface Asked {
  readonly rows: number;
  readonly batch: number;
  readonly k: number;
}

/** What is wrong with an answer by itself: its shape, order, range, a row twice; or undefined. */
export function shapeProblem(answer: Answer, asked: Asked): string | undefined {
  const { queries, k, rows, distances, counts, report } = answer;
  const width = Math.min(asked.k, asked.rows);
  if (queries !== asked.batch || k !== width) return `${queries} queries × ${k} instead of ${asked.batch} × ${width}`;
  if (!report.exact) return "the report says that it is not exact";
  for (let q = 0; q < queries; q++) {
    if (counts[q] !== width) return `query ${q}: ${counts[q]} hits instead of ${width}`;
    const seen = new Set<number>();
    for (let i = q * k; i < (q + 1) * k; i++) {
      const row = rows[i] ?? Infinity;
      if (row >= asked.rows || seen.has(row)) return `query ${q}: row ${row} is out of range or returned twice`;
      seen.add(row);
      const distance = distances[i] ?? Number.NaN;
      const before = i === q * k ? -Infinity : (distances[i - 1] ?? Number.NaN);
      const isInOrder = before < distance || (before === distance && (rows[i - 1] ?? 0) < row);
      if (!isInOrder) return `query ${q}: hit ${i - q * k} is out of order`;
    }
  }
  return undefined;
}

/**
 * Where the hits of query `q` differ from what is wanted, or undefined. Above k = 256 an answer may
 * say that its last places are settled to `boundary` only; then distances may differ by that much.
 */
export function rankProblem(
  answer: Answer,
  q: number,
  wanted: readonly ReferenceHit[],
  boundary: number,
): string | undefined {
  const { k, rows, distances, report } = answer;
  const tolerance = k > 256 && report.degraded.includes("boundary:1e-6") ? boundary : 0;
  for (let i = 0; i < k; i++) {
    const row = rows[q * k + i];
    const distance = distances[q * k + i] ?? Number.NaN;
    const want = wanted[i];
    if (want === undefined) return `query ${q}: the check found only ${wanted.length} rows`;
    if (row === want.row && distance === want.distance) continue;
    if (tolerance > 0 && Math.abs(distance - want.distance) <= tolerance) continue;
    return `query ${q}, hit ${i}: row ${row} at ${distance}, wanted row ${want.row} at ${want.distance}`;
  }
  return undefined;
}

/** Whether two answers are the same, bit for bit. */
export function sameAnswer(a: Answer, b: Answer): boolean {
  const equal = (x: ArrayLike<number>, y: ArrayLike<number>): boolean =>
    x.length === y.length && Array.prototype.every.call(x, (value: number, i) => Object.is(value, y[i]));
  return equal(a.rows, b.rows) && equal(a.distances, b.distances) && equal(a.counts, b.counts);
}
