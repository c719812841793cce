// The certified scan: int8 codes of a span of rows against the codes of a tile of queries. What is
// compared is the lower end of each pair's interval (core/certificate.ts (2)), less what is the
// query's alone, which its limit holds already:
//
//   weight·n² − product·scale·Σ − perError·E − perResidual·R − perNorm·n ≤ limit
//
// (a comparison that NaN does not fail: what is not known to be too far stays)
// with Σ = Σ codes·codes, and scale, E, R, n, Σ codes the row's facts (encoder.ts). One formula
// serves all metrics: weight is 0 but for euclidean, product holds the query's scale (twice it for
// euclidean), perNorm stands for perCode, as ‖ŷ‖ ≤ (1 + δ)·n + E.
//
// Two rows × four queries share their loads; four sums are brought into the lanes of one vector and
// judged together, so that selection costs one comparison and one branch for four pairs. A single
// query reads one row after the other (four streams of rows at once are three times slower) and
// judges four rows together. Two builds: queries of i16 codes multiplied by dot_i16x8 (simd128),
// or codes + 64 as 7 bits, for the relaxed dot product, whose second operand must not be negative:
// Σ x·(q + 64) − 64·Σ x = Σ x·q. One thread of a 2-core EPYC (Zen 5): 40 and 95 G multiply-adds/s.
// Twin: kernels-js-codes.ts.
import { append } from "./hits";

/** Bytes of a query's code. */
const QUERY_BYTES: usize = ASC_FEATURE_RELAXED_SIMD ? 1 : 2;
/** Bytes of a row that one step takes: 16 as they are, or 8 that are widened. A query's are 16 either way. */
const STEP: usize = ASC_FEATURE_RELAXED_SIMD ? 16 : 8;

// @ts-ignore: decorator
@inline
function add_products(sum: v128, row: v128, query: usize): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(row, v128.load(query), sum);
  return i32x4.add(sum, i32x4.dot_i16x8_s(row, v128.load(query)));
}

/** The codes of one step. */
// @ts-ignore: decorator
@inline
function load_codes(row: usize): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return v128.load(row);
  return v128.load8x8_s(row);
}

/** The totals of four vectors' lanes, as the lanes of one. */
// @ts-ignore: decorator
@inline
function totals(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 1, 4, 5), v128.shuffle<i32>(a, b, 2, 3, 6, 7));
  const cd = i32x4.add(v128.shuffle<i32>(c, d, 0, 1, 4, 5), v128.shuffle<i32>(c, d, 2, 3, 6, 7));
  return i32x4.add(v128.shuffle<i32>(ab, cd, 0, 2, 4, 6), v128.shuffle<i32>(ab, cd, 1, 3, 5, 7));
}

/** One row's sums with four queries: which of the four pairs may be near enough, as bits. */
// @ts-ignore: decorator
@inline
function judge_queries(
  dots: v128,
  row: usize,
  plane: usize,
  weight: f32,
  product: v128,
  perError: v128,
  perResidual: v128,
  perNorm: v128,
  limit: v128,
): i32 {
  let sums = dots;
  if (ASC_FEATURE_RELAXED_SIMD) sums = i32x4.sub(sums, i32x4.shl(v128.load32_splat(row + 4 * plane), 6));
  const n = load<f32>(row + 3 * plane);
  let low = f32x4.splat(weight * n * n);
  low = f32x4.sub(low, f32x4.mul(f32x4.mul(product, v128.load32_splat(row)), f32x4.convert_i32x4_s(sums)));
  low = f32x4.sub(low, f32x4.mul(perError, v128.load32_splat(row + plane)));
  low = f32x4.sub(low, f32x4.mul(perResidual, v128.load32_splat(row + 2 * plane)));
  low = f32x4.sub(low, f32x4.mul(perNorm, f32x4.splat(n)));
  return i32x4.bitmask(v128.not(f32x4.gt(low, limit)));
}

/** Four rows' sums with one query: which of the four pairs may be near enough, as bits. */
// @ts-ignore: decorator
@inline
function judge_rows(
  dots: v128,
  row: usize,
  plane: usize,
  weight: v128,
  product: v128,
  perError: v128,
  perResidual: v128,
  perNorm: v128,
  limit: v128,
): i32 {
  let sums = dots;
  if (ASC_FEATURE_RELAXED_SIMD) sums = i32x4.sub(sums, i32x4.shl(v128.load(row + 4 * plane), 6));
  const n = v128.load(row + 3 * plane);
  let low = f32x4.mul(f32x4.mul(weight, n), n);
  low = f32x4.sub(low, f32x4.mul(f32x4.mul(product, v128.load(row)), f32x4.convert_i32x4_s(sums)));
  low = f32x4.sub(low, f32x4.mul(perError, v128.load(row + plane)));
  low = f32x4.sub(low, f32x4.mul(perResidual, v128.load(row + 2 * plane)));
  low = f32x4.sub(low, f32x4.mul(perNorm, n));
  return i32x4.bitmask(v128.not(f32x4.gt(low, limit)));
}

/** Lanes 0 … 3 of Σ for one row and one query, two accumulators deep. `last`: the end of the row, a multiple of 16 bytes away. */
// @ts-ignore: decorator
@inline
function row_products(from: usize, last: usize, query: usize): v128 {
  let row = from;
  let p = query;
  let a = i32x4.splat(0);
  let b = i32x4.splat(0);
  for (; row + STEP < last; row += 2 * STEP) {
    a = add_products(a, load_codes(row), p);
    b = add_products(b, load_codes(row + STEP), p + 16);
    p += 32;
  }
  if (row < last) a = add_products(a, load_codes(row), p);
  return i32x4.add(a, b);
}

