/** What a person asks of the dictionary, as one vector: texts and examples that it should be like, and not like. Pure. */

export interface Part {
  /** [dimensions], of unit length. */
  readonly vector: Float32Array;
  readonly isLiked: boolean;
}

/**
 * How much "not like" takes away. With all of it what is left of "A, not B" is mostly what is not B, which is anything;
 * a half keeps A in front.
 */
const DISLIKE = 0.5;

/** The weighted sum, or undefined where nothing is left of it or nothing is liked. */
export function combine(parts: readonly Part[]): Float32Array | undefined {
  const first = parts.find(({ isLiked }) => isLiked);
  if (first === undefined) return undefined;
  const sum = new Float32Array(first.vector.length);
  for (const { vector, isLiked } of parts) {
    const weight = isLiked ? 1 : -DISLIKE;
    for (let d = 0; d < sum.length; d++) sum[d] = (sum[d] ?? 0) + weight * (vector[d] ?? 0);
  }
  return sum.some((x) => Math.abs(x) > 1e-6) ? sum : undefined;
}
