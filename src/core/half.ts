/**
 * float16 in software, bit exact: Node 20 has no Float16Array, and where one exists its results
 * would have to be proven equal. Twin of the decoding: assembly/distance_f16.ts.
 */

/** The bits of positive infinity: every finite half, sign cleared, lies below. */
export const HALF_INFINITY = 0x7c00;

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** 1.5 × 2^52: adding and subtracting it rounds |x| < 2^51 to an integer, halves to even. */
const ROUNDER = 6755399441055744;

/**
 * The bits of the half nearest to `x`, a float32 value; ties go to the even one. Beyond the
 * largest half by at least half a step (|x| ≥ 65,520) it is infinity.
 */
export function floatToHalf(x: number): number {
  float[0] = x;
  const bits = word[0] ?? 0;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return 0x7e00; // one NaN stands for all
  if (magnitude >= 0x47800000) return sign | HALF_INFINITY; // ≥ 65,536
  // Below 2⁻¹⁴ halves are multiples of 2⁻²⁴; 1024 of them are the smallest normal half, bits and all.
  if (magnitude < 0x38800000) return sign | (Math.abs(float[0]) * 2 ** 24 + ROUNDER - ROUNDER);
  // Rounds the 13 bits off that a half lacks; a carry runs on into the exponent, as it should.
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

/** What one unit of the significand is worth, by exponent. */
const UNITS = Float64Array.from({ length: 32 }, (_, exponent) => 2 ** (Math.max(exponent, 1) - 25));

/** The value of the half with bits `h`; exact. */
export function halfToFloat(h: number): number {
  const exponent = (h >>> 10) & 31;
  const fraction = h & 0x3ff;
  const sign = (h & 0x8000) === 0 ? 1 : -1;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (exponent === 0 ? fraction : fraction + 1024) * (UNITS[exponent] ?? 0);
}
