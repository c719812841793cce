// What one thread can do at most in 128-bit WASM SIMD: read memory, multiply and add f32, multiply
// and add int8. Twelve chains that do not depend on each other hide the latency of an operation
// (3 to 4 cycles, up to 4 started a cycle) and leave registers for the operands: V8 has 16. Every
// result is returned, so that nothing can be left out. Compiled twice, as the engine's kernels are:
// for simd128, and with relaxed SIMD where the runtime has it.

/** Reads `bytes`, a multiple of 128, from `from`. */
export function read(from: usize, bytes: usize): i32 {
  let a = i32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  const end = from + bytes;
  for (let at = from; at < end; at += 128) {
    a = v128.xor(a, v128.load(at));
    b = v128.xor(b, v128.load(at, 16));
    c = v128.xor(c, v128.load(at, 32));
    d = v128.xor(d, v128.load(at, 48));
    e = v128.xor(e, v128.load(at, 64));
    f = v128.xor(f, v128.load(at, 80));
    g = v128.xor(g, v128.load(at, 96));
    h = v128.xor(h, v128.load(at, 112));
  }
  a = v128.xor(v128.xor(v128.xor(a, b), v128.xor(c, d)), v128.xor(v128.xor(e, f), v128.xor(g, h)));
  return i32x4.extract_lane(a, 0) ^ i32x4.extract_lane(a, 1) ^ i32x4.extract_lane(a, 2) ^ i32x4.extract_lane(a, 3);
}

// @ts-ignore: decorator
@inline
function multiply_add(sum: v128, x: v128, y: v128): v128 {
  // One instruction, which adds to its own register. In two, the sum must be a factor, or the product would be the same
  // each time and be taken out of the loop.
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(x, y, sum);
  return f32x4.add(f32x4.mul(sum, x), y);
}

/**
 * 96 floating-point operations an iteration: twelve vectors of four, multiplied and added to. `operands`: fourteen vectors,
 * the first sums and two factors; loaded, because sums known to be equal would become one, and constants be made anew for
 * each use.
 */
export function multiply_add_f32(operands: usize, iterations: i32): f32 {
  let a = v128.load(operands);
  let b = v128.load(operands, 16);
  let c = v128.load(operands, 32);
  let d = v128.load(operands, 48);
  let e = v128.load(operands, 64);
  let f = v128.load(operands, 80);
  let g = v128.load(operands, 96);
  let h = v128.load(operands, 112);
  let i = v128.load(operands, 128);
  let j = v128.load(operands, 144);
  let k = v128.load(operands, 160);
  let l = v128.load(operands, 176);
  const x = v128.load(operands, 192);
  const y = v128.load(operands, 208);
  for (let n = 0; n < iterations; n++) {
    a = multiply_add(a, x, y);
    b = multiply_add(b, x, y);
    c = multiply_add(c, x, y);
    d = multiply_add(d, x, y);
    e = multiply_add(e, x, y);
    f = multiply_add(f, x, y);
    g = multiply_add(g, x, y);
    h = multiply_add(h, x, y);
    i = multiply_add(i, x, y);
    j = multiply_add(j, x, y);
    k = multiply_add(k, x, y);
    l = multiply_add(l, x, y);
  }
  a = f32x4.add(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)), f32x4.add(f32x4.add(e, f), f32x4.add(g, h)));
  a = f32x4.add(a, f32x4.add(f32x4.add(i, j), f32x4.add(k, l)));
  return f32x4.extract_lane(a, 0);
}

// @ts-ignore: decorator
@inline
function add_products(sum: v128, x: v128): v128 {
  // simd128 multiplies pairs of i16 only; the relaxed product takes sixteen i8, the second of seven bits.
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, x, sum);
  return i32x4.add(sum, i32x4.dot_i16x8_s(sum, x));
}

/** Multiply-adds of int8 elements an iteration: 12 × 8, with relaxed SIMD 12 × 16. `operands` as above, with one factor. */
export function multiply_add_i8(operands: usize, iterations: i32): i32 {
  let a = v128.load(operands);
  let b = v128.load(operands, 16);
  let c = v128.load(operands, 32);
  let d = v128.load(operands, 48);
  let e = v128.load(operands, 64);
  let f = v128.load(operands, 80);
  let g = v128.load(operands, 96);
  let h = v128.load(operands, 112);
  let i = v128.load(operands, 128);
  let j = v128.load(operands, 144);
  let k = v128.load(operands, 160);
  let l = v128.load(operands, 176);
  const x = v128.load(operands, 192);
  for (let n = 0; n < iterations; n++) {
    a = add_products(a, x);
    b = add_products(b, x);
    c = add_products(c, x);
    d = add_products(d, x);
    e = add_products(e, x);
    f = add_products(f, x);
    g = add_products(g, x);
    h = add_products(h, x);
    i = add_products(i, x);
    j = add_products(j, x);
    k = add_products(k, x);
    l = add_products(l, x);
  }
  a = v128.xor(v128.xor(v128.xor(a, b), v128.xor(c, d)), v128.xor(v128.xor(e, f), v128.xor(g, h)));
  a = v128.xor(a, v128.xor(v128.xor(i, j), v128.xor(k, l)));
  return i32x4.extract_lane(a, 0);
}
