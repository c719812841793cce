// repack: row-major rows from the staging buffer into the scan layout, whatever they are made of.
//
//   scan[((row >> 5) * chunks + c) * 32 + (row & 31)] = staged[(row - first) * chunks + c]
//
// Rows are interleaved by 32 so that 32 consecutive lanes of a scan, one row each, read 512
// contiguous bytes. Row numbers are the shard's own. A chunk is 16 bytes: 4 f32, 8 f16, 16 i8, 128
// bits. Halves may be multiplied by 2^exponent on the way, in integers, exactly: unpack2x16float is
// free to flush subnormal halves to zero, so the copy shall have none.
//
// Grid: one invocation per (row, chunk), linear over x and y; y because a dimension holds 65,535
// workgroups only. Workgroup memory: none. Features: none. CPU twin: `interleaved` in test/gpu/twins.ts.

struct RepackParams {
  first : u32,     // first row of the piece
  count : u32,     // rows in the piece
  chunks : u32,    // chunks of a row
  width : u32,     // invocations of one grid line
  exponent : u32,  // of the factor for halves, at most 10; 0 copies
}

@group(0) @binding(0) var<uniform> params : RepackParams;
@group(0) @binding(1) var<storage, read> staged : array<vec4u>;       // [count × chunks]
@group(0) @binding(2) var<storage, read_write> scan : array<vec4u>;   // [shard rows / 32 × chunks × 32]

override WORKGROUP : u32 = 64u;

// half × 2^exponent for a result below 65,536.
fn scaled_half(half : u32) -> u32 {
  let sign = half & 0x8000u;
  let magnitude = half & 0x7fffu;
  if (magnitude >= 0x400u) {
    return sign | (magnitude + (params.exponent << 10u));
  }
  if (magnitude == 0u) {
    return half;
  }
  let lead = firstLeadingBit(magnitude);       // subnormal: magnitude × 2^-24
  let biased = i32(lead + params.exponent) - 9;
  if (biased < 1) {
    return sign | (magnitude << params.exponent);
  }
  return sign | (u32(biased) << 10u) | ((magnitude << (10u - lead)) & 0x3ffu);
}

fn scaled_pair(pair : u32) -> u32 {
  return scaled_half(pair & 0xffffu) | (scaled_half(pair >> 16u) << 16u);
}

@compute @workgroup_size(WORKGROUP)
fn repack(@builtin(global_invocation_id) id : vec3u) {
  let i = id.y * params.width + id.x;
  if (i >= params.count * params.chunks) {
    return;
  }
  let row = params.first + i / params.chunks;
  let c = i % params.chunks;
  var chunk = staged[i];
  if (params.exponent != 0u) {
    chunk = vec4u(scaled_pair(chunk.x), scaled_pair(chunk.y), scaled_pair(chunk.z), scaled_pair(chunk.w));
  }
  scan[((row >> 5u) * params.chunks + c) * 32u + (row & 31u)] = chunk;
}
