// rank_ties: where distances are whole numbers ties are many, and only the lowest rows of those at
// the threshold belong to the answer. Rewrites each candidate's low so that the order of keys is
// the order of the answer as far as it matters: nearer than the threshold 0, at it row + 1, beyond
// it NO_KEY. select_k then finds the last row that belongs, and compact takes no more.
//
// Grid: x covers a query's candidates, y queries. Workgroup memory: none. Features: none.
// No CPU twin: the contract table settles what it names. Parts: keys, state.

struct TieParams {
  capacity : u32,   // candidates of a query
}

@group(0) @binding(0) var<uniform> params : TieParams;
@group(0) @binding(1) var<storage, read> states : array<QueryState>;     // [queries]
@group(0) @binding(2) var<storage, read> candidates : array<u32>;        // [queries × capacity]
@group(0) @binding(3) var<storage, read_write> lows : array<u32>;        // [queries × capacity]

override WORKGROUP : u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn rank_ties(@builtin(global_invocation_id) id : vec3u, @builtin(num_workgroups) groups : vec3u) {
  let query = id.y;
  let state = states[query];
  for (var i = id.x; i < min(state.count, params.capacity); i += groups.x * WORKGROUP) {
    let at = query * params.capacity + i;
    let low = value_of(lows[at]);
    let tie = select(NO_KEY, candidates[at] + 1u, low == state.threshold);
    lows[at] = select(tie, 0u, low < state.threshold);
  }
}
