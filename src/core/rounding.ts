/**
 * Rounding upwards: the scalars of a proof (error norms, coefficients) are stored in fewer bits
 * than they are computed in, and must not shrink on the way. Values are ≥ 0 where nothing else is said.
 *
 * Shaders may flush subnormal numbers to zero, which is rounding *down*; so what a shader reads is
 * either 0 or a normal number of its format.
 */

const F32_MIN_NORMAL = 2 ** -126;
const F16_MIN_NORMAL = 2 ** -14;
const F16_INFINITY = 0x7c00;

const word = new DataView(new ArrayBuffer(4));

/** The smallest float32 ≥ `value` that is 0 or normal; +∞ above the float32 range. */
export function roundUpF32(value: number): number {
  if (value === 0) return 0;
  if (value <= F32_MIN_NORMAL) return F32_MIN_NORMAL;
  const nearest = Math.fround(value);
  if (nearest >= value) return nearest;
  word.setFloat32(0, nearest);
  word.setUint32(0, word.getUint32(0) + 1);
  return word.getFloat32(0);
}

/** The smallest float32 ≥ `value`, of either sign; ±∞ as they are. */
export function ceilF32(value: number): number {
  const nearest = Math.fround(value);
  if (nearest >= value) return nearest;
  if (nearest === 0) return 2 ** -149;
  word.setFloat32(0, nearest);
  word.setUint32(0, word.getUint32(0) + (nearest > 0 ? 1 : -1));
  return word.getFloat32(0);
}

/** The largest float32 ≤ `value`. */
export function floorF32(value: number): number {
  return -ceilF32(-value);
}

/**
 * The bits of the smallest half ≥ `value` (0 ≤ value), subnormal halves (steps of 2⁻²⁴) included.
 * Above 65504, the largest finite half, the answer is 0x7c00, infinity: a shader must not meet it
 * (WGSL has no infinities), so scale the data first or keep such rows out of the packed form.
 */
export function roundUpF16(value: number): number {
  if (value > 65504) return F16_INFINITY;
  // In the binade [2^e, 2^(e+1)) halves are 2^(e − 10) apart; the last subnormal binade is e = −14 too.
  let e = Math.max(-14, Math.floor(Math.log2(value)));
  while (e > -14 && value < 2 ** e) e--; // log2 is rounded: settle the last step exactly
  while (value >= 2 ** (e + 1)) e++;
  // 1024 … 2048 steps, or fewer below 2⁻¹⁴; 2048 carries into the exponent, which is what is wanted.
  return ((e + 14) << 10) + Math.ceil(value / 2 ** (e - 10));
}

/** As `roundUpF16`, but never a subnormal half, which `unpack2x16float` may flush: a positive value becomes at least 2⁻¹⁴. */
export function packedHalf(value: number): number {
  return value === 0 ? 0 : roundUpF16(Math.max(F16_MIN_NORMAL, value));
}
