// collect: the rows of a score buffer whose key is small enough become candidates: within the
// query's pick (to find a bound) or within its threshold (to be in the answer, perhaps).
//
// Grid: one invocation per key of the shard, linear over x and y; z = query. Workgroup memory:
// none. Features: none. No CPU twin: the contract table settles what it names.
// Parts: keys, scan_params, emit_candidates.

@group(0) @binding(0) var<uniform> params : ScanParams;
@group(0) @binding(1) var<storage, read> keys : array<u32>;                  // [queries × keyStride]

override WORKGROUP : u32 = 64u;
override USES_PICK : bool = false;

@compute @workgroup_size(WORKGROUP)
fn collect(@builtin(global_invocation_id) id : vec3u) {
  let i = id.y * params.width + id.x;
  if (i >= params.rows) {
    return;
  }
  let query = id.z;
  let key = keys[query * params.keyStride + params.keyOffset + i];
  let low = value_of(key);
  let isWanted = key != NO_KEY && (!USES_PICK || key <= states[query].pick);
  emit(query, i, row_at(i), low, isWanted); // and within the threshold: maxDistance holds for picks, too
}
