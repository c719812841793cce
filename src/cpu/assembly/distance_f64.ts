// The canonical distance (DESIGN rule 2) of f32 rows. Twin: canonicalDistance in core/canonical.ts.
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

/** Σ of the terms of two f32 vectors, `bytes` long. */
export function sum_f32<Term>(a: usize, b: usize, bytes: i32): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  for (let i: i32 = 0; i < bytes; i += 16) {
    const x = v128.load(a + i);
    const y = v128.load(b + i);
    low = add_term<Term>(low, f64x2.promote_low_f32x4(x), f64x2.promote_low_f32x4(y));
    high = add_term<Term>(high, upper(x), upper(y));
  }
  return total(low, high);
}

/** The canonical float32 distance of the vectors at `row` and `query`, `stride` elements each. */
export function distance_f64(metric: i32, query: usize, row: usize, stride: i32): f32 {
  const bytes = stride << 2;
  if (metric == COSINE) {
    const ab = sum_f32<Product>(query, row, bytes);
    const aa = sum_f32<Product>(query, query, bytes);
    return cosine_distance(ab, aa, sum_f32<Product>(row, row, bytes));
  }
  if (metric == DOT) return round_distance(0 - sum_f32<Product>(query, row, bytes));
  if (metric == EUCLIDEAN) return round_distance(Math.sqrt(sum_f32<Square>(query, row, bytes)));
  return round_distance(sum_f32<Magnitude>(query, row, bytes));
}

/** Canonical distances of one query to `rowCount` rows, written to `out` [rowCount] f32. */
export function scan_f64(metric: i32, rows: usize, rowCount: i32, stride: i32, query: usize, out: usize): void {
  for (let r: i32 = 0; r < rowCount; r++) {
    store<f32>(out + (r << 2), distance_f64(metric, query, rows + <usize>r * (<usize>stride << 2), stride));
  }
}
