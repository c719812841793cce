/**
 * The i8 quantiser (DESIGN rule 4): one scale a row, symmetric, so that an element is
 * float64(scale) · code and a zero stays a zero. The one place that makes codes: stored rows and
 * scan copies come from here, bit for bit the same on every machine.
 */

/** 1.5 × 2^52: adding and subtracting it rounds |x| < 2^51 to an integer, halves to even. */
const ROUNDER = 6755399441055744;

/**
 * Writes the codes of the `length` finite values at `values[at …]` to `codes[codesAt …]` and
 * returns the row's scale: fround(max|x| / levels). A code is x / scale in float64, rounded half to
 * even and clamped to ±levels. A row that is zero, or so small that its scale rounds to 0, has scale
 * 0 and codes 0.
 */
export function quantiseRow(
  values: Float32Array | Float64Array,
  at: number,
  length: number,
  codes: Int8Array,
  codesAt: number,
  levels = 127,
): number {
  let most = 0;
  // In bounds by contract: this loop and the next are the cost of adding i8 rows.
  for (let i = 0; i < length; i++) most = Math.max(most, Math.abs(values[at + i]!));
  const scale = Math.fround(most / levels);
  if (scale === 0) {
    codes.fill(0, codesAt, codesAt + length);
    return 0;
  }
  for (let i = 0; i < length; i++) {
    // Only where the scale is a float32 subnormal, and so rounded by much, can this exceed ±levels.
    const code = values[at + i]! / scale + ROUNDER - ROUNDER;
    codes[codesAt + i] = Math.max(-levels, Math.min(levels, code));
  }
  return scale;
}

/** Euclidean norm of `length` codes, in float64; times the scale it is the norm of the row. */
export function codesNorm(codes: Int8Array, at: number, length: number): number {
  let sum = 0; // an integer below 2³¹
  for (let i = 0; i < length; i++) {
    const code = codes[at + i] ?? 0;
    sum += code * code;
  }
  return Math.sqrt(sum);
}
