// Peak of DP4A (dot4I8Packed): sixteen independent chains a lane; each accumulator is its own next operand,
// so that one step is one instruction and none can be hoisted.
// Grid: any number of workgroups of 256. Bindings: params, sink [invocations] i32.
// Counted: 16 × 8 = 128 operations (4 products, 4 sums each) an invocation and iteration.
struct Params {
  iterations: u32,
  seed: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> sink: array<i32>;

fn step(a: vec4i, w: u32) -> vec4i {
  return vec4i(
    a.x + dot4I8Packed(u32(a.x), w),
    a.y + dot4I8Packed(u32(a.y), w),
    a.z + dot4I8Packed(u32(a.z), w),
    a.w + dot4I8Packed(u32(a.w), w),
  );
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let w = (id.x * 0x9e3779b9u) ^ params.seed;
  var a0 = vec4i(i32(id.x), 1, 2, 3);
  var a1 = a0 + 4;
  var a2 = a0 + 8;
  var a3 = a0 + 12;
  for (var i = 0u; i < params.iterations; i++) {
    a0 = step(a0, w);
    a1 = step(a1, w);
    a2 = step(a2, w);
    a3 = step(a3, w);
  }
  let s = a0 + a1 + a2 + a3;
  sink[id.x] = s.x + s.y + s.z + s.w;
}
