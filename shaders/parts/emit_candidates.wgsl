// Part: a scan's output as the rows whose lower end is within the query's threshold. All are
// counted; those beyond the capacity are not written, and whoever reads the count sees it.

struct QueryState {
  threshold : f32,
  pick : u32,
  count : atomic<u32>,
  refined : u32,
}

@group(0) @binding(6) var<storage, read_write> states : array<QueryState>;   // [queries]
@group(0) @binding(7) var<storage, read_write> candidates : array<u32>;      // [queries × capacity] row numbers

fn emit(query : u32, i : u32, row : u32, low : f32, isEligible : bool) {
  if (isEligible && low <= states[query].threshold) {
    let at = atomicAdd(&states[query].count, 1u);
    if (at < params.capacity) {
      candidates[query * params.capacity + at] = params.shardRow + row;
    }
  }
}

// Whether any of four rows may become a candidate: one comparison keeps the rest off the hot path.
fn is_any_wanted(query : u32, lows : vec4f) -> bool {
  return any(lows <= vec4f(states[query].threshold));
}
