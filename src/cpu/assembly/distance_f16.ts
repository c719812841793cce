// Canonical distances (DESIGN rule 2) of float32 queries to f16 rows, which are decoded exactly
// (halves.ts). Twin: kernels-js.ts, which decodes the row and calls canonicalDistance.
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
import { to_floats } from "./halves";

/** Σ of the terms of a query and a row of `stride` elements, a multiple of 8. */
function sum_f16<Term>(query: usize, row: usize, stride: i32): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  const end = row + (<usize>stride << 1);
  while (row < end) {
    const halves = v128.load(row);
    const x = to_floats(i32x4.extend_low_i16x8_u(halves));
    const y = to_floats(i32x4.extend_high_i16x8_u(halves));
    const p = v128.load(query);
    const q = v128.load(query, 16);
    low = add_term<Term>(low, f64x2.promote_low_f32x4(p), f64x2.promote_low_f32x4(x));
    high = add_term<Term>(high, upper(p), upper(x));
    low = add_term<Term>(low, f64x2.promote_low_f32x4(q), f64x2.promote_low_f32x4(y));
    high = add_term<Term>(high, upper(q), upper(y));
    row += 16;
    query += 32;
  }
  return total(low, high);
}

/** Cosine distance; `aa`: the query's product with itself. Decodes the row once for both sums. */
function cosine_f16(query: usize, row: usize, stride: i32, aa: f64): f32 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  let lowOwn = f64x2.splat(0);
  let highOwn = f64x2.splat(0);
  const end = row + (<usize>stride << 1);
  while (row < end) {
    const halves = v128.load(row);
    for (let half: i32 = 0; half < 2; half++) {
      const floats = to_floats(half == 0 ? i32x4.extend_low_i16x8_u(halves) : i32x4.extend_high_i16x8_u(halves));
      const p = v128.load(query);
      const x = f64x2.promote_low_f32x4(floats);
      const y = upper(floats);
      low = add_term<Product>(low, f64x2.promote_low_f32x4(p), x);
      high = add_term<Product>(high, upper(p), y);
      lowOwn = add_term<Product>(lowOwn, x, x);
      highOwn = add_term<Product>(highOwn, y, y);
      query += 16;
    }
    row += 16;
  }
  return cosine_distance(total(low, high), aa, total(lowOwn, highOwn));
}

/** Distance of one row; `aa` as in cosine_f16, for cosine only. */
// @ts-ignore: decorator
@inline
function distance(metric: i32, query: usize, row: usize, stride: i32, aa: f64): f32 {
  if (metric == COSINE) return cosine_f16(query, row, stride, aa);
  if (metric == DOT) return round_distance(0 - sum_f16<Product>(query, row, stride));
  if (metric == EUCLIDEAN) return round_distance(Math.sqrt(sum_f16<Square>(query, row, stride)));
  return round_distance(sum_f16<Magnitude>(query, row, stride));
}

/** Canonical distances of a query of `stride` floats to `rowCount` rows of `stride` halves, written to `out` [rowCount] f32. */
export function distance_f16(metric: i32, query: usize, rows: usize, rowCount: i32, stride: i32, out: usize): void {
  const aa = metric == COSINE ? sum_f32<Product>(query, query, stride << 2) : 0;
  for (let r: i32 = 0; r < rowCount; r++) {
    store<f32>(out + (<usize>r << 2), distance(metric, query, rows + <usize>r * (<usize>stride << 1), stride, aa));
  }
}
