// f16 rows as float32, so that scan_f32 can estimate them. Twin: kernels-js.ts.
import { to_floats } from "./halves";

/** Writes `count` finite halves, a multiple of 8, to `floats` [count] f32; exact. */
export function decode_f16(halves: usize, count: i32, floats: usize): void {
  const end = halves + (<usize>count << 1);
  while (halves < end) {
    const eight = v128.load(halves);
    v128.store(floats, to_floats(i32x4.extend_low_i16x8_u(eight)));
    v128.store(floats, to_floats(i32x4.extend_high_i16x8_u(eight)), 16);
    halves += 16;
    floats += 32;
  }
}
