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

/** Cosine: the three products side by side, whose six chains of additions overlap. */
function cosine_f32(a: usize, b: usize, bytes: i32): f32 {
  const zero = f64x2.splat(0);
  let ab0 = zero, ab1 = zero, aa0 = zero, aa1 = zero, bb0 = zero, bb1 = zero;
  for (let i: i32 = 0; i < bytes; i += 16) {
    const x = v128.load(a + i);
    const y = v128.load(b + i);
    const x0 = f64x2.promote_low_f32x4(x);
    const x1 = upper(x);
    const y0 = f64x2.promote_low_f32x4(y);
    const y1 = upper(y);
    ab0 = add_term<Product>(ab0, x0, y0);
    ab1 = add_term<Product>(ab1, x1, y1);
    aa0 = add_term<Product>(aa0, x0, x0);
    aa1 = add_term<Product>(aa1, x1, x1);
    bb0 = add_term<Product>(bb0, y0, y0);
    bb1 = add_term<Product>(bb1, y1, y1);
  }
  return cosine_distance(total(ab0, ab1), total(aa0, aa1), total(bb0, bb1));
}

/** The canonical float32 distance of the vectors at `row` and `query`, `stride` elements each. */
export function distance_f64(metric: i32, query: usize, row: usize, stride: i32): f32 {
  const bytes = stride << 2;
  if (metric == COSINE) return cosine_f32(query, row, bytes);
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