/**
 * Scans `rowCount` ≤ 65,536 rows of `stride` codes (a multiple of 16) against `queryCount` ≤ 65,536
 * queries of `stride` codes each, i16 or 7-bit. `facts`: scale, E, R, n [f32] and Σ codes [i32] of
 * the first row, arrays `plane` bytes apart, readable up to a multiple of 4 rows. `coefficients`:
 * product, perError, perResidual, perNorm, limit [f32] of the queries, arrays `coefficientPlane`
 * bytes apart. `eligible`: one bit a row, `words` words a query (0: the same for all). `hits`: room
 * for rowCount × queryCount u32, (query << 16 | row) of the pairs that are not ruled out. Returns
 * how many.
 */
export function scan_i8(
  codes: usize,
  stride: i32,
  facts: usize,
  plane: usize,
  rowCount: i32,
  queries: usize,
  queryCount: i32,
  coefficients: usize,
  coefficientPlane: usize,
  weight: f32,
  eligible: usize,
  words: i32,
  hits: usize,
): i32 {
  const zero = i32x4.splat(0);
  const rowBytes = <usize>stride;
  const queryBytes = rowBytes * QUERY_BYTES;
  let end = hits;
  let q: i32 = 0;
  for (; q + 4 <= queryCount; q += 4) {
    const q0 = queries + <usize>q * queryBytes;
    const q1 = q0 + queryBytes;
    const q2 = q1 + queryBytes;
    const q3 = q2 + queryBytes;
    const at = coefficients + (<usize>q << 2);
    const product = v128.load(at);
    const perError = v128.load(at + coefficientPlane);
    const perResidual = v128.load(at + 2 * coefficientPlane);
    const perNorm = v128.load(at + 3 * coefficientPlane);
    const limit = v128.load(at + 4 * coefficientPlane);
    for (let r: i32 = 0; r < rowCount; r += 2) {
      // An odd last row is paired with itself.
      const other = r + 1 < rowCount ? rowBytes : 0;
      let x = codes + <usize>r * rowBytes;
      let y = x + other;
      let p0 = q0, p1 = q1, p2 = q2, p3 = q3;
      let a0 = zero, a1 = zero, a2 = zero, a3 = zero;
      let b0 = zero, b1 = zero, b2 = zero, b3 = zero;
      const last = x + rowBytes;
      while (x < last) {
        const u = load_codes(x);
        const w = load_codes(y);
        a0 = add_products(a0, u, p0);
        b0 = add_products(b0, w, p0);
        a1 = add_products(a1, u, p1);
        b1 = add_products(b1, w, p1);
        a2 = add_products(a2, u, p2);
        b2 = add_products(b2, w, p2);
        a3 = add_products(a3, u, p3);
        b3 = add_products(b3, w, p3);
        x += STEP;
        y += STEP;
        p0 += 16;
        p1 += 16;
        p2 += 16;
        p3 += 16;
      }
      const row = facts + (<usize>r << 2);
      const near = judge_queries(totals(a0, a1, a2, a3), row, plane, weight, product, perError, perResidual, perNorm, limit);
      if (near != 0) {
        if (near & 1) end = append(end, q, r, eligible, words);
        if (near & 2) end = append(end, q + 1, r, eligible, words);
        if (near & 4) end = append(end, q + 2, r, eligible, words);
        if (near & 8) end = append(end, q + 3, r, eligible, words);
      }
      if (other == 0) break;
      const next = judge_queries(totals(b0, b1, b2, b3), row + 4, plane, weight, product, perError, perResidual, perNorm, limit);
      if (next != 0) {
        if (next & 1) end = append(end, q, r + 1, eligible, words);
        if (next & 2) end = append(end, q + 1, r + 1, eligible, words);
        if (next & 4) end = append(end, q + 2, r + 1, eligible, words);
        if (next & 8) end = append(end, q + 3, r + 1, eligible, words);
      }
    }
  }
  for (; q < queryCount; q++) {
    const query = queries + <usize>q * queryBytes;
    const at = coefficients + (<usize>q << 2);
    const weights = f32x4.splat(weight);
    const product = v128.load32_splat(at);
    const perError = v128.load32_splat(at + coefficientPlane);
    const perResidual = v128.load32_splat(at + 2 * coefficientPlane);
    const perNorm = v128.load32_splat(at + 3 * coefficientPlane);
    const limit = v128.load32_splat(at + 4 * coefficientPlane);
    for (let r: i32 = 0; r < rowCount; r += 4) {
      const x = codes + <usize>r * rowBytes;
      const count = rowCount - r;
      const a = row_products(x, x + rowBytes, query);
      const b = count > 1 ? row_products(x + rowBytes, x + 2 * rowBytes, query) : zero;
      const c = count > 2 ? row_products(x + 2 * rowBytes, x + 3 * rowBytes, query) : zero;
      const d = count > 3 ? row_products(x + 3 * rowBytes, x + 4 * rowBytes, query) : zero;
      const row = facts + (<usize>r << 2);
      const near = judge_rows(totals(a, b, c, d), row, plane, weights, product, perError, perResidual, perNorm, limit);
      if (near != 0) {
        if (near & 1) end = append(end, q, r, eligible, words);
        if (count > 1 && near & 2) end = append(end, q, r + 1, eligible, words);
        if (count > 2 && near & 4) end = append(end, q, r + 2, eligible, words);
        if (count > 3 && near & 8) end = append(end, q, r + 3, eligible, words);
      }
    }
  }
  return <i32>((end - hits) >> 2);
}
