// Scan copies of rows and queries (core/encoding.ts says what of them): int8 codes of the
// projection on P, and the sums that their norms are made of. Float64 throughout, two lanes.
// Four rows share each load of P, which is what takes the time: P is read once for them from L2.
// Twin, bit for bit: VectorEncoder in core/encoding.ts. So element i of a sum of squares goes to
// accumulator i mod 4, of a product P·b to i mod 2, and directions are subtracted in their order.
import { total, upper } from "./canonical";
import { to_floats } from "./halves";

/** Float64 words that are written for a row: scale, ‖b‖², ‖y‖², ‖y − ŷ‖², ‖b − Pᵀy‖², Σ codes², Σ codes. */
const WORDS: usize = 7;
const MIN_SCALE: f64 = 8.673617379884035e-19; // 2^-60, core/encoding.ts

/** Two elements of a direction as doubles. */
// @ts-ignore: decorator
@inline
function pair(p: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load64_zero(p));
}

// @ts-ignore: decorator
@inline
function add_square(sum: v128, x: v128): v128 {
  return f64x2.add(sum, f64x2.mul(x, x));
}

/** ‖v‖² of `length` doubles, a multiple of 4. */
function squared_norm(v: usize, length: i32): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  const end = v + (<usize>length << 3);
  for (; v < end; v += 32) {
    low = add_square(low, v128.load(v));
    high = add_square(high, v128.load(v, 16));
  }
  return total(low, high);
}

/** b = (row − mean)·factor, divided by its norm if `isUnit`; returns ‖b‖². */
function load_vector(row: usize, isHalf: bool, stride: i32, mean: usize, factor: f64, isUnit: bool, b: usize): f64 {
  const by = f64x2.splat(factor);
  for (let i: usize = 0; i < <usize>stride; i += 4) {
    const floats = isHalf
      ? to_floats(i32x4.extend_low_i16x8_u(v128.load64_zero(row + (i << 1))))
      : v128.load(row + (i << 2));
    let low = f64x2.promote_low_f32x4(floats);
    let high = upper(floats);
    if (mean) {
      const centre = v128.load(mean + (i << 2));
      low = f64x2.sub(low, f64x2.promote_low_f32x4(centre));
      high = f64x2.sub(high, upper(centre));
    }
    v128.store(b + (i << 3), f64x2.mul(low, by));
    v128.store(b + (i << 3), f64x2.mul(high, by), 16);
  }
  const norm2 = squared_norm(b, stride);
  if (!isUnit || norm2 == 0) return norm2;
  const norm = f64x2.splat(Math.sqrt(norm2));
  const end = b + (<usize>stride << 3);
  for (let at = b; at < end; at += 16) v128.store(at, f64x2.div(v128.load(at), norm));
  return squared_norm(b, stride);
}

// @ts-ignore: decorator
@inline
function store_sum(y: usize, sum: v128): void {
  store<f64>(y, f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1));
}

/** y = P·b for four vectors, `bWidth` and `yWidth` bytes apart: two directions at a time, which fills the registers. */
function project_four(p: usize, directions: i32, stride: i32, b: usize, bWidth: usize, y: usize, yWidth: usize): void {
  const bytes = <usize>stride << 2;
  for (let k: i32 = 0; k < directions; k += 2) {
    let p0 = p + <usize>k * bytes;
    let p1 = p0 + bytes;
    let b0 = b;
    let b1 = b0 + bWidth;
    let b2 = b1 + bWidth;
    let b3 = b2 + bWidth;
    let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let t0 = s0, t1 = s0, t2 = s0, t3 = s0;
    const end = p1;
    while (p0 < end) {
      for (let half: i32 = 0; half < 2; half++) {
        const u = pair(p0 + (half << 3));
        const w = pair(p1 + (half << 3));
        let v = v128.load(b0 + (half << 4));
        s0 = f64x2.add(s0, f64x2.mul(u, v));
        t0 = f64x2.add(t0, f64x2.mul(w, v));
        v = v128.load(b1 + (half << 4));
        s1 = f64x2.add(s1, f64x2.mul(u, v));
        t1 = f64x2.add(t1, f64x2.mul(w, v));
        v = v128.load(b2 + (half << 4));
        s2 = f64x2.add(s2, f64x2.mul(u, v));
        t2 = f64x2.add(t2, f64x2.mul(w, v));
        v = v128.load(b3 + (half << 4));
        s3 = f64x2.add(s3, f64x2.mul(u, v));
        t3 = f64x2.add(t3, f64x2.mul(w, v));
      }
      p0 += 16;
      p1 += 16;
      b0 += 32;
      b1 += 32;
      b2 += 32;
      b3 += 32;
    }
    const at = y + (<usize>k << 3);
    store_sum(at, s0);
    store_sum(at + 8, t0);
    store_sum(at + yWidth, s1);
    store_sum(at + yWidth + 8, t1);
    store_sum(at + 2 * yWidth, s2);
    store_sum(at + 2 * yWidth + 8, t2);
    store_sum(at + 3 * yWidth, s3);
    store_sum(at + 3 * yWidth + 8, t3);
  }
}

