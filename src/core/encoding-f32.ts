/**
 * The second way to make scan copies: in float32, by a shader (encoding.ts is the first, in
 * float64). Here is what the shader has to add to the norms it measures, so that they remain
 * upper bounds of the true ones. Codes and scale need only be those of quantiser.ts up to a few
 * roundings: which ones they are is measured.
 *
 * The shader: b̃ = the vector as loaded; ỹ = P·b̃; scale and codes from ỹ; Ẽ = |ỹ − scale·codes|,
 * R̃ = |b̃ − Pᵀ·ỹ|, C̃ = |scale·codes|, Ñ = |b̃|. True are b and y = P·b, exactly.
 *
 * Each operation is off by a factor 1 ± u, u = 2⁻²³; a sum in which no path from a factor to the
 * result has more than n roundings by γ(n) = n·u / (1 − n·u) of Σ|terms| (Higham, lemma 3.1, any
 * order, with or without FMA). ‖P‖_F ≤ √m·(1 + δ), ‖P‖₂ ≤ 1 + δ. With β roundings a component
 * while loading, everything relative to ‖b‖:
 *
 *   ‖b̃ − b‖ ≤ γ(β)
 *   ‖ỹ − y‖ ≤ γ(D)·√m·(1 + δ)·(1 + γ(β)) + (1 + δ)·γ(β) =: π          component i: γ(D)·|p_i|·|b̃|
 *   ‖y‖ ≤ 1 + δ, ‖ỹ‖ ≤ 1 + δ + π =: Y, ‖scale·codes‖ ≤ 2.02·Y         0 is a candidate for each code
 *   E ≤ |ỹ − ŷ| + π; evaluating it: u·‖ŷ‖ for the products, 2u and γ(n + 8) of itself
 *   R ≤ |b̃ − Pᵀỹ| + ‖(I − PᵀP)(b̃ − b)‖ + ‖Pᵀ(ỹ − P·b̃)‖; evaluating it: γ(D')·√m·(1 + δ)·Y
 *     for the sums, 2u and γ(n + 8) of itself
 *
 * where γ(n + 8) is for a norm whose sum of squares has depth n, with WGSL's sqrt (4.5 ulp). The
 * term γ(D)·√m is what counts; ‖ |P| ‖₂ in place of ‖P‖_F would gain a fifth and is not worth
 * knowing, a low depth D is: D = d + 1 for one running sum, ⌈d/4⌉ + 3 for four lanes.
 *
 * Subnormals may be flushed: squares below 2⁻¹²⁶, so a norm may lack √n·2⁻⁶³, which is √n·u of a
 * vector of norm 2⁻⁴⁰, the smallest that counts as comfortable (margin.ts); for smaller ones the
 * slacks are multiplied by 2⁻⁴⁰ instead of the norm. Norms beyond 2⁴⁰ are not for this.
 */

const U = 2 ** -23;

export interface Float32EncodingOptions {
  readonly dimensions: number;
  /** m. */
  readonly length: number;
  /** No projection: m = d, ỹ = b̃, R = 0. */
  readonly isIdentity: boolean;
  /** Roundings of a loaded component: dot 0, euclidean 1 (x − μ; powers of two are exact), cosine 2 (x times 1/‖x‖ rounded to nearest in float64 and then float32). */
  readonly inputRoundings: number;
  /** δ of the projection; default 0. */
  readonly defect?: number;
  /** Most roundings on a path from a factor to the sum, the multiplication included; default: one running sum. */
  readonly projectionDepth?: number;
  readonly residualDepth?: number;
  /** Of the sums of squares, over m or d elements. */
  readonly normDepth?: number;
}

/**
 * Slacks relative to ‖b‖. In the shader, with n = max(Ñ·(1 + norm), 2⁻⁴⁰):
 * E = Ẽ + error·n, R = R̃ + residual·n, C = C̃ + code·n, A = |ỹ| + projected·n; these very
 * operations are accounted for. Converting to half must round up besides.
 */
export interface Float32EncodingSlack {
  readonly error: number;
  /** 0 for the identity, whose R is 0. */
  readonly residual: number;
  readonly code: number;
  /** ‖b‖ ≤ Ñ·(1 + norm), or both are below 2⁻⁴⁰. */
  readonly norm: number;
  readonly projected: number;
  /** Relative error of Σ b̃², without a square root, against ‖b‖²: the `norm2Error` of `scanBound`. */
  readonly norm2: number;
}

export function float32EncodingSlack(o: Float32EncodingOptions): Float32EncodingSlack {
  const { dimensions: d, length: m, isIdentity } = o;
  const defect = isIdentity ? 0 : (o.defect ?? 0);
  const normDepth = (o.normDepth ?? Math.max(d, m) + 1) + 8;
  const loading = gamma(o.inputRoundings);
  const flushed = 2 * Math.sqrt(Math.max(d, m)) * U;
  const frobenius = Math.sqrt(m) * (1 + defect);
  const projecting = isIdentity ? 0 : gamma(o.projectionDepth ?? d + 1) * frobenius * (1 + loading);

  const projection = projecting + (1 + defect) * loading;
  const projected = 1 + defect + projection;
  const coded = 2.02 * projected;
  // Rounding a vector to m codes costs at most √m half steps of max/127, and no more than the vector.
  const error = 1.02 * projected * (isIdentity ? Math.min(1, Math.sqrt(m) / 254) : 1);
  const residual =
    loading * (1 + defect) + (1 + defect) * projecting + gamma(o.residualDepth ?? m + 1) * frobenius * projected;

  // The additions of slacks round: 3u of what is at most `part`, the slack's own product among it.
  const added = (slack: number, part: number): number => (slack + 3 * U * part + flushed) * (1 + 8 * U);
  const lost = gamma(normDepth) + loading + flushed;
  return {
    error: added(projection + 2 * U * coded + (gamma(normDepth) + 2 * U) * error, error),
    residual: isIdentity
      ? 0
      : added(residual + (gamma(normDepth) + 2 * U) * (1 + defect + residual), 1 + defect + residual),
    code: added(gamma(normDepth + 2) * coded, coded),
    norm: (lost / (1 - lost)) * (1 + 8 * U) + 3 * U,
    projected: added(projection + gamma(normDepth) * projected, projected),
    norm2: (gamma(normDepth + 2 * o.inputRoundings) + flushed) * 1.01,
  };
}

/** Bounds |Π(1 + θ_i) − 1| of n factors with |θ_i| ≤ u. */
function gamma(n: number): number {
  return (n * U) / (1 - n * U);
}
