// The canonical distance (DESIGN rule 2) with f64x2 lanes: lanes (0, 1) of one vector hold
// accumulators 0 and 1, those of a second 2 and 3, so element i goes to accumulator i mod 4 and
// the additions happen in the contract's order. No FMA: simd128 has none.
// Twin: canonicalDistance in core/canonical.ts.

const COSINE: i32 = 0;
const DOT: i32 = 1;
const EUCLIDEAN: i32 = 2;

// @ts-ignore: decorator
@inline
function total(low: v128, high: v128): f64 {
  return (
    f64x2.extract_lane(low, 0) +
    f64x2.extract_lane(low, 1) +
    (f64x2.extract_lane(high, 0) + f64x2.extract_lane(high, 1))
  );
}

// @ts-ignore: decorator
@inline
function upper(floats: v128): v128 {
  return f64x2.promote_low_f32x4(i64x2.shuffle(floats, floats, 1, 0));
}

function product(a: usize, b: usize, bytes: i32): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  for (let i: i32 = 0; i < bytes; i += 16) {
    const x = v128.load(a + i);
    const y = v128.load(b + i);
    low = f64x2.add(low, f64x2.mul(f64x2.promote_low_f32x4(x), f64x2.promote_low_f32x4(y)));
    high = f64x2.add(high, f64x2.mul(upper(x), upper(y)));
  }
  return total(low, high);
}

function squares(a: usize, b: usize, bytes: i32): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  for (let i: i32 = 0; i < bytes; i += 16) {
    const x = v128.load(a + i);
    const y = v128.load(b + i);
    const d = f64x2.sub(f64x2.promote_low_f32x4(x), f64x2.promote_low_f32x4(y));
    const e = f64x2.sub(upper(x), upper(y));
    low = f64x2.add(low, f64x2.mul(d, d));
    high = f64x2.add(high, f64x2.mul(e, e));
  }
  return total(low, high);
}

function magnitudes(a: usize, b: usize, bytes: i32): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  for (let i: i32 = 0; i < bytes; i += 16) {
    const x = v128.load(a + i);
    const y = v128.load(b + i);
    const d = f64x2.sub(f64x2.promote_low_f32x4(x), f64x2.promote_low_f32x4(y));
    const e = f64x2.sub(upper(x), upper(y));
    low = f64x2.add(low, f64x2.abs(d));
    high = f64x2.add(high, f64x2.abs(e));
  }
  return total(low, high);
}

/** The canonical float32 distance of the vectors at `row` and `query`, `stride` elements each. */
export function distance_f64(metric: i32, query: usize, row: usize, stride: i32): f32 {
  const bytes = stride << 2;
  let exact: f64;
  if (metric == COSINE) {
    const ab = product(query, row, bytes);
    const aa = product(query, query, bytes);
    const bb = product(row, row, bytes);
    exact = Math.max(0, 1 - ab / Math.sqrt(aa * bb));
  } else if (metric == DOT) {
    exact = 0 - product(query, row, bytes);
  } else if (metric == EUCLIDEAN) {
    exact = Math.sqrt(squares(query, row, bytes));
  } else {
    exact = magnitudes(query, row, bytes);
  }
  // Overflow clamps to the largest float32; adding +0 makes −0 into +0.
  return min<f32>(max<f32>(<f32>exact, -f32.MAX_VALUE), f32.MAX_VALUE) + 0;
}

/** Canonical distances of one query to `rowCount` rows, written to `out` [rowCount] f32. */
export function scan_f64(metric: i32, rows: usize, rowCount: i32, stride: i32, query: usize, out: usize): void {
  for (let r: i32 = 0; r < rowCount; r++) {
    store<f32>(out + (r << 2), distance_f64(metric, query, rows + <usize>r * (<usize>stride << 2), stride));
  }
}
