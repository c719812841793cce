// collect: names every row that could belong to a query's answer.
//
// T = the k-th smallest upper end (from the radix select), raised to `floor` and dropped at
// `ceiling` where canonical distances clamp, and never above `limit` (maxDistance). A row survives
// when its lower end, low = high − 2·(relative·|high| + perNorm·‖x‖ + absolute), is ≤ T. All rows
// that survive are counted; those beyond the capacity are not written, and the host sees it.
//
// Grid: one invocation per key of the shard, linear over x and y; z = query − firstQuery.
// Workgroup memory: none. Features: none. No CPU twin: the contract
// table settles what it names and compares with the oracle.

struct CollectParams {
  keys : u32,
  scoreStride : u32,
  width : u32,        // invocations of one grid line
  firstRow : u32,     // row number of the shard's first row
  capacity : u32,     // rows a query may append
  firstQuery : u32,   // query of z = 0
  unused0 : u32,
  unused1 : u32,
}

struct Selection {
  prefix : u32,
  remaining : u32,
}

struct QueryParams {
  relative : f32,
  perNorm : f32,
  absolute : f32,
  floor : f32,
  ceiling : f32,
  limit : f32,
  wanted : u32,
  eligibility : u32,
}

@group(0) @binding(0) var<uniform> params : CollectParams;
@group(0) @binding(1) var<storage, read> keys : array<u32>;                  // [queries × scoreStride]
@group(0) @binding(2) var<storage, read> terms : array<f32>;                 // [shard rows]
@group(0) @binding(3) var<storage, read> selections : array<Selection>;      // [queries]
@group(0) @binding(4) var<storage, read> queryParams : array<QueryParams>;   // [queries]
@group(0) @binding(5) var<storage, read_write> counts : array<atomic<u32>>;  // [z extent]
@group(0) @binding(6) var<storage, read_write> survivors : array<u32>;       // [z extent × capacity] row numbers

override WORKGROUP : u32 = 64u;
const METRIC_DOT : bool = METRIC == 1u;

fn value_of(key : u32) -> f32 {
  return bitcast<f32>(select(~key, key & 0x7fffffffu, (key >> 31u) == 1u));
}

@compute @workgroup_size(WORKGROUP)
fn collect(@builtin(global_invocation_id) id : vec3u) {
  let i = id.y * params.width + id.x;
  if (i >= params.keys) {
    return;
  }
  let query = params.firstQuery + id.z;
  let key = keys[query * params.scoreStride + i];
  if (key == 0xffffffffu) {
    return;
  }
  let p = queryParams[query];
  let high = value_of(key);
  var margin = p.relative * abs(high) + p.absolute;
  if (METRIC_DOT) {
    margin += p.perNorm * terms[i];
  }
  var threshold = max(value_of(selections[query].prefix), p.floor);
  let admitsAll = threshold >= p.ceiling;
  threshold = min(threshold, p.limit);
  let low = high - 2.0 * margin;
  if (low <= threshold || (admitsAll && low <= p.limit)) {
    let at = atomicAdd(&counts[id.z], 1u);
    if (at < params.capacity) {
      survivors[id.z * params.capacity + at] = params.firstRow + i;
    }
  }
}
