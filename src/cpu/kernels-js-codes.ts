/**
 * Plain-JS twins of scan_i8 and refine: what the certified scan runs where there is no WASM. They
 * compute in float64, closer to the truth than the bounds ask for; queries have 16-bit codes.
 */
import { halfToFloat } from "../core/half.ts";
import type { FloatMetric } from "../core/metric.ts";
import type { CodeSpan, ScanSpan } from "./kernels.ts";
import { appendHit, type Views } from "./views.ts";

/** See assembly/scan_i8.ts. Indices are in bounds by the layout: `!` keeps the inner loop free of branches. */
export function scanCodes({ floats, words, codes, wide }: Views, s: CodeSpan): number {
  const plane = s.plane >>> 2;
  const coefficientPlane = s.coefficientPlane >>> 2;
  let count = 0;
  for (let q = 0; q < s.queryCount; q++) {
    const query = (s.queries >>> 1) + q * s.stride;
    const at = (s.coefficients >>> 2) + q;
    const product = floats[at]!;
    const perError = floats[at + coefficientPlane]!;
    const perResidual = floats[at + 2 * coefficientPlane]!;
    const perNorm = floats[at + 3 * coefficientPlane]!;
    const limit = floats[at + 4 * coefficientPlane]!;
    for (let r = 0; r < s.rowCount; r++) {
      const row = s.codes + r * s.stride;
      let sum = 0;
      for (let i = 0; i < s.stride; i++) sum += codes[row + i]! * wide[query + i]!;
      const fact = (s.facts >>> 2) + r;
      const n = floats[fact + 3 * plane]!;
      const low =
        s.weight * n * n -
        product * floats[fact]! * sum -
        perError * floats[fact + plane]! -
        perResidual * floats[fact + 2 * plane]! -
        perNorm * n;
      if (!(low > limit)) count = appendHit(words, s, count, q, r);
    }
  }
  return count;
}

/** See assembly/refine.ts. */
export function refinePairs(
  { floats, words, halves }: Views,
  metric: FloatMetric,
  isHalf: boolean,
  stride: number,
  s: ScanSpan,
  count: number,
  estimates: number,
): number {
  let kept = 0;
  for (let h = 0; h < count; h++) {
    const hit = words[(s.hits >>> 2) + h]!;
    const q = hit >>> 16;
    const r = hit & 0xffff;
    const query = (s.queries >>> 2) + q * stride;
    const row = (s.rows >>> (isHalf ? 1 : 2)) + r * stride;
    let sum = 0;
    for (let i = 0; i < stride; i++) {
      const x = isHalf ? halfToFloat(halves[row + i]!) : floats[row + i]!;
      const y = floats[query + i]!;
      sum += metric === "euclidean" ? (x - y) * (x - y) : x * y;
    }
    const term = floats[(s.terms >>> 2) + r]!;
    const perNorm = floats[(s.perNorms >>> 2) + q]!;
    const estimate = metric === "cosine" ? 1 - sum * term : metric === "dot" ? -sum - perNorm * term : sum;
    if (estimate > floats[(s.limits >>> 2) + q]!) continue;
    floats[(estimates >>> 2) + kept] = estimate;
    words[(s.hits >>> 2) + kept++] = hit;
  }
  return kept;
}