/** y = P·b for one vector: four directions at a time. */
function project_one(p: usize, directions: i32, stride: i32, b: usize, y: usize): void {
  const bytes = <usize>stride << 2;
  for (let k: i32 = 0; k < directions; k += 4) {
    let p0 = p + <usize>k * bytes;
    let p1 = p0 + bytes;
    let p2 = p1 + bytes;
    let p3 = p2 + bytes;
    let at = b;
    let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
    const end = p1;
    while (p0 < end) {
      const v = v128.load(at);
      s0 = f64x2.add(s0, f64x2.mul(pair(p0), v));
      s1 = f64x2.add(s1, f64x2.mul(pair(p1), v));
      s2 = f64x2.add(s2, f64x2.mul(pair(p2), v));
      s3 = f64x2.add(s3, f64x2.mul(pair(p3), v));
      p0 += 8;
      p1 += 8;
      p2 += 8;
      p3 += 8;
      at += 16;
    }
    const to = y + (<usize>k << 3);
    store_sum(to, s0);
    store_sum(to + 8, s1);
    store_sum(to + 16, s2);
    store_sum(to + 24, s3);
  }
}

// @ts-ignore: decorator
@inline
function subtract_two(b: usize, p: v128, q: v128, yp: v128, yq: v128): void {
  v128.store(b, f64x2.sub(f64x2.sub(v128.load(b), f64x2.mul(yp, p)), f64x2.mul(yq, q)));
}

/** b −= Pᵀ·y for four vectors, two directions at a time. */
function subtract_four(p: usize, directions: i32, stride: i32, b: usize, bWidth: usize, y: usize, yWidth: usize): void {
  const bytes = <usize>stride << 2;
  for (let k: i32 = 0; k < directions; k += 2) {
    let p0 = p + <usize>k * bytes;
    let p1 = p0 + bytes;
    let b0 = b;
    let b1 = b0 + bWidth;
    let b2 = b1 + bWidth;
    let b3 = b2 + bWidth;
    const y0 = y + (<usize>k << 3);
    const y1 = y0 + yWidth;
    const y2 = y1 + yWidth;
    const y3 = y2 + yWidth;
    const s0 = v128.load64_splat(y0), t0 = v128.load64_splat(y0, 8);
    const s1 = v128.load64_splat(y1), t1 = v128.load64_splat(y1, 8);
    const s2 = v128.load64_splat(y2), t2 = v128.load64_splat(y2, 8);
    const s3 = v128.load64_splat(y3), t3 = v128.load64_splat(y3, 8);
    const end = p1;
    while (p0 < end) {
      const u = pair(p0);
      const w = pair(p1);
      subtract_two(b0, u, w, s0, t0);
      subtract_two(b1, u, w, s1, t1);
      subtract_two(b2, u, w, s2, t2);
      subtract_two(b3, u, w, s3, t3);
      p0 += 8;
      p1 += 8;
      b0 += 16;
      b1 += 16;
      b2 += 16;
      b3 += 16;
    }
  }
}

/** b −= Pᵀ·y for one vector, four directions at a time. */
function subtract_one(p: usize, directions: i32, stride: i32, b: usize, y: usize): void {
  const bytes = <usize>stride << 2;
  for (let k: i32 = 0; k < directions; k += 4) {
    let p0 = p + <usize>k * bytes;
    let p1 = p0 + bytes;
    let p2 = p1 + bytes;
    let p3 = p2 + bytes;
    let at = b;
    const from = y + (<usize>k << 3);
    const y0 = v128.load64_splat(from);
    const y1 = v128.load64_splat(from, 8);
    const y2 = v128.load64_splat(from, 16);
    const y3 = v128.load64_splat(from, 24);
    const end = p1;
    while (p0 < end) {
      let left = f64x2.sub(v128.load(at), f64x2.mul(y0, pair(p0)));
      left = f64x2.sub(left, f64x2.mul(y1, pair(p1)));
      left = f64x2.sub(left, f64x2.mul(y2, pair(p2)));
      v128.store(at, f64x2.sub(left, f64x2.mul(y3, pair(p3))));
      p0 += 8;
      p1 += 8;
      p2 += 8;
      p3 += 8;
      at += 16;
    }
  }
}

/** fround(max|y| / levels), or 0 where that is below MIN_SCALE or beyond float32. */
function scale_of(y: usize, length: i32, levels: f64): f64 {
  let most = f64x2.splat(0);
  const end = y + (<usize>length << 3);
  for (; y < end; y += 16) most = f64x2.pmax(most, f64x2.abs(v128.load(y)));
  const largest = max<f64>(f64x2.extract_lane(most, 0), f64x2.extract_lane(most, 1));
  const scale = <f64>(<f32>(largest / levels));
  return scale < MIN_SCALE || scale == Infinity ? 0 : scale;
}

