// Halves to floats, exactly: the 15 bits of exponent and fraction, moved to where float32 has its
// own, are the value times 2^-112 (a subnormal half becomes a subnormal float); one multiplication,
// exact in IEEE arithmetic, which WASM guarantees, puts the exponent right.
// Twin: halfToFloat in core/half.ts.

/** Four finite halves, zero-extended to 32 bits, as floats. */
// @ts-ignore: decorator
@inline
export function to_floats(halves: v128): v128 {
  const magnitude = i32x4.shl(v128.and(halves, i32x4.splat(0x7fff)), 13);
  const sign = i32x4.shl(v128.and(halves, i32x4.splat(0x8000)), 16);
  return v128.or(f32x4.mul(magnitude, f32x4.splat(reinterpret<f32>(0x77800000))), sign); // × 2^112
}
