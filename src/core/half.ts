/**
 * float16 in software, bit exact: Node 20 has no Float16Array, and where one exists its results
 * would have to be proven equal. Twin of the decoding: assembly/distance_f16.ts.
 */

/** The bits of positive infinity: every finite half, sign cleared, lies below. */
const HALF_INFINITY = 0x7c00;

const float = new Float32Array(1);
const word = new Int32Array(float.buffer);

/**
 * The bits of the half nearest to `x`, a float32 value; ties go to the even one. Beyond the
 * largest half by at least half a step (|x| ≥ 65,520) it is infinity.
 */
export function floatToHalf(x: number): number {
  float[0] = x;
  return halfOfBits(word[0] ?? 0);
}

/** The half nearest to the float32 with these bits, a signed integer: engines keep those in registers, and no branch depends on them but for outliers. */
function halfOfBits(bits: number): number {
  const magnitude = bits & 0x7fffffff;
  if (magnitude < 0x38800000 || magnitude >= 0x47800000) return outerHalf(bits); // below 2⁻¹⁴, from 2¹⁶
  // Rounds the 13 bits off that a half lacks; a carry runs on into the exponent, as it should.
  return ((bits >>> 16) & 0x8000) | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

/** Halves that are not normal: subnormal, zero, infinite, NaN. */
function outerHalf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return 0x7e00; // one NaN stands for all
  if (magnitude >= 0x47800000) return sign | HALF_INFINITY;
  const exponent = magnitude >>> 23;
  if (exponent < 102) return sign; // below 2⁻²⁵, half of the smallest
  // Subnormal halves are multiples of 2⁻²⁴; 1024 of them are the smallest normal half, bits and all.
  const significand = (magnitude & 0x7fffff) | 0x800000;
  const dropped = 126 - exponent;
  const units = significand >>> dropped;
  const rest = significand - units * 2 ** dropped;
  const middle = 2 ** (dropped - 1);
  return sign | (units + (rest > middle || (rest === middle && units % 2 === 1) ? 1 : 0));
}

/** What one unit of the significand is worth, by sign and exponent: a table, because signs are random and branches on them are not predicted. */
const UNITS = Float64Array.from({ length: 64 }, (_, top) => (top < 32 ? 1 : -1) * 2 ** (Math.max(top & 31, 1) - 25));

/** The value of the half with bits `h`; exact. */
export function halfToFloat(h: number): number {
  const exponent = h & HALF_INFINITY;
  const fraction = h & 0x3ff;
  if (exponent === HALF_INFINITY) return fraction === 0 ? (h < 0x8000 ? Infinity : -Infinity) : Number.NaN;
  return (exponent === 0 ? fraction : fraction + 1024) * (UNITS[h >>> 10] ?? 0);
}

/**
 * Writes the halves nearest to `count` float32 values, given as their bits, to `halves[at …]`;
 * false where one of them is not finite.
 */
export function encodeHalves(bits: Int32Array, count: number, halves: Uint16Array, at: number): boolean {
  for (let i = 0; i < count; i++) {
    const half = halfOfBits(bits[i] ?? 0);
    if ((half & 0x7fff) >= HALF_INFINITY) return false;
    halves[at + i] = half;
  }
  return true;
}

/** Euclidean norm of `count` halves, in float64. */
export function halvesNorm(halves: Uint16Array, at: number, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const x = halfToFloat(halves[at + i] ?? 0);
    sum += x * x;
  }
  return Math.sqrt(sum);
}
