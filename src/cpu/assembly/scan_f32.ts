// The full-precision estimate scan: every row of a span against every query of a tile, in f32x4.
// Two rows × four queries share their loads (8 accumulators: 4 × 4 spills on x86, and so does
// unrolling this). The four sums of a row are made the lanes of one vector and tested together:
// rows beyond the limits, all but a few once those are tight, cost one comparison and one branch
// for eight pairs (46 instead of 38 GFLOP/s at 100 dimensions, 51 instead of 43 at 384; dot, 32
// queries, one thread of a 2-core Zen 5, Node 20). Others are appended to `hits` if eligible.
// Estimates and limits are in estimate scale: core/margin.ts. Twin: kernels-js.ts.
import { append, append_lanes } from "./hits";

const COSINE: i32 = 0;
const DOT: i32 = 1;
const EUCLIDEAN: i32 = 2;

// The term of a sum, chosen by type so that the compiler specialises the loops: with a value in its
// place Binaryen merges the similar functions again and tests the metric in the innermost loop
// (13.5 GFLOP/s instead of 29.8, dot, one thread of a 2-core EPYC, Node 20).
type Product = u8;
type Square = u16;
type Magnitude = u32;

// @ts-ignore: decorator
@inline
function add_product(sum: v128, x: v128, y: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(x, y, sum);
  return f32x4.add(sum, f32x4.mul(x, y));
}

// @ts-ignore: decorator
@inline
function add_term<Term>(sum: v128, x: v128, q: v128): v128 {
  if (sizeof<Term>() == sizeof<Square>()) {
    const d = f32x4.sub(x, q);
    return add_product(sum, d, d);
  } else if (sizeof<Term>() == sizeof<Magnitude>()) {
    return f32x4.add(sum, f32x4.abs(f32x4.sub(x, q)));
  } else {
    return add_product(sum, x, q);
  }
}

