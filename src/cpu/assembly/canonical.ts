// What the canonical kernels share (DESIGN rule 2): f64x2 lanes (0, 1) of one vector hold
// accumulators 0 and 1, those of a second 2 and 3, so element i goes to accumulator i mod 4 and
// the additions happen in the contract's order. No FMA: simd128 has none.
// Twin: core/canonical.ts.

export const COSINE: i32 = 0;
export const DOT: i32 = 1;
export const EUCLIDEAN: i32 = 2;

// The term of a sum, chosen by type so that the compiler specialises the loops (see scan_f32.ts).
export type Product = u8;
export type Square = u16;
export type Magnitude = u32;

// @ts-ignore: decorator
@inline
export function add_term<Term>(sum: v128, x: v128, y: v128): v128 {
  if (sizeof<Term>() == sizeof<Square>()) {
    const d = f64x2.sub(x, y);
    return f64x2.add(sum, f64x2.mul(d, d));
  } else if (sizeof<Term>() == sizeof<Magnitude>()) {
    return f64x2.add(sum, f64x2.abs(f64x2.sub(x, y)));
  } else {
    return f64x2.add(sum, f64x2.mul(x, y));
  }
}

/** Lanes 2 and 3 of four floats as doubles. */
// @ts-ignore: decorator
@inline
export function upper(floats: v128): v128 {
  return f64x2.promote_low_f32x4(i64x2.shuffle(floats, floats, 1, 0));
}

// @ts-ignore: decorator
@inline
export function total(low: v128, high: v128): f64 {
  return (
    f64x2.extract_lane(low, 0) +
    f64x2.extract_lane(low, 1) +
    (f64x2.extract_lane(high, 0) + f64x2.extract_lane(high, 1))
  );
}

/** Overflow clamps to the largest float32; adding +0 makes −0 into +0. */
// @ts-ignore: decorator
@inline
export function round_distance(exact: f64): f32 {
  return min<f32>(max<f32>(<f32>exact, -f32.MAX_VALUE), f32.MAX_VALUE) + 0;
}

/** Cosine distance from the three products. */
// @ts-ignore: decorator
@inline
export function cosine_distance(ab: f64, aa: f64, bb: f64): f32 {
  return round_distance(Math.max(0, 1 - ab / Math.sqrt(aa * bb)));
}
