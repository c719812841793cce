// i8 rows as float32, so that scan_f32 can estimate them.
// The canonical element is float64(scale) · code (distance_i8.ts); here the product is rounded to
// float32, once: x̂ = x(1 + δ), |δ| ≤ 2^-24, or off by ≤ 2^-150 where it is subnormal. A manhattan
// distance moves by no more than Σ|x̂ − x| ≤ 2^-24·‖x‖₁ ≤ 2^-24·√d·‖x‖₂ (and d·2^-150), on top of
// the margin of the scan. Twin: kernels-js.ts.

// @ts-ignore: decorator
@inline
function store_elements(floats: usize, codes: v128, scale: v128): void {
  v128.store(floats, f32x4.mul(f32x4.convert_i32x4_s(codes), scale));
}

/**
 * Writes `rowCount` rows of `stride` codes, a multiple of 16, with `scales` [rowCount] f32, to
 * `floats` [rowCount × stride] f32.
 */
export function decode_i8(codes: usize, scales: usize, rowCount: i32, stride: i32, floats: usize): void {
  for (let r: i32 = 0; r < rowCount; r++) {
    const scale = v128.load32_splat(scales + (<usize>r << 2));
    const end = codes + <usize>stride;
    while (codes < end) {
      const sixteen = v128.load(codes);
      const low = i16x8.extend_low_i8x16_s(sixteen);
      const high = i16x8.extend_high_i8x16_s(sixteen);
      store_elements(floats, i32x4.extend_low_i16x8_s(low), scale);
      store_elements(floats + 16, i32x4.extend_high_i16x8_s(low), scale);
      store_elements(floats + 32, i32x4.extend_low_i16x8_s(high), scale);
      store_elements(floats + 48, i32x4.extend_high_i16x8_s(high), scale);
      codes += 16;
      floats += 64;
    }
  }
}
