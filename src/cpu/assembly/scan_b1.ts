// The scan of packed bits: canonical distances (distance_b1.ts), because bits cost no more to
// count than to estimate; what is within its query's limit is appended to `hits`.
// Bits are counted 64 at a time by the scalar popcnt, one instruction; i8x16.popcnt is two table
// look-ups and more where AVX-512 BITALG is not used. 1M rows × 1024 bits, one query, one thread of
// a 2-core Zen 5, best of 21, Node 20 / 24: scalar 18.9 / 19.6 GB/s, i8x16.popcnt in 8-bit lanes
// 15.8 / 16.1, carry-save adders over four chunks 14.8 / 11.6; reading alone 29.3 / 30.0.
// One row shares its loads among four queries; two rows × four queries have more accumulators and
// pointers than x86 has registers (22.7 against 24.5 GB/s, Node 24).
// Jaccard counts the common bits only: |q ∪ x| = |q| + |x| − |q ∩ x|, and |x| is the row's term.
// Twin: kernels-js.ts.
import { append } from "./hits";

const HAMMING: i32 = 4;

// What is counted, chosen by type so that the compiler specialises the loops (see scan_f32.ts).
type Differing = u8;
type Common = u16;

// @ts-ignore: decorator
@inline
function count<Bits>(x: u64, q: u64): u64 {
  return popcnt<u64>(sizeof<Bits>() == sizeof<Common>() ? x & q : x ^ q);
}

/** The canonical distance from what was counted and, for jaccard, the number of bits of row and query together. */
// @ts-ignore: decorator
@inline
function distance<Bits>(counted: u64, both: f64): f32 {
  if (sizeof<Bits>() == sizeof<Differing>()) return <f32>counted;
  const common = <f64>counted;
  const union = both - common;
  return union == 0 ? 0 : <f32>(1 - common / union);
}

/** The number of set bits of a vector. */
function bits_of(vector: usize, bytes: usize): u64 {
  let sum: u64 = 0;
  for (let i: usize = 0; i < bytes; i += 8) sum += popcnt<u64>(load<u64>(vector + i));
  return sum;
}

/** One query against all rows, two words at a time. Returns the end of the list. */
function scan_one<Bits>(
  rows: usize,
  terms: usize,
  rowCount: i32,
  bytes: usize,
  queries: usize,
  q: i32,
  limits: usize,
  eligible: usize,
  words: i32,
  end: usize,
): usize {
  const query = queries + <usize>q * bytes;
  const limit = load<f32>(limits + (q << 2));
  const own = <f64>(sizeof<Bits>() == sizeof<Common>() ? bits_of(query, bytes) : 0);
  let x = rows;
  for (let r: i32 = 0; r < rowCount; r++) {
    let p = query;
    let a: u64 = 0, b: u64 = 0;
    const last = x + bytes;
    while (x < last) {
      a += count<Bits>(load<u64>(x), load<u64>(p));
      b += count<Bits>(load<u64>(x, 8), load<u64>(p, 8));
      x += 16;
      p += 16;
    }
    const term = <f64>load<f32>(terms + (r << 2));
    if (distance<Bits>(a + b, own + term) <= limit) end = append(end, q, r, eligible, words);
  }
  return end;
}

/** Queries q … q + 3 against all rows. Returns the end of the list. */
function scan_four<Bits>(
  rows: usize,
  terms: usize,
  rowCount: i32,
  bytes: usize,
  queries: usize,
  q: i32,
  limits: usize,
  eligible: usize,
  words: i32,
  end: usize,
): usize {
  const q0 = queries + <usize>q * bytes;
  const q1 = q0 + bytes;
  const q2 = q1 + bytes;
  const q3 = q2 + bytes;
  const isCommon = sizeof<Bits>() == sizeof<Common>();
  const own0 = <f64>(isCommon ? bits_of(q0, bytes) : 0);
  const own1 = <f64>(isCommon ? bits_of(q1, bytes) : 0);
  const own2 = <f64>(isCommon ? bits_of(q2, bytes) : 0);
  const own3 = <f64>(isCommon ? bits_of(q3, bytes) : 0);
  const limit0 = load<f32>(limits + (q << 2));
  const limit1 = load<f32>(limits + (q << 2), 4);
  const limit2 = load<f32>(limits + (q << 2), 8);
  const limit3 = load<f32>(limits + (q << 2), 12);
  let x = rows;
  for (let r: i32 = 0; r < rowCount; r++) {
    let p0 = q0, p1 = q1, p2 = q2, p3 = q3;
    let a: u64 = 0, b: u64 = 0, c: u64 = 0, d: u64 = 0;
    const last = x + bytes;
    while (x < last) {
      const word = load<u64>(x);
      a += count<Bits>(word, load<u64>(p0));
      b += count<Bits>(word, load<u64>(p1));
      c += count<Bits>(word, load<u64>(p2));
      d += count<Bits>(word, load<u64>(p3));
      x += 8;
      p0 += 8;
      p1 += 8;
      p2 += 8;
      p3 += 8;
    }
    const term = <f64>load<f32>(terms + (r << 2));
    if (distance<Bits>(a, own0 + term) <= limit0) end = append(end, q, r, eligible, words);
    if (distance<Bits>(b, own1 + term) <= limit1) end = append(end, q + 1, r, eligible, words);
    if (distance<Bits>(c, own2 + term) <= limit2) end = append(end, q + 2, r, eligible, words);
    if (distance<Bits>(d, own3 + term) <= limit3) end = append(end, q + 3, r, eligible, words);
  }
  return end;
}

// @ts-ignore: decorator
@inline
function scan<Bits>(
  rows: usize,
  terms: usize,
  rowCount: i32,
  stride: i32,
  queries: usize,
  queryCount: i32,
  limits: usize,
  eligible: usize,
  words: i32,
  hits: usize,
): i32 {
  const bytes = <usize>stride << 2;
  let end = hits;
  let q: i32 = 0;
  for (; q + 4 <= queryCount; q += 4) {
    end = scan_four<Bits>(rows, terms, rowCount, bytes, queries, q, limits, eligible, words, end);
  }
  for (; q < queryCount; q++) {
    end = scan_one<Bits>(rows, terms, rowCount, bytes, queries, q, limits, eligible, words, end);
  }
  return <i32>((end - hits) >> 2);
}

/**
 * Scans `rowCount` ≤ 65,536 rows of `stride` 32-bit words, a multiple of 4, against `queryCount`
 * ≤ 65,536 queries. `terms`: [rowCount] f32, numbers of set bits, read for jaccard only. `limits`:
 * [queryCount] f32, canonical distances, inclusive. `eligible`: [queryCount × words] u32, or with
 * words = 0 one bitmap for all. `hits`: room for rowCount × queryCount u32. Returns the number of hits.
 */
export function scan_b1(
  metric: i32,
  rows: usize,
  terms: usize,
  rowCount: i32,
  stride: i32,
  queries: usize,
  queryCount: i32,
  limits: usize,
  eligible: usize,
  words: i32,
  hits: usize,
): i32 {
  if (metric == HAMMING) {
    return scan<Differing>(rows, terms, rowCount, stride, queries, queryCount, limits, eligible, words, hits);
  }
  return scan<Common>(rows, terms, rowCount, stride, queries, queryCount, limits, eligible, words, hits);
}
