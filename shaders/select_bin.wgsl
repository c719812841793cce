// select_bin: the distance of rank `wanted` from a histogram of whole-number distances becomes the
// query's threshold; fewer rows than wanted rule nothing out.
//
// Grid: one invocation per query. Workgroup memory: none. Features: none. CPU twin: `selectBin` in
// test/gpu/twins.ts. Parts: keys, query, state.

struct BinParams {
  queries : u32,
  bins : u32,      // distances 0 … bins − 1
}

@group(0) @binding(0) var<uniform> params : BinParams;
@group(0) @binding(1) var<storage, read> histograms : array<u32>;            // [queries × bins]
@group(0) @binding(2) var<storage, read> queryParams : array<QueryParams>;   // [queries]
@group(0) @binding(3) var<storage, read_write> states : array<QueryState>;   // [queries]

override WORKGROUP : u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn select_bin(@builtin(global_invocation_id) id : vec3u) {
  let query = id.x;
  if (query >= params.queries) {
    return;
  }
  let wanted = queryParams[query].wanted;
  var sum = 0u;
  var threshold = ADMITS_ALL;
  for (var bin = 0u; bin < params.bins; bin++) {
    sum += histograms[query * params.bins + bin];
    if (sum >= wanted) {
      threshold = f32(bin);
      break;
    }
  }
  states[query].threshold = min(states[query].threshold, threshold);
}
