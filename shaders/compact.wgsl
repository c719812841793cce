// compact: what is read back. Of each query's candidates those whose low is within the threshold
// (or, after rank_ties, whose key is within the pick), and how many there are of both.
//
//   results = [queries] survivors | [queries] candidates | [queries × room] row numbers
//
// Grid: x covers a query's candidates, y queries. Workgroup memory: none. Features: none.
// No CPU twin: the contract table settles what it names. Parts: keys, state.

struct CompactParams {
  capacity : u32,   // candidates of a query
  room : u32,       // survivors of a query that are read back
  queries : u32,
}

@group(0) @binding(0) var<uniform> params : CompactParams;
@group(0) @binding(1) var<storage, read> states : array<QueryState>;          // [queries]
@group(0) @binding(2) var<storage, read> candidates : array<u32>;             // [queries × capacity]
@group(0) @binding(3) var<storage, read> lows : array<u32>;                   // [queries × capacity]
@group(0) @binding(4) var<storage, read_write> results : array<atomic<u32>>;

override WORKGROUP : u32 = 64u;
override USES_PICK : bool = false;

@compute @workgroup_size(WORKGROUP)
fn compact(@builtin(global_invocation_id) id : vec3u, @builtin(num_workgroups) groups : vec3u) {
  let query = id.y;
  let state = states[query];
  if (id.x == 0u) {
    atomicStore(&results[params.queries + query], state.count);
  }
  for (var i = id.x; i < min(state.count, params.capacity); i += groups.x * WORKGROUP) {
    let entry = query * params.capacity + i;
    let low = lows[entry];
    if (select(value_of(low) <= state.threshold, low <= state.pick, USES_PICK)) {
      let at = atomicAdd(&results[query], 1u);
      if (at < params.room) {
        atomicStore(&results[2u * params.queries + query * params.room + at], candidates[entry]);
      }
    }
  }
}
