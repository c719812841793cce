// Products of float64 matrices, rows by rows: out[i][j] = Σ a[i][t]·b[j][t]. What learning a basis
// spends its time on. Twin: core/product.ts (equal up to the order of additions).

// @ts-ignore: decorator
@inline
function store_sum(out: usize, sum: v128): void {
  store<f64>(out, f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1));
}

/**
 * `a`: [4 × length], `b`: [columns × length], columns even, length even; `out` [4 × columns]. Four
 * rows by two share their loads: 8 accumulators and 6 operands fill the registers of x86.
 */
export function product_f64(a: usize, b: usize, columns: i32, length: i32, out: usize): void {
  const bytes = <usize>length << 3;
  const width = <usize>columns << 3;
  for (let j: i32 = 0; j < columns; j += 2) {
    let a0 = a;
    let a1 = a0 + bytes;
    let a2 = a1 + bytes;
    let a3 = a2 + bytes;
    let b0 = b + <usize>j * bytes;
    let b1 = b0 + bytes;
    let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let t0 = s0, t1 = s0, t2 = s0, t3 = s0;
    const end = a1;
    while (a0 < end) {
      const u = v128.load(b0);
      const w = v128.load(b1);
      let v = v128.load(a0);
      s0 = f64x2.add(s0, f64x2.mul(u, v));
      t0 = f64x2.add(t0, f64x2.mul(w, v));
      v = v128.load(a1);
      s1 = f64x2.add(s1, f64x2.mul(u, v));
      t1 = f64x2.add(t1, f64x2.mul(w, v));
      v = v128.load(a2);
      s2 = f64x2.add(s2, f64x2.mul(u, v));
      t2 = f64x2.add(t2, f64x2.mul(w, v));
      v = v128.load(a3);
      s3 = f64x2.add(s3, f64x2.mul(u, v));
      t3 = f64x2.add(t3, f64x2.mul(w, v));
      a0 += 16;
      a1 += 16;
      a2 += 16;
      a3 += 16;
      b0 += 16;
      b1 += 16;
    }
    const to = out + (<usize>j << 3);
    store_sum(to, s0);
    store_sum(to + 8, t0);
    store_sum(to + width, s1);
    store_sum(to + width + 8, t1);
    store_sum(to + 2 * width, s2);
    store_sum(to + 2 * width + 8, t2);
    store_sum(to + 3 * width, s3);
    store_sum(to + 3 * width + 8, t3);
  }
}
