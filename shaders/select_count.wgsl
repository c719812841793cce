// select_count: one digit's histogram of a radix select over the keys of each query.
//
// The k-th smallest key is found digit by digit, 8 bits at a time from the top: count the digits
// of the keys that share the prefix found so far (this kernel), then choose the digit that holds
// rank k (select_digit). Four rounds give all 32 bits. Exact for every k up to the number of rows,
// whatever the ties. (AIR Top-K's idea without its fused filtering: that is for the next step.)
//
// Grid: x strides over the keys of the shard; y = query. Workgroup memory: 1,024 bytes.
// Features: none. CPU twin: `selectKth` in test/gpu/twins.ts.

struct CountParams {
  keys : u32,         // keys of a query in this shard
  scoreStride : u32,  // keys between two queries
  shift : u32,        // of the digit: 24, 16, 8, 0
  unused : u32,
}

struct Selection {
  prefix : u32,        // digits found so far, from the top
  remaining : u32,     // rank among the keys that share the prefix, from 1
}

@group(0) @binding(0) var<uniform> params : CountParams;
@group(0) @binding(1) var<storage, read> keys : array<u32>;                      // [queries × scoreStride]
@group(0) @binding(2) var<storage, read> selections : array<Selection>;          // [queries]
@group(0) @binding(3) var<storage, read_write> histograms : array<atomic<u32>>;  // [queries × 256], zero before the first shard

override WORKGROUP : u32 = 64u;

var<workgroup> local : array<atomic<u32>, 256>;

@compute @workgroup_size(WORKGROUP)
fn select_count(
  @builtin(workgroup_id) group : vec3u,
  @builtin(num_workgroups) groups : vec3u,
  @builtin(local_invocation_index) lane : u32,
) {
  for (var i = lane; i < 256u; i += WORKGROUP) {
    atomicStore(&local[i], 0u);
  }
  workgroupBarrier();
  let query = group.y;
  let prefix = selections[query].prefix;
  for (var i = group.x * WORKGROUP + lane; i < params.keys; i += groups.x * WORKGROUP) {
    let key = keys[query * params.scoreStride + i];
    // A shift by 32 is undefined: the first digit has no prefix to match.
    if (params.shift == 24u || (key >> (params.shift + 8u)) == prefix) {
      atomicAdd(&local[(key >> params.shift) & 255u], 1u);
    }
  }
  workgroupBarrier();
  for (var i = lane; i < 256u; i += WORKGROUP) {
    let count = atomicLoad(&local[i]);
    if (count != 0u) {
      atomicAdd(&histograms[query * 256u + i], count);
    }
  }
}
