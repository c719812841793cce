/**
 * Between what the norms of some rows lie: what margins, scales and certificates of a scan are
 * made from. Bounds, not facts: they may be wider than the rows, never narrower.
 */
import type { Metric } from "./metric.ts";

/** Euclidean norms of stored rows in float64; of b1 numbers of set bits. */
export interface NormRange {
  /** Of the rows that are not zero; +Infinity without one. */
  readonly minNorm: number;
  readonly maxNorm: number;
}

/** The range of no rows. */
export const NO_NORMS: NormRange = { minNorm: Infinity, maxNorm: 0 };

/** A range that rows are added to one by one. */
export class GrowingNormRange implements NormRange {
  minNorm: number = NO_NORMS.minNorm;
  maxNorm: number = NO_NORMS.maxNorm;

  include(norm: number): void {
    if (norm > 0 && norm < this.minNorm) this.minNorm = norm;
    if (norm > this.maxNorm) this.maxNorm = norm;
  }

  unite({ minNorm, maxNorm }: NormRange): void {
    if (minNorm < this.minNorm) this.minNorm = minNorm;
    if (maxNorm > this.maxNorm) this.maxNorm = maxNorm;
  }
}

/** Whether these can be bounds of norms at all: what a file says is not believed blindly. */
export function isNormRange({ minNorm, maxNorm }: NormRange): boolean {
  const isEmpty = minNorm === Infinity && maxNorm === 0;
  return isEmpty || (minNorm > 0 && minNorm <= maxNorm && maxNorm < Infinity);
}

/** The smallest float32 that is rounded to with a relative error of at most 2⁻²⁴. */
const LEAST_NORMAL = 2 ** -126;
/** Twice the rounding of a term to float32 and, under cosine, of the divisions. */
const SLACK = 2 ** -22;

/**
 * What the terms of some rows (stored-rows.ts) say of their norms, within `known`, which holds for
 * more rows than these: one row of a file that is out of all proportion then costs its block, and
 * not all of them. Terms outside float32's comfort say nothing.
 */
export function normsOfTerms(terms: Float32Array, metric: Metric, known: NormRange): NormRange {
  let least = Infinity;
  let most = 0;
  // By index: iterating over shared memory takes three times as long (V8 11.3).
  for (let i = 0; i < terms.length; i++) {
    const term = terms[i] ?? 0;
    if (!(term >= LEAST_NORMAL && term < Infinity)) return known;
    if (term < least) least = term;
    if (term > most) most = term;
  }
  if (most === 0) return NO_NORMS;
  const [low, high] = metric === "cosine" ? [1 / most, 1 / least] : [least, most];
  return {
    minNorm: Math.max(known.minNorm, low * (1 - SLACK)),
    maxNorm: Math.min(known.maxNorm, high * (1 + SLACK)),
  };
}
