// Peak of xor + countOneBits, the inner step of a hamming scan: sixteen independent chains a lane.
// Grid: any number of workgroups of 256. Bindings: params, sink [invocations] u32.
// Counted: 16 × 32 = 512 bits compared an invocation and iteration.
struct Params {
  iterations: u32,
  seed: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> sink: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let w = vec4u(id.x * 0x9e3779b9u) ^ vec4u(params.seed, 1u, 2u, 3u);
  var a0 = vec4u(id.x, 1u, 2u, 3u);
  var a1 = a0 + 4u;
  var a2 = a0 + 8u;
  var a3 = a0 + 12u;
  for (var i = 0u; i < params.iterations; i++) {
    a0 += countOneBits(a0 ^ w);
    a1 += countOneBits(a1 ^ w);
    a2 += countOneBits(a2 ^ w);
    a3 += countOneBits(a3 ^ w);
  }
  let s = a0 + a1 + a2 + a3;
  sink[id.x] = s.x + s.y + s.z + s.w;
}
