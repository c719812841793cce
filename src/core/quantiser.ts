/**
 * Int8 codes of a vector: the one procedure by which rows are stored (DESIGN rule 4) and scan
 * copies are made. Bit exact, so that every backend stores and measures the same codes.
 */

/** Rounds to the nearest integer, halves to the even one. |value| < 2^51. */
function roundHalfEven(value: number): number {
  const shift = value < 0 ? -(2 ** 52) : 2 ** 52;
  return value + shift - shift;
}

/**
 * Writes the codes of `values[at … at + length)` to `codes[codesAt …]` and returns the scale:
 * fround(max|x| / 127), code = round-half-even(x / scale) in float64, clamped to ±127. A zero
 * vector, or one so small that the scale rounds to 0, has scale 0 and codes 0.
 */
export function quantiseRow(
  values: Float64Array | Float32Array,
  at: number,
  length: number,
  codes: Int8Array,
  codesAt: number,
): number {
  let largest = 0;
  for (let i = 0; i < length; i++) largest = Math.max(largest, Math.abs(values[at + i] ?? 0));
  const scale = Math.fround(largest / 127);
  if (scale === 0) {
    codes.fill(0, codesAt, codesAt + length);
    return 0;
  }
  for (let i = 0; i < length; i++) {
    const code = roundHalfEven((values[at + i] ?? 0) / scale);
    codes[codesAt + i] = Math.max(-127, Math.min(127, code));
  }
  return scale;
}
