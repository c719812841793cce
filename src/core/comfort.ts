/** The magnitudes that float32 scans take as they are, and the power of two that brings others there (margin.ts). */

/** Largest and smallest norm that the float32 scan takes unscaled: squares stay within 2^±100. */
export const COMFORT_MAX: number = 2 ** 40;
const COMFORT_MIN: number = 2 ** -40;

/** The exponent e for which `norm`·2^e lies in [1, 2); 0 for a norm of 0. Clamped so that 2^e and 2^−e are float64 normals. */
export function unitExponent(norm: number): number {
  if (norm === 0) return 0;
  let e = -Math.floor(Math.log2(norm));
  // log2 is rounded: settle the last step exactly.
  while (norm * 2 ** e >= 2) e--;
  while (norm * 2 ** e < 1) e++;
  return e;
}

export function isComfortable(norm: number): boolean {
  return norm === 0 || (norm >= COMFORT_MIN && norm <= COMFORT_MAX);
}
