// blank: says of a stretch of each query's keys that it belongs to no row.
//
// Grid: one workgroup per query, in y. Workgroup memory: none. Features: none. Parts: keys.

struct BlankParams {
  first : u32,       // first key of the stretch
  count : u32,
  keyStride : u32,   // keys between two queries
}

@group(0) @binding(0) var<uniform> params : BlankParams;
@group(0) @binding(1) var<storage, read_write> keys : array<u32>;   // [queries × keyStride]

override WORKGROUP : u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn blank(@builtin(workgroup_id) group : vec3u, @builtin(local_invocation_index) lane : u32) {
  for (var i = lane; i < params.count; i += WORKGROUP) {
    keys[group.y * params.keyStride + params.first + i] = NO_KEY;
  }
}
