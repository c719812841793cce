/**
 * Queries as the kernels see them: scaled, with the margin of the full-precision scan and with
 * their thresholds (shaders/parts/query.wgsl). Pure.
 */
import { COMFORT_MAX, isComfortable, unitExponent } from "../core/comfort.ts";
import { ESTIMATE_MAX, scanMargin, toEstimateScale } from "../core/margin.ts";
import { floatToHalf, halfToFloat } from "../core/half.ts";
import { F32_MAX, type Metric, type Precision } from "../core/metric.ts";

/** Words of `QueryParams`. */
export const QUERY_PARAM_WORDS = 12;

/** What is known of the rows that a scan meets. */
export interface RowsScanned {
  readonly metric: Metric;
  readonly precision: Precision;
  readonly dimensions: number;
  /** Norms of the rows, of non-zero rows for the smaller. */
  readonly minNorm: number;
  readonly maxNorm: number;
  /** Rows (but those of cosine) are scaled by 2 to this power for scanning. */
  readonly exponent: number;
}

/** A query as the scan sees it. */
export interface ScanQuery {
  /** Multiplies the query's elements. */
  readonly factor: number;
  /** The float words of `QueryParams` up to `limit`. */
  readonly params: readonly [
    relative: number,
    perNorm: number,
    absolute: number,
    floor: number,
    ceiling: number,
    limit: number,
  ];
  /** ‖q‖ as scanned; of packed bits how many are set. */
  readonly norm: number;
}

/** Halves are scaled up by this exponent where they allow it, so that no subnormal is left among them. */
const HALF_EXPONENT = 10;
const HALF_MAX = 65504;

/**
 * The exponent by which an index's rows are scaled for scanning: 0 unless their magnitude is
 * extreme. Cosine scales each float32 row by itself instead (see `rowExponent`). Halves are scaled
 * as far as they go, because a device may flush subnormal ones.
 */
export function indexExponent(metric: Metric, precision: Precision, maxNorm: number): number {
  if (precision === "b1") return 0;
  if (precision === "f16") {
    return Math.max(0, Math.min(HALF_EXPONENT, Math.floor(Math.log2(HALF_MAX / Math.max(maxNorm, 2 ** -24)))));
  }
  return metric === "cosine" || isComfortable(maxNorm) ? 0 : unitExponent(maxNorm);
}

/** The exponent by which one row is scaled for scanning. */
export function rowExponent(metric: Metric, precision: Precision, norm: number, exponent: number): number {
  if (metric !== "cosine" || precision === "f16") return exponent;
  return isComfortable(norm) ? 0 : unitExponent(norm);
}

/**
 * Prepares a query, or returns undefined where float32 cannot hold its distances beside the rows'
 * scale (a euclidean or manhattan query astronomically larger than the data): that query is for
 * the float64 scan. `norm`: of the query as given.
 */
export function scanQuery(rows: RowsScanned, norm: number, maxDistance: number): ScanQuery | undefined {
  const { metric } = rows;
  if (metric === "hamming" || metric === "jaccard") return bitQuery(metric, norm, maxDistance);
  const isProduct = metric === "cosine" || metric === "dot";
  const { exponent } = rows;
  if (!isProduct && norm * 2 ** exponent > COMFORT_MAX * 2 ** 10) return undefined;
  const unit = unitExponent(norm);
  const factor = metric === "cosine" ? 1 / norm : metric === "dot" ? 2 ** unit : 2 ** exponent;
  const scale = metric === "cosine" ? 1 : metric === "dot" ? 2 ** (unit + exponent) : 2 ** exponent;
  const margin = scanMargin(metric, rows.dimensions, norm * factor, scale);
  const decoding = decodingMargin(rows, norm * factor);
  const clamp = metric === "cosine" ? Infinity : F32_MAX * scale * (1 - 2 ** -20);
  const ceiling = metric === "euclidean" ? clamp * clamp : clamp;
  const floor = metric === "cosine" ? 0 : metric === "dot" ? -clamp : -ESTIMATE_MAX;
  const limit = toEstimateScale(metric, maxDistance, scale);
  return {
    factor,
    norm: norm * factor,
    params: [
      roundUp(margin.relative + decoding.relative),
      bounded(roundUp(margin.perNorm)),
      bounded(roundUp(margin.absolute + decoding.absolute)),
      bounded(floor),
      bounded(ceiling),
      bounded(limit === Infinity || limit === -Infinity ? limit : roundUp(limit)),
    ],
  };
}

