// Canonical distances (DESIGN rule 2) of float32 queries to i8 rows: an element is
// float64(scale) · code, a product that is exact in float64 (24 + 7 bits).
// Twin: kernels-js.ts, which decodes the row and calls canonicalDistance.
import {
  add_term,
  COSINE,
  cosine_distance,
  DOT,
  EUCLIDEAN,
  Magnitude,
  Product,
  round_distance,
  Square,
  total,
  upper,
} from "./canonical";
import { sum_f32 } from "./distance_f64";

/** Codes 0 and 1 of four, sign-extended to 32 bits, as elements. */
// @ts-ignore: decorator
@inline
function elements(codes: v128, scale: v128): v128 {
  return f64x2.mul(f64x2.convert_low_i32x4_s(codes), scale);
}

// @ts-ignore: decorator
@inline
function upper_elements(codes: v128, scale: v128): v128 {
  return elements(i64x2.shuffle(codes, codes, 1, 0), scale);
}

/** Σ of the terms of a query and a row of `stride` elements, a multiple of 16, read four by four. */
function sum_i8<Term>(query: usize, row: usize, stride: i32, scale: v128): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  const end = row + <usize>stride;
  while (row < end) {
    const codes = i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(row)));
    const p = v128.load(query);
    low = add_term<Term>(low, f64x2.promote_low_f32x4(p), elements(codes, scale));
    high = add_term<Term>(high, upper(p), upper_elements(codes, scale));
    row += 4;
    query += 16;
  }
  return total(low, high);
}

/** Cosine distance; `aa`: the query's product with itself. Decodes the row once for both sums. */
function cosine_i8(query: usize, row: usize, stride: i32, scale: v128, aa: f64): f32 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  let lowOwn = f64x2.splat(0);
  let highOwn = f64x2.splat(0);
  const end = row + <usize>stride;
  while (row < end) {
    const codes = i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(row)));
    const p = v128.load(query);
    const x = elements(codes, scale);
    const y = upper_elements(codes, scale);
    low = add_term<Product>(low, f64x2.promote_low_f32x4(p), x);
    high = add_term<Product>(high, upper(p), y);
    lowOwn = add_term<Product>(lowOwn, x, x);
    highOwn = add_term<Product>(highOwn, y, y);
    row += 4;
    query += 16;
  }
  return cosine_distance(total(low, high), aa, total(lowOwn, highOwn));
}

/** Distance of one row; `aa` as in cosine_i8, for cosine only. */
// @ts-ignore: decorator
@inline
function distance(metric: i32, query: usize, row: usize, stride: i32, scale: v128, aa: f64): f32 {
  if (metric == COSINE) return cosine_i8(query, row, stride, scale, aa);
  if (metric == DOT) return round_distance(0 - sum_i8<Product>(query, row, stride, scale));
  if (metric == EUCLIDEAN) return round_distance(Math.sqrt(sum_i8<Square>(query, row, stride, scale)));
  return round_distance(sum_i8<Magnitude>(query, row, stride, scale));
}

/** Canonical distances of a query of `stride` floats to `rowCount` rows of `stride` codes with `scales` [rowCount] f32, written to `out` [rowCount] f32. */
export function distance_i8(
  metric: i32,
  query: usize,
  rows: usize,
  scales: usize,
  rowCount: i32,
  stride: i32,
  out: usize,
): void {
  const aa = metric == COSINE ? sum_f32<Product>(query, query, stride << 2) : 0;
  for (let r: i32 = 0; r < rowCount; r++) {
    const scale = f64x2.splat(<f64>load<f32>(scales + (<usize>r << 2)));
    const row = rows + <usize>r * <usize>stride;
    store<f32>(out + (<usize>r << 2), distance(metric, query, row, stride, scale, aa));
  }
}
