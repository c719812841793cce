// Canonical distances (DESIGN rule 2) of packed bits: hamming counts the bits of a ^ b, jaccard
// those of a & b and of a | b. Bytes are counted with popcnt and added up in 16-bit lanes: a lane
// takes at most 16 a chunk, and 65,535 dimensions are 512 chunks. Twin: core/bits.ts.

const HAMMING: i32 = 4;

// @ts-ignore: decorator
@inline
function add_bits(sum: v128, bits: v128): v128 {
  return i16x8.add(sum, i16x8.extadd_pairwise_i8x16_u(i8x16.popcnt(bits)));
}

// @ts-ignore: decorator
@inline
function total(sum: v128): i32 {
  const pairs = i32x4.extadd_pairwise_i16x8_u(sum);
  return (
    i32x4.extract_lane(pairs, 0) +
    i32x4.extract_lane(pairs, 1) +
    (i32x4.extract_lane(pairs, 2) + i32x4.extract_lane(pairs, 3))
  );
}

function hamming(query: usize, row: usize, bytes: usize): f32 {
  let differing = i16x8.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    differing = add_bits(differing, v128.xor(v128.load(query + i), v128.load(row + i)));
  }
  return <f32>total(differing);
}

function jaccard(query: usize, row: usize, bytes: usize): f32 {
  let common = i16x8.splat(0);
  let either = i16x8.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const x = v128.load(query + i);
    const y = v128.load(row + i);
    common = add_bits(common, v128.and(x, y));
    either = add_bits(either, v128.or(x, y));
  }
  const union = total(either);
  return union == 0 ? 0 : <f32>(1 - <f64>total(common) / <f64>union);
}

/** Canonical distances of a query to `rowCount` rows, `stride` 32-bit words each, written to `out` [rowCount] f32. */
export function distance_b1(metric: i32, query: usize, rows: usize, rowCount: i32, stride: i32, out: usize): void {
  const bytes = <usize>stride << 2;
  for (let r: i32 = 0; r < rowCount; r++) {
    const row = rows + <usize>r * bytes;
    store<f32>(out + (<usize>r << 2), metric == HAMMING ? hamming(query, row, bytes) : jaccard(query, row, bytes));
  }
}
