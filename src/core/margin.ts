/**
 * The certificate of the full-precision scan (KERNELS b.5: the f32 scan is an estimate too).
 *
 * A float32 scan computes an estimate e(q, x) of the canonical distance d(q, x), in *estimate
 * scale*: cosine 1 − cos, dot −q·x, euclidean the square Σ(q−x)², manhattan Σ|q−x|, with rows and
 * queries possibly multiplied by powers of two so that float32 neither overflows nor drowns.
 * Here is what its error can be, so that a scan may drop a row only when the row cannot belong to
 * the answer; the canonical distances of the survivors have the last word.
 *
 * Model of the arithmetic: each operation is off by at most a factor 1 ± u with u = 2⁻²³ (WGSL
 * allows directed rounding, so not 2⁻²⁴), in any order and with or without FMA; results below
 * 2⁻¹²⁶ and such inputs may be flushed to zero. A sum over d elements has depth ≤ d + 3, a term
 * adds ≤ 3 roundings and the norm, the scale and the comparison below the rest: n = d + 8 covers
 * them, and γ = n·u / (1 − n·u) bounds the product of n factors (Higham, Accuracy and Stability
 * of Numerical Algorithms, lemma 3.1). Sums of non-negative terms (euclidean, manhattan) have
 * relative error γ of themselves, because differences are taken before squaring: a common offset
 * of the data costs nothing. The expansion ‖q‖² + ‖x‖² − 2q·x would lose it all; rejected, in the
 * GEMM kernels too: the certified scan expands, about the mean, with a bound of its own. Sums of products have error γ·‖q‖·‖x‖.
 *
 * The slack constants (2⁻¹⁹ and 2⁻²⁰) cover, several times over, the rounding of the canonical
 * distance to float32, on which ties and so the order by row depend, and the float32 evaluation
 * of the bounds themselves.
 */
import { F32_MAX, type FloatMetric } from "./metric.ts";

const U = 2 ** -23;

/** Estimates beyond this are never produced by comfortable data: stands for +∞, which WGSL lacks. */
export const ESTIMATE_MAX: number = 2 ** 125;

/** How far an estimate may be from the truth, for one query: |e − d| ≤ relative·|d| + perNorm·‖x‖ + absolute. */
export interface ScanMargin {
  readonly relative: number;
  /** Multiplies the row's (scaled) norm; non-zero for dot only. */
  readonly perNorm: number;
  readonly absolute: number;
}

/**
 * `queryNorm` is the norm of the query as scanned, that is after scaling; it matters to dot only.
 * `scale`: what the scan multiplied its distances by (before squaring); it matters where canonical
 * distances are float32 subnormals, which round by up to 2⁻¹⁵⁰ whatever their size: products of
 * 1e-30 data all round to 0 and tie.
 */
export function scanMargin(metric: FloatMetric, dimensions: number, queryNorm: number, scale: number): ScanMargin {
  const n = dimensions + 8;
  const gamma = (n * U) / (1 - n * U);
  const underflow = n * 2 ** -120;
  const subnormal = 2 ** -149 * scale;
  switch (metric) {
    case "cosine":
      return { relative: 0, perNorm: 0, absolute: gamma + 2 ** -19 };
    case "dot":
      return {
        relative: 0,
        perNorm: (gamma + 2 ** -19) * queryNorm,
        absolute: underflow * Math.max(1, queryNorm) + subnormal,
      };
    case "euclidean":
    case "manhattan": {
      // (D + s)² − D² for subnormal D ≤ 2⁻¹²⁶·scale and a rounding s.
      const rounding = metric === "euclidean" ? 2 ** -273 * scale * scale : subnormal;
      // γ bounds e against d; γ / (1 − γ) bounds d against e, which is what a scan that knows only e needs.
      return { relative: gamma / (1 - gamma) + 2 ** -20, perNorm: 0, absolute: underflow + rounding };
    }
    default:
      return metric satisfies never;
  }
}

/**
 * The true distance, in estimate scale, that a row at canonical distance ≤ `distance` cannot
 * exceed. `scale`: what the scan multiplied its distances by (before squaring).
 * Beyond the float32 range canonical distances are clamped and tie, so nothing may be dropped.
 */
export function toEstimateScale(metric: FloatMetric, distance: number, scale: number): number {
  if (distance >= F32_MAX) return Infinity;
  if (distance === -Infinity) return -Infinity;
  // One float32 ulp up: a row slightly farther in float64 may round to the same float32.
  const above = distance + Math.abs(distance) * 2 ** -23 + 2 ** -149;
  if (metric === "cosine") return above;
  if (metric !== "euclidean") return above * scale;
  if (above < 0) return -Infinity;
  const scaled = above * scale * (1 + 2 ** -40);
  return scaled * scaled;
}

/**
 * The largest estimate (less perNorm·‖x‖) that a row at canonical distance ≤ `distance` can have:
 * a row whose estimate exceeds it is ruled out.
 */
export function admissibleEstimate(metric: FloatMetric, distance: number, scale: number, margin: ScanMargin): number {
  return admissible(toEstimateScale(metric, distance, scale), margin);
}

/** The same of a true distance in estimate scale. */
export function admissible(truth: number, margin: ScanMargin): number {
  return Number.isFinite(truth) ? truth + Math.abs(truth) * margin.relative + margin.absolute : truth;
}

/**
 * The other way round: at most this, in estimate scale, is the distance of any row that ties with
 * or is nearer than one whose estimate (less perNorm·‖x‖) is `estimate`. `longest`: the largest
 * norm of a row, as scanned. +∞ where canonical distances may be clamped, and tie.
 */
export function greatestTruth(estimate: number, margin: ScanMargin, scale: number, longest: number): number {
  const truth = estimate + 2 * Math.abs(estimate) * margin.relative + 2 * margin.perNorm * longest + margin.absolute;
  // The square of a float32 ulp up, and then some: a row slightly farther may round to the same float32.
  return Math.abs(truth) < scale * (F32_MAX / 2) ? truth + Math.abs(truth) * 2 ** -21 : Infinity;
}
