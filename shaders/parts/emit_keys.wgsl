// Part: a scan's output as keys of lower ends, one for each row looked at, and of each group of
// them (1,024 or fewer) the smallest, a delegate. The k-th smallest delegate bounds the k-th smallest
// key from above, k delegates being k distinct rows; at most k groups' worth of keys are as small,
// ties aside, whatever the order of the rows (Dr. Top-k's idea). Delegates are kept inverted, so
// that zero is "none".

@group(0) @binding(6) var<storage, read_write> keys : array<u32>;                // [queries × keyStride]
@group(0) @binding(7) var<storage, read_write> delegates : array<atomic<u32>>;   // [queries × delegateStride], ~key

fn emit(query : u32, i : u32, row : u32, low : f32, isEligible : bool) {
  let key = select(NO_KEY, key_of(low), isEligible);
  keys[query * params.keyStride + params.keyOffset + i] = key;
  if (params.delegateStride != 0u && isEligible) {
    let at = query * params.delegateStride + ((params.keyOffset + i) >> params.delegateShift);
    if (~key > atomicLoad(&delegates[at])) { // seldom, once a few of the group are in
      atomicMax(&delegates[at], ~key);
    }
  }
}

// Whether any of four rows is worth a look: all keys are written.
fn is_any_wanted(query : u32, lows : vec4f) -> bool {
  return true;
}
