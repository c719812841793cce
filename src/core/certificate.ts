/**
 * The certificate: what an int8 scan of a prefix of principal directions proves (KERNELS b.5).
 *
 * A pair of query and row is about an inner product a·b (encoding.ts says of what). With P
 * [m × d], M = P·Pᵀ, δ ≥ ‖M − I‖, a' = P·a, y = P·b, r_a = a − Pᵀ·a', r_b = b − Pᵀ·y:
 *
 *   a·b = (Pᵀa' + r_a)·(Pᵀy + r_b) = a'·M·y + a'·(P·r_b) + (P·r_a)·y + r_a·r_b
 *       = a'·y + a'·(I − M)·y + r_a·r_b                    as P·r_b = y − M·y and P·r_a = a' − M·a'
 *   a'·y = â·ŷ + a'·(y − ŷ) + (a' − â)·ŷ
 *
 * and so, by Cauchy and Schwarz, with E ≥ ‖y − ŷ‖, C ≥ ‖ŷ‖, R ≥ ‖r_b‖ of the row, A ≥ ‖a'‖,
 * B ≥ ‖a' − â‖ and R_a ≥ ‖r_a‖ of the query, and ‖y‖ ≤ C + E:
 *
 *   |a·b − â·ŷ| ≤ A·(1 + δ)·E + (B + δ·A)·C + R_a·R                                        (1)
 *
 * which holds for any P, any codes and any scales: only the measured norms matter. (KERNELS has
 * δ·(‖a'‖‖y‖ + ‖a'‖R + ‖r_a‖‖y‖) instead; the exact identity above needs the first term only.)
 *
 * The scan computes â·ŷ = s_a·s_b·Σ, Σ = Σ codes·codes: exact in an i32, since |Σ| ≤ m·127² < 2³¹
 * for m ≤ 133,144 (dimensions end at 65,535). The estimates, in the scale of margin.ts:
 *
 *   cosine 1 − s_a·s_b·Σ    dot −s_a·s_b·Σ    euclidean N_a + N_b − 2·s_a·s_b·Σ
 *
 * with N = ‖·‖² of the centred vectors: ‖q − x‖² = ‖a‖² + ‖b‖² − 2·a·b whatever μ is. Then
 *
 *   low = estimate − (perError·E + perCode·C + perResidual·R + perNorm2·N_b + absolute)      (2)
 *
 * evaluated in float32, in any order and grouping, with or without FMA, is at most the distance
 * in estimate scale: the true one, and the canonical one before its rounding to float32, which
 * `toEstimateScale` covers by raising thresholds. With + for − it is at least that distance.
 *
 * Rounding of (2), u = 2⁻²³ an operation (WGSL): it is a sum of at most 8 terms of at most 3
 * operations (the conversion of Σ rounds), so no path has more than 12 roundings, and the sum is
 * off by at most γ = 12u/(1 − 12u) of the sum of its terms' magnitudes, among them |s_a·s_b·Σ| ≤
 * C_a·C: hence ROUND = 13u of C_a·C (twice for euclidean), of N_a + N_b and of cosine's 1; the
 * terms of the bound itself are covered by multiplying each coefficient by 1 + 16u. Flushed
 * subnormals: scales are 0 or ≥ 2⁻⁶⁰ and coefficients and norms 0 or normal, so only products in
 * the bound and norms² of tiny rows can underflow, by 2⁻¹²⁶ each, and d·2⁻¹²⁶ where a shader sums
 * squares: UNDERFLOW covers them. Nothing overflows while norms are ≤ 2^40 (scaled: margin.ts).
 *
 * The canonical distance is itself computed in float64, U = 2⁻⁵³: off by (d + 8)·2U·‖a‖·‖b‖ for
 * dot, where ‖b‖ ≤ (1 + δ)(C + E) + R, by 4·(d + 8)·U for cosine, and by a part of itself so small
 * for euclidean that `toEstimateScale` covers it.
 */
import type { ProductMetric } from "./basis.ts";
import type { Encoding, EncodingScalars } from "./encoding.ts";
import { roundUpF32 } from "./rounding.ts";

const U64 = 2 ** -53;
const U32 = 2 ** -23;
const ROUND = 13 * U32;
const UNDERFLOW = 2 ** -100;
/** Covers the float64 evaluation of the coefficients here. */
const EVALUATION = 1 + 2 ** -40;

