// Part: order-preserving u32 keys of f32 values, and the bounds of the estimate scale.

// "No row": larger than the key of every estimate.
const NO_KEY : u32 = 0xffffffffu;
// Admits every estimate (2^126; estimates stay below 2^125, src/core/margin.ts); WGSL has no infinity.
const ADMITS_ALL : f32 = 0x1p126f;

// Ascending u32 order is ascending float order.
fn key_of(value : f32) -> u32 {
  let bits = bitcast<u32>(value);
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

fn value_of(key : u32) -> f32 {
  return bitcast<f32>(select(~key, key & 0x7fffffffu, (key >> 31u) == 1u));
}