/** Codes of y [length], a multiple of 4, and the words of `measured` that they account for. */
function quantise(y: usize, length: i32, levels: f64, codes: usize, measured: usize): void {
  const scale = scale_of(y, length, levels);
  // Where the scale is 0, all codes shall be: y / ∞ is 0.
  const divisor = f64x2.splat(scale == 0 ? Infinity : scale);
  const factor = f64x2.splat(scale);
  let own0 = f64x2.splat(0), own1 = own0;
  let error0 = own0, error1 = own0;
  let square = i32x4.splat(0);
  let sum = square;
  for (let i: usize = 0; i < <usize>length; i += 4) {
    const low = v128.load(y + (i << 3));
    const high = v128.load(y + (i << 3), 16);
    own0 = add_square(own0, low);
    own1 = add_square(own1, high);
    const c = f64x2.nearest(f64x2.div(low, divisor)); // half to even; within ±levels, as the scale is normal
    const d = f64x2.nearest(f64x2.div(high, divisor));
    error0 = add_square(error0, f64x2.sub(low, f64x2.mul(c, factor)));
    error1 = add_square(error1, f64x2.sub(high, f64x2.mul(d, factor)));
    const four = i64x2.shuffle(i32x4.trunc_sat_f64x2_s_zero(c), i32x4.trunc_sat_f64x2_s_zero(d), 0, 2);
    square = i32x4.add(square, i32x4.mul(four, four));
    sum = i32x4.add(sum, four);
    const words = i16x8.narrow_i32x4_s(four, four);
    v128.store32_lane(codes + i, i8x16.narrow_i16x8_s(words, words), 0);
  }
  store<f64>(measured, scale);
  store<f64>(measured, total(own0, own1), 16);
  store<f64>(measured, total(error0, error1), 24);
  store<f64>(measured, <f64>lanes(square), 40);
  store<f64>(measured, <f64>lanes(sum), 48);
}

// @ts-ignore: decorator
@inline
function lanes(sum: v128): i32 {
  return (
    i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + (i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3))
  );
}

/**
 * Encodes `rowCount` vectors at `rows` [rowCount × stride], floats, or halves if `isHalf`, less
 * `mean` [stride] f32 if that is not 0, times `factor`, as unit vectors if `isUnit`. `p`:
 * [directions × stride] f32, directions a multiple of 4; or no directions: the vectors themselves
 * are coded. `b`: [4 × bWidth] f64 and `y`: [4 × codeStride] f64 of scratch, zero beyond the stride
 * and the directions; without directions bWidth is codeStride. Written: `codes`
 * [rowCount × codeStride] of at most ±`levels`, and `measured` [rowCount × 7] f64.
 */
export function encode_i8(
  rows: usize,
  isHalf: bool,
  rowCount: i32,
  stride: i32,
  mean: usize,
  factor: f64,
  isUnit: bool,
  p: usize,
  directions: i32,
  b: usize,
  bWidth: i32,
  y: usize,
  levels: f64,
  codes: usize,
  codeStride: i32,
  measured: usize,
): void {
  const rowBytes = <usize>stride << (isHalf ? 1 : 2);
  const bBytes = <usize>bWidth << 3;
  const yBytes = <usize>codeStride << 3;
  const coded = directions > 0 ? y : b;
  for (let r: i32 = 0; r < rowCount; ) {
    const count = rowCount - r >= 4 ? 4 : 1;
    const out = measured + <usize>r * (WORDS << 3);
    for (let j: usize = 0; j < <usize>count; j++) {
      const row = rows + (<usize>r + j) * rowBytes;
      store<f64>(out + j * (WORDS << 3), load_vector(row, isHalf, stride, mean, factor, isUnit, b + j * bBytes), 8);
    }
    if (directions > 0) {
      if (count == 4) project_four(p, directions, stride, b, bBytes, y, yBytes);
      else project_one(p, directions, stride, b, y);
    }
    for (let j: usize = 0; j < <usize>count; j++) {
      const to = codes + (<usize>r + j) * <usize>codeStride;
      quantise(coded + j * yBytes, codeStride, levels, to, out + j * (WORDS << 3));
    }
    if (directions > 0) {
      if (count == 4) subtract_four(p, directions, stride, b, bBytes, y, yBytes);
      else subtract_one(p, directions, stride, b, y);
    }
    for (let j: usize = 0; j < <usize>count; j++) {
      const residual2 = directions > 0 ? squared_norm(b + j * bBytes, stride) : 0;
      store<f64>(out + j * (WORDS << 3), residual2, 32);
    }
    r += count;
  }
}