/** Coefficients of one query: the error is at most perError·E + perCode·C + perResidual·R + perNorm2·N + absolute for any row. */
export interface QueryBound {
  readonly perError: number;
  readonly perCode: number;
  readonly perResidual: number;
  /** Multiplies the row's norm2. The same for every query; 0 but for euclidean. */
  readonly perNorm2: number;
  readonly absolute: number;
}

/** The query's scalars that a bound is made of. */
export type QueryScalars = Omit<EncodingScalars, "scale">;

/** Bound (1), of |a·b − â·ŷ| in exact arithmetic. `defect`: the projection's δ. */
export function queryBound(query: QueryScalars, defect: number): QueryBound {
  return {
    perError: query.projectedNorm * (1 + defect) * EVALUATION,
    perCode: (query.errorNorm + defect * query.projectedNorm) * EVALUATION,
    perResidual: query.residualNorm,
    perNorm2: 0,
    absolute: 0,
  };
}

/** `norm2Error`: how far the rows' and the query's norm2 may be off, relatively; 2⁻²³ for those of encoding.ts. */
export interface SlackOptions {
  readonly metric: ProductMetric;
  readonly dimensions: number;
  readonly query: QueryScalars;
  readonly defect: number;
  readonly norm2Error?: number;
}

/** What float32 evaluation of (2) and the float64 evaluation of the canonical distance add, in estimate scale. */
export function estimateSlack(o: SlackOptions): QueryBound {
  const { query } = o;
  const product = ROUND * query.codeNorm;
  switch (o.metric) {
    case "cosine": {
      const absolute = ROUND + 4 * (o.dimensions + 8) * U64 + UNDERFLOW;
      return { perError: 0, perCode: product, perResidual: 0, perNorm2: 0, absolute };
    }
    case "dot": {
      const perNorm = 2 * (o.dimensions + 8) * U64 * query.norm;
      return {
        perError: perNorm * (1 + o.defect),
        perCode: product + perNorm * (1 + o.defect),
        perResidual: perNorm,
        perNorm2: 0,
        absolute: UNDERFLOW,
      };
    }
    case "euclidean": {
      const perNorm2 = (ROUND + (o.norm2Error ?? U32)) * (1 + 2 ** -10);
      return {
        perError: 0,
        perCode: 2 * product,
        perResidual: 0,
        perNorm2,
        absolute: perNorm2 * query.norm2 + UNDERFLOW,
      };
    }
    default:
      return o.metric satisfies never;
  }
}

/** The coefficients of (2) as a scan takes them: float32, rounded up, good for any evaluation in float32. */
export function scanBound(o: SlackOptions): QueryBound {
  const exact = queryBound(o.query, o.defect);
  const slack = estimateSlack(o);
  const factor = o.metric === "euclidean" ? 2 : 1;
  const total = (a: number, b: number): number => roundUpF32((factor * a + b) * (1 + 16 * U32));
  return {
    perError: total(exact.perError, slack.perError),
    perCode: total(exact.perCode, slack.perCode),
    perResidual: total(exact.perResidual, slack.perResidual),
    perNorm2: total(0, slack.perNorm2),
    absolute: total(0, slack.absolute),
  };
}

/** The estimate of a pair, from its codes, in float64. */
export function estimateDistance(metric: ProductMetric, query: Encoding, row: Encoding): number {
  let sum = 0;
  for (let i = 0; i < row.codes.length; i++) sum += (query.codes[i] ?? 0) * (row.codes[i] ?? 0);
  const product = query.scale * row.scale * sum;
  if (metric === "cosine") return 1 - product;
  if (metric === "dot") return 0 - product;
  return query.norm2 + row.norm2 - 2 * product;
}

/** Half the width of the interval around the estimate of a row. */
export function boundOf(
  bound: QueryBound,
  row: Pick<EncodingScalars, "errorNorm" | "codeNorm" | "residualNorm" | "norm2">,
): number {
  return (
    bound.perError * row.errorNorm +
    bound.perCode * row.codeNorm +
    bound.perResidual * row.residualNorm +
    bound.perNorm2 * row.norm2 +
    bound.absolute
  );
}

/** What a scan proves of one pair, in estimate scale; `bound` from `scanBound`. The reference of every kernel. */
export function certifiedInterval(
  metric: ProductMetric,
  query: Encoding,
  row: Encoding,
  bound: QueryBound,
): { low: number; high: number } {
  const estimate = estimateDistance(metric, query, row);
  const width = boundOf(bound, row);
  return { low: estimate - width, high: estimate + width };
}