/** Σ of the lanes of each of four vectors. */
// @ts-ignore: decorator
@inline
function totals(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(i32x4.shuffle(a, b, 0, 4, 1, 5), i32x4.shuffle(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(i32x4.shuffle(c, d, 0, 4, 1, 5), i32x4.shuffle(c, d, 2, 6, 3, 7));
  return f32x4.add(i64x2.shuffle(ab, cd, 0, 2), i64x2.shuffle(ab, cd, 1, 3));
}

/** The mask of those of four pairs whose estimate is within the limit; `terms` of their rows, the others of their queries. */
// @ts-ignore: decorator
@inline
function within(metric: i32, sums: v128, terms: v128, limits: v128, perNorms: v128): v128 {
  if (metric == COSINE) return f32x4.le(f32x4.sub(f32x4.splat(1), f32x4.mul(sums, terms)), limits);
  if (metric == DOT) return f32x4.le(f32x4.sub(f32x4.neg(sums), f32x4.mul(perNorms, terms)), limits);
  return f32x4.le(sums, limits);
}

/** Queries q … q + 3 against all rows, two at a time; an odd last row is its own partner. Returns the end of the list. */
function scan_four<Term>(
  metric: i32,
  rows: usize,
  terms: usize,
  rowCount: i32,
  bytes: usize,
  queries: usize,
  q: i32,
  limits: usize,
  perNorms: usize,
  eligible: usize,
  words: i32,
  end: usize,
): usize {
  const zero = f32x4.splat(0);
  const limit = v128.load(limits + (q << 2));
  const perNorm = v128.load(perNorms + (q << 2));
  const q0 = queries + <usize>q * bytes;
  const q1 = q0 + bytes;
  const q2 = q1 + bytes;
  const q3 = q2 + bytes;
  for (let r: i32 = 0; r < rowCount; r += 2) {
    const s = min<i32>(r + 1, rowCount - 1);
    let x = rows + <usize>r * bytes;
    let y = rows + <usize>s * bytes;
    let p0 = q0, p1 = q1, p2 = q2, p3 = q3;
    let a0 = zero, a1 = zero, a2 = zero, a3 = zero;
    let b0 = zero, b1 = zero, b2 = zero, b3 = zero;
    // Pointers that count up instead of `base + i`: 6 % faster on Node 20.
    const last = x + bytes;
    while (x < last) {
      const u = v128.load(x);
      const w = v128.load(y);
      let v = v128.load(p0);
      a0 = add_term<Term>(a0, u, v);
      b0 = add_term<Term>(b0, w, v);
      v = v128.load(p1);
      a1 = add_term<Term>(a1, u, v);
      b1 = add_term<Term>(b1, w, v);
      v = v128.load(p2);
      a2 = add_term<Term>(a2, u, v);
      b2 = add_term<Term>(b2, w, v);
      v = v128.load(p3);
      a3 = add_term<Term>(a3, u, v);
      b3 = add_term<Term>(b3, w, v);
      x += 16;
      y += 16;
      p0 += 16;
      p1 += 16;
      p2 += 16;
      p3 += 16;
    }
    const first = within(metric, totals(a0, a1, a2, a3), v128.load32_splat(terms + (r << 2)), limit, perNorm);
    const second = within(metric, totals(b0, b1, b2, b3), v128.load32_splat(terms + (s << 2)), limit, perNorm);
    if (v128.any_true(v128.or(first, second))) {
      end = append_lanes(end, i32x4.bitmask(first), q, 1, r, 0, eligible, words);
      if (s > r) end = append_lanes(end, i32x4.bitmask(second), q, 1, s, 0, eligible, words);
    }
  }
  return end;
}

/** The terms of a row and a query, summed into the lanes of one vector. */
// @ts-ignore: decorator
@inline
function sum<Term>(row: usize, query: usize, bytes: usize): v128 {
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  let i: usize = 0;
  for (; i + 64 <= bytes; i += 64) {
    s0 = add_term<Term>(s0, v128.load(row + i), v128.load(query + i));
    s1 = add_term<Term>(s1, v128.load(row + i, 16), v128.load(query + i, 16));
    s2 = add_term<Term>(s2, v128.load(row + i, 32), v128.load(query + i, 32));
    s3 = add_term<Term>(s3, v128.load(row + i, 48), v128.load(query + i, 48));
  }
  for (; i < bytes; i += 16) s0 = add_term<Term>(s0, v128.load(row + i), v128.load(query + i));
  return f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
}

/**
 * One query against all rows, which memory bounds: a row after the other, the sums of four tested
 * together. The loop over the four is not to be unrolled: with a load instruction for each row the
 * prefetcher sees four streams that jump instead of one that does not (27 instead of 32 GB/s at
 * 384 dimensions; reading alone 35). Returns the end of the list.
 */
function scan_one<Term>(
  metric: i32,
  rows: usize,
  terms: usize,
  rowCount: i32,
  bytes: usize,
  queries: usize,
  q: i32,
  limits: usize,
  perNorms: usize,
  eligible: usize,
  words: i32,
  end: usize,
): usize {
  const zero = f32x4.splat(0);
  const query = queries + <usize>q * bytes;
  const limit = v128.load32_splat(limits + (q << 2));
  const perNorm = v128.load32_splat(perNorms + (q << 2));
  let row = rows;
  let r: i32 = 0;
  let a = zero, b = zero, c = zero, d = zero;
  for (; r + 4 <= rowCount; r += 4) {
    for (let i: i32 = 0; i < 4; i++) {
      a = b;
      b = c;
      c = d;
      d = sum<Term>(row, query, bytes);
      row += bytes;
    }
    const mask = within(metric, totals(a, b, c, d), v128.load(terms + (r << 2)), limit, perNorm);
    if (v128.any_true(mask)) end = append_lanes(end, i32x4.bitmask(mask), q, 0, r, 1, eligible, words);
  }
  for (; r < rowCount; r++) {
    const only = totals(sum<Term>(row, query, bytes), zero, zero, zero);
    const mask = within(metric, only, v128.load32_zero(terms + (r << 2)), limit, perNorm);
    if (i32x4.extract_lane(mask, 0)) end = append(end, q, r, eligible, words);
    row += bytes;
  }
  return end;
}

function scan<Term>(
  metric: i32,
  rows: usize,
  terms: usize,
  rowCount: i32,
  stride: i32,
  queries: usize,
  queryCount: i32,
  limits: usize,
  perNorms: usize,
  eligible: usize,
  words: i32,
  hits: usize,
): i32 {
  const bytes = <usize>stride << 2;
  let end = hits;
  let q: i32 = 0;
  for (; q + 4 <= queryCount; q += 4) {
    end = scan_four<Term>(metric, rows, terms, rowCount, bytes, queries, q, limits, perNorms, eligible, words, end);
  }
  for (; q < queryCount; q++) {
    end = scan_one<Term>(metric, rows, terms, rowCount, bytes, queries, q, limits, perNorms, eligible, words, end);
  }
  return <i32>((end - hits) >> 2);
}

/**
 * Scans `rowCount` ≤ 65,536 rows of `stride` floats (row terms: 1/‖x‖ for cosine, ‖x‖ for dot)
 * against `queryCount` ≤ 65,536 queries as scaled for scanning. `limits`, `perNorms`:
 * [queryCount] f32. `eligible`: [queryCount × words] u32, or with words = 0 one bitmap for all.
 * `hits`: room for rowCount × queryCount u32. Returns the number of hits.
 */
export function scan_f32(
  metric: i32,
  rows: usize,
  terms: usize,
  rowCount: i32,
  stride: i32,
  queries: usize,
  queryCount: i32,
  limits: usize,
  perNorms: usize,
  eligible: usize,
  words: i32,
  hits: usize,
): i32 {
  if (metric == COSINE || metric == DOT) {
    return scan<Product>(metric, rows, terms, rowCount, stride, queries, queryCount, limits, perNorms, eligible, words, hits);
  }
  if (metric == EUCLIDEAN) {
    return scan<Square>(metric, rows, terms, rowCount, stride, queries, queryCount, limits, perNorms, eligible, words, hits);
  }
  return scan<Magnitude>(metric, rows, terms, rowCount, stride, queries, queryCount, limits, perNorms, eligible, words, hits);
}
