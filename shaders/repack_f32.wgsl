// repack_f32: row-major rows from the staging buffer into the scan layout.
//
//   scan[((row >> 5) * chunks + c) * 32 + (row & 31)] = staged[(row - first) * chunks + c]
//
// Rows are interleaved by 32 so that 32 consecutive lanes of a scan, one row each, read 512
// contiguous bytes. Row numbers are the shard's own. A chunk is 16 bytes: 4 elements.
//
// Grid: one invocation per (row, chunk), linear over x and y; y because a dimension holds 65,535
// workgroups only. Workgroup memory: none. Features: none. CPU twin: `interleaved` in test/gpu/twins.ts.

struct RepackParams {
  first : u32,   // first row of the piece
  count : u32,   // rows in the piece
  chunks : u32,  // chunks of a row
  width : u32,   // invocations of one grid line
}

@group(0) @binding(0) var<uniform> params : RepackParams;
@group(0) @binding(1) var<storage, read> staged : array<vec4f>;       // [count × chunks]
@group(0) @binding(2) var<storage, read_write> scan : array<vec4f>;   // [shard rows / 32 × chunks × 32]

override WORKGROUP : u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn repack_f32(@builtin(global_invocation_id) id : vec3u) {
  let i = id.y * params.width + id.x;
  if (i >= params.count * params.chunks) {
    return;
  }
  let row = params.first + i / params.chunks;
  let c = i % params.chunks;
  scan[((row >> 5u) * params.chunks + c) * 32u + (row & 31u)] = staged[i];
}
