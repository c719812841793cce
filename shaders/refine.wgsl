// refine: the full-precision interval of each candidate, in place of whatever named it.
//   lows = e − margin, highs = e + margin, as keys (parts/full.wgsl)
// The k-th smallest high of any k distinct candidates bounds the k-th distance; a candidate whose
// low is beyond it is out.
//
// Candidates that an earlier round refined (below `refined`) and those of other shards are left
// alone. Grid: x covers a query's candidates, y queries. Workgroup memory: none. Features: none.
// CPU twin: the contract table settles what is named and compares with the oracle.
// Parts: keys, query, full, state.

struct RefineParams {
  chunks : u32,      // 16-byte chunks of a row
  firstRow : u32,    // row number of the shard's row 0
  rows : u32,        // rows of the shard
  capacity : u32,    // candidates of a query
}

@group(0) @binding(0) var<uniform> params : RefineParams;
@group(0) @binding(1) var<storage, read> rows : array<vec4u>;              // interleaved by 32
@group(0) @binding(2) var<storage, read> facts : array<f32>;               // [rows × FACTS]
@group(0) @binding(3) var<storage, read> queries : array<vec4u>;           // [queries × chunks × QUADS]
@group(0) @binding(4) var<storage, read> queryParams : array<QueryParams>; // [queries]
@group(0) @binding(5) var<storage, read> states : array<QueryState>;       // [queries]
@group(0) @binding(6) var<storage, read> candidates : array<u32>;          // [queries × capacity] row numbers
@group(0) @binding(7) var<storage, read_write> highs : array<u32>;         // [queries × capacity] keys
@group(0) @binding(8) var<storage, read_write> lows : array<u32>;          // [queries × capacity] keys

override WORKGROUP : u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn refine(@builtin(global_invocation_id) id : vec3u, @builtin(num_workgroups) groups : vec3u) {
  let query = id.y;
  let count = min(states[query].count, params.capacity);
  let p = queryParams[query];
  let width = params.chunks * QUADS;
  for (var i = states[query].refined + id.x; i < count; i += groups.x * WORKGROUP) {
    let at = query * params.capacity + i;
    let row = candidates[at] - params.firstRow; // wraps around for rows of shards before
    if (row >= params.rows) {
      continue;
    }
    let base = (row >> 5u) * params.chunks * 32u + (row & 31u);
    var scale = 1.0;
    if (DTYPE == 2u) {
      scale = facts[row * FACTS + FACTS - 1u];
    }
    var sum = 0.0;
    if (DTYPE == 3u) {
      var bits = vec4u();
      for (var c = 0u; c < params.chunks; c++) {
        let x = rows[base + c * 32u];
        let q = queries[query * params.chunks + c];
        bits += countOneBits(select(x ^ q, x & q, METRIC == 5u));
      }
      sum = f32(bits.x + bits.y + bits.z + bits.w);
    } else {
      var sums = vec4f();
      for (var c = 0u; c < params.chunks; c++) {
        let chunk = rows[base + c * 32u];
        for (var part = 0u; part < QUADS; part++) {
          let q = bitcast<vec4f>(queries[query * width + c * QUADS + part]);
          sums = accumulated(sums, quad_of(chunk, part, scale), q);
        }
      }
      sum = total(sums);
    }
    let term = facts[row * FACTS];
    let estimate = estimate_of(sum, term, p);
    let margin = margin_of(estimate, term, p);
    highs[at] = key_of(estimate + margin);
    lows[at] = key_of(estimate - margin);
  }
}
