// The full-precision estimate scan: every row of a span against every query of a tile, in f32x4.
// Two rows × four queries share their loads (8 accumulators: 4 × 4 spills on x86). A row whose
// estimate is beyond its query's limit is dropped by one comparison; the others, rare once the
// limits are tight, are tested for eligibility and appended to `hits`.
// Estimates and limits are in estimate scale: core/margin.ts. Twin: kernels-js.ts.

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

// @ts-ignore: decorator
@inline
function total(sum: v128): f32 {
  return (
    f32x4.extract_lane(sum, 0) +
    f32x4.extract_lane(sum, 1) +
    (f32x4.extract_lane(sum, 2) + f32x4.extract_lane(sum, 3))
  );
}

// @ts-ignore: decorator
@inline
function is_within(metric: i32, sum: v128, term: f32, limit: f32, perNorm: f32): bool {
  if (metric == COSINE) return 1 - total(sum) * term <= limit;
  if (metric == DOT) return -total(sum) - perNorm * term <= limit;
  return total(sum) <= limit;
}

/** Appends (query << 16 | row) if the row's bit is set for the query; returns the end of the list. */
function append(hits: usize, end: usize, query: i32, row: i32, eligible: usize, words: i32): usize {
  const word = load<u32>(eligible + (<usize>(query * words + (row >> 5)) << 2));
  if ((word >> (row & 31)) & 1) {
    store<u32>(end, (query << 16) | row);
    return end + 4;
  }
  return end;
}

function scan_terms<Term>(
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
  const zero = f32x4.splat(0);
  let end = hits;
  let q: i32 = 0;
  for (; q + 4 <= queryCount; q += 4) {
    const q0 = queries + <usize>q * bytes;
    const q1 = q0 + bytes;
    const q2 = q1 + bytes;
    const q3 = q2 + bytes;
    const limit0 = load<f32>(limits + (q << 2));
    const limit1 = load<f32>(limits + (q << 2), 4);
    const limit2 = load<f32>(limits + (q << 2), 8);
    const limit3 = load<f32>(limits + (q << 2), 12);
    const norm0 = load<f32>(perNorms + (q << 2));
    const norm1 = load<f32>(perNorms + (q << 2), 4);
    const norm2 = load<f32>(perNorms + (q << 2), 8);
    const norm3 = load<f32>(perNorms + (q << 2), 12);
    let r: i32 = 0;
    for (; r + 2 <= rowCount; r += 2) {
      let x = rows + <usize>r * bytes;
      let y = x + bytes;
      let p0 = q0, p1 = q1, p2 = q2, p3 = q3;
      let a0 = zero, a1 = zero, a2 = zero, a3 = zero;
      let b0 = zero, b1 = zero, b2 = zero, b3 = zero;
      // Pointers that count up instead of `base + i`: 6 % faster on Node 20.
      const last = y;
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
      const t0 = load<f32>(terms + (r << 2));
      const t1 = load<f32>(terms + (r << 2), 4);
      if (is_within(metric, a0, t0, limit0, norm0)) end = append(hits, end, q, r, eligible, words);
      if (is_within(metric, a1, t0, limit1, norm1)) end = append(hits, end, q + 1, r, eligible, words);
      if (is_within(metric, a2, t0, limit2, norm2)) end = append(hits, end, q + 2, r, eligible, words);
      if (is_within(metric, a3, t0, limit3, norm3)) end = append(hits, end, q + 3, r, eligible, words);
      if (is_within(metric, b0, t1, limit0, norm0)) end = append(hits, end, q, r + 1, eligible, words);
      if (is_within(metric, b1, t1, limit1, norm1)) end = append(hits, end, q + 1, r + 1, eligible, words);
      if (is_within(metric, b2, t1, limit2, norm2)) end = append(hits, end, q + 2, r + 1, eligible, words);
      if (is_within(metric, b3, t1, limit3, norm3)) end = append(hits, end, q + 3, r + 1, eligible, words);
    }
    if (r < rowCount) {
      for (let p: i32 = q; p < q + 4; p++) {
        end = scan_pair<Term>(metric, rows, terms, r, bytes, queries, p, limits, perNorms, eligible, words, hits, end);
      }
    }
  }
  for (; q < queryCount; q++) {
    for (let r: i32 = 0; r < rowCount; r++) {
      end = scan_pair<Term>(metric, rows, terms, r, bytes, queries, q, limits, perNorms, eligible, words, hits, end);
    }
  }
  return <i32>((end - hits) >> 2);
}

// One row against one query, four accumulators deep: the tails, and single queries, which are
// memory-bound and gain nothing from sharing loads.
// @ts-ignore: decorator
@inline
function scan_pair<Term>(
  metric: i32,
  rows: usize,
  terms: usize,
  r: i32,
  bytes: usize,
  queries: usize,
  q: i32,
  limits: usize,
  perNorms: usize,
  eligible: usize,
  words: i32,
  hits: usize,
  end: usize,
): usize {
  const x = rows + <usize>r * bytes;
  const v = queries + <usize>q * bytes;
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  let i: usize = 0;
  for (; i + 64 <= bytes; i += 64) {
    s0 = add_term<Term>(s0, v128.load(x + i), v128.load(v + i));
    s1 = add_term<Term>(s1, v128.load(x + i, 16), v128.load(v + i, 16));
    s2 = add_term<Term>(s2, v128.load(x + i, 32), v128.load(v + i, 32));
    s3 = add_term<Term>(s3, v128.load(x + i, 48), v128.load(v + i, 48));
  }
  for (; i < bytes; i += 16) s0 = add_term<Term>(s0, v128.load(x + i), v128.load(v + i));
  const sum = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
  const limit = load<f32>(limits + (q << 2));
  const perNorm = load<f32>(perNorms + (q << 2));
  if (is_within(metric, sum, load<f32>(terms + (r << 2)), limit, perNorm)) {
    return append(hits, end, q, r, eligible, words);
  }
  return end;
}

/**
 * Scans `rowCount` ≤ 65,536 rows of `stride` floats (row terms: 1/‖x‖ for cosine, ‖x‖ for dot)
 * against `queryCount` ≤ 65,536 queries as scaled for scanning. `limits`, `perNorms`:
 * [queryCount] f32. `eligible`: [queryCount × words] u32. `hits`: room for rowCount × queryCount
 * u32. Returns the number of hits.
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
    return scan_terms<Product>(metric, rows, terms, rowCount, stride, queries, queryCount, limits, perNorms, eligible, words, hits);
  }
  if (metric == EUCLIDEAN) {
    return scan_terms<Square>(metric, rows, terms, rowCount, stride, queries, queryCount, limits, perNorms, eligible, words, hits);
  }
  return scan_terms<Magnitude>(metric, rows, terms, rowCount, stride, queries, queryCount, limits, perNorms, eligible, words, hits);
}
