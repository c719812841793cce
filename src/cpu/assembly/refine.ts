// The second look at what the scan of codes let through: float32 estimates of single pairs, from
// the rows themselves. Keeps those within their query's limit, which costs a fraction of a
// canonical distance and leaves little more than the answer. Limits, perNorms and the margin are
// those of scan_f32.ts. Twin: kernels-js-codes.ts.
import { to_floats } from "./halves";

const COSINE: i32 = 0;
const DOT: i32 = 1;
const EUCLIDEAN: i32 = 2;

/** Elements of rows, chosen by type (see scan_f32.ts). */
type Float = f32;
type Half = u16;

// @ts-ignore: decorator
@inline
function add_term(metric: i32, sum: v128, x: v128, q: v128): v128 {
  if (metric != EUCLIDEAN) return f32x4.add(sum, f32x4.mul(x, q));
  const d = f32x4.sub(x, q);
  return f32x4.add(sum, f32x4.mul(d, d));
}

/** Σ of the terms of a row and a query of `stride` floats, a multiple of 4 (of 8 for halves), two accumulators deep. */
// @ts-ignore: decorator
@inline
function pair_sum<T>(metric: i32, row: usize, query: usize, stride: i32): f32 {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let x = row;
  let q = query;
  const last = query + (<usize>stride << 2);
  if (sizeof<T>() == sizeof<Half>()) {
    for (; q < last; q += 32) {
      const halves = v128.load(x);
      s0 = add_term(metric, s0, to_floats(i32x4.extend_low_i16x8_u(halves)), v128.load(q));
      s1 = add_term(metric, s1, to_floats(i32x4.extend_high_i16x8_u(halves)), v128.load(q, 16));
      x += 16;
    }
  } else {
    for (; q + 16 < last; q += 32) {
      s0 = add_term(metric, s0, v128.load(x), v128.load(q));
      s1 = add_term(metric, s1, v128.load(x, 16), v128.load(q, 16));
      x += 32;
    }
    if (q < last) s0 = add_term(metric, s0, v128.load(x), v128.load(q));
  }
  const sum = f32x4.add(s0, s1);
  return (
    f32x4.extract_lane(sum, 0) +
    f32x4.extract_lane(sum, 1) +
    (f32x4.extract_lane(sum, 2) + f32x4.extract_lane(sum, 3))
  );
}

// @ts-ignore: decorator
@inline
function refine<T>(
  metric: i32,
  rows: usize,
  terms: usize,
  stride: i32,
  queries: usize,
  limits: usize,
  perNorms: usize,
  hits: usize,
  count: i32,
  estimates: usize,
): i32 {
  let end = hits;
  const last = hits + (<usize>count << 2);
  for (let at = hits; at < last; at += 4) {
    const hit = load<u32>(at);
    const r = <usize>(hit & 0xffff);
    const q = <usize>(hit >> 16);
    const row = rows + r * <usize>stride * sizeof<T>();
    const query = queries + ((q * <usize>stride) << 2);
    const term = load<f32>(terms + (r << 2));
    let estimate: f32;
    if (metric == COSINE) estimate = 1 - pair_sum<T>(COSINE, row, query, stride) * term;
    else if (metric == DOT) estimate = -pair_sum<T>(DOT, row, query, stride) - load<f32>(perNorms + (q << 2)) * term;
    else estimate = pair_sum<T>(EUCLIDEAN, row, query, stride);
    if (estimate <= load<f32>(limits + (q << 2))) {
      store<f32>(estimates + (end - hits), estimate);
      store<u32>(end, hit);
      end += 4;
    }
  }
  return <i32>((end - hits) >> 2);
}

/**
 * Of `count` pairs (query << 16 | row) in `hits`, keeps in place those whose estimate is within
 * `limits`, and writes these to `estimates`; returns how many. Rows and queries: `stride` floats each; cosine, dot or euclidean.
 */
export function refine_f32(
  metric: i32,
  rows: usize,
  terms: usize,
  stride: i32,
  queries: usize,
  limits: usize,
  perNorms: usize,
  hits: usize,
  count: i32,
  estimates: usize,
): i32 {
  return refine<Float>(metric, rows, terms, stride, queries, limits, perNorms, hits, count, estimates);
}

/** The same for rows of `stride` halves. */
export function refine_f16(
  metric: i32,
  rows: usize,
  terms: usize,
  stride: i32,
  queries: usize,
  limits: usize,
  perNorms: usize,
  hits: usize,
  count: i32,
  estimates: usize,
): i32 {
  return refine<Half>(metric, rows, terms, stride, queries, limits, perNorms, hits, count, estimates);
}