/** Hamming counts are exact; a jaccard quotient is not (WGSL allows a division 2.5 ulp), and canonical distances round. */
function bitQuery(metric: "hamming" | "jaccard", setBits: number, maxDistance: number): ScanQuery {
  const limit = metric === "hamming" ? maxDistance : maxDistance + Math.abs(maxDistance) * 2 ** -20;
  const absolute = metric === "hamming" ? 0 : 2 ** -18;
  return {
    factor: 1,
    norm: setBits,
    params: [0, 0, absolute, -ESTIMATE_MAX, ESTIMATE_MAX, bounded(Math.fround(limit))],
  };
}

/**
 * What reading rows that are not float32 adds to the margin.
 *
 * i8: code × scale is rounded, by u·|x| an element, u = 2⁻²³. Products bear it (three roundings a
 * term are allowed for). Differences do not: manhattan is off by at most u·‖x‖₁ ≤ u·√d·‖x‖, and
 * with h = u·‖x‖ a euclidean D² by 2·D·h + h² ≤ η·D² + h²·(1 + 1/η), here with η = 2⁻¹⁶.
 * f16: exact but for subnormal halves, which a device may flush; where rows could not be scaled
 * clear of them each element is off by at most 2⁻¹⁴, the vector by f = √d·2⁻¹⁴. Euclidean bears
 * it as above with h = f.
 */
function decodingMargin(rows: RowsScanned, queryNorm: number): { relative: number; absolute: number } {
  const { metric, precision, dimensions, maxNorm, minNorm, exponent } = rows;
  const root = Math.sqrt(dimensions);
  const ofDifference = (h: number): { relative: number; absolute: number } =>
    metric === "euclidean"
      ? { relative: 2 ** -16, absolute: h * h * (1 + 2 ** 16) }
      : { relative: 0, absolute: h * root };
  if (precision === "i8" && (metric === "euclidean" || metric === "manhattan")) {
    return ofDifference(2 ** -23 * maxNorm * 2 ** exponent);
  }
  if (precision === "f16" && exponent < HALF_EXPONENT) {
    const flushed = root * 2 ** -14;
    if (metric === "euclidean") return ofDifference(flushed);
    if (metric === "manhattan") return { relative: 0, absolute: root * flushed };
    if (metric === "dot") return { relative: 0, absolute: queryNorm * flushed };
    return { relative: 0, absolute: Math.min(4, (2 * flushed) / (minNorm * 2 ** exponent)) };
  }
  return { relative: 0, absolute: 0 };
}

/** Halves below it are subnormal, and a device may flush them. */
const HALF_MIN = 2 ** -14;

/**
 * Writes a query as scanned, rounded to halves, and returns `coarse` of its parameters: what a scan
 * with them is off by, per unit of ‖x‖, beyond the margin of the query itself.
 *
 * |q·x − q̃·x| ≤ ‖q − q̃‖·‖x‖, where elements that would become subnormal halves become 0. The unit
 * that sums q̃·x up may cut addends off below the largest of a step instead of rounding sums:
 * (1 + 2/K)·d·u·‖q̃‖‖x‖ for steps of K products, K ≥ 4, within twice the γ·‖q‖‖x‖ of the margin
 * (core/margin.ts), so that γ is added once more; and 2⁻⁸ of ‖q − q̃‖ is for γ·‖q̃ − q‖ and float32.
 */
export function queryHalves(query: Float32Array, halves: Uint16Array): number {
  let error = 0;
  let norm = 0;
  for (const [d, x] of query.entries()) {
    const half = Math.abs(x) < HALF_MIN ? 0 : floatToHalf(x);
    halves[d] = half;
    error += (x - halfToFloat(half)) ** 2;
    norm += x * x;
  }
  const { perNorm } = scanMargin("dot", query.length, Math.sqrt(norm), 1);
  return roundUp(Math.sqrt(error) * (1 + 2 ** -8) + perNorm);
}

/** A float32 at least as large, and larger by enough to outlast a rounding. */
function roundUp(value: number): number {
  return Math.fround(value + Math.abs(value) * 2 ** -22);
}

/** WGSL has no infinities: ± a power of two that no estimate reaches. */
function bounded(value: number): number {
  return Math.max(-ESTIMATE_MAX, Math.min(ESTIMATE_MAX, value));
}
