// Peak of fp32 arithmetic: eight independent vec4f chains of fused multiply-adds a lane, twice an iteration.
// Grid: any number of workgroups of 256. Bindings: params, sink [invocations] f32.
// Counted: 2 × 8 × 4 × 2 = 128 operations an invocation and iteration.
struct Params {
  iterations: u32,
  seed: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> sink: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let x = vec4f(f32(id.x & 1023u), f32(params.seed), 0.5, 0.25) * 0.0001;
  let m = vec4f(0.5) + x; // below 1: the chains settle and never overflow
  let b = vec4f(0.25) - x;
  var a0 = x;
  var a1 = x + 0.125;
  var a2 = x + 0.25;
  var a3 = x + 0.375;
  var a4 = x + 0.5;
  var a5 = x + 0.625;
  var a6 = x + 0.75;
  var a7 = x + 0.875;
  for (var i = 0u; i < params.iterations; i++) {
    a0 = fma(a0, m, b);
    a1 = fma(a1, m, b);
    a2 = fma(a2, m, b);
    a3 = fma(a3, m, b);
    a4 = fma(a4, m, b);
    a5 = fma(a5, m, b);
    a6 = fma(a6, m, b);
    a7 = fma(a7, m, b);
    a0 = fma(a0, b, m);
    a1 = fma(a1, b, m);
    a2 = fma(a2, b, m);
    a3 = fma(a3, b, m);
    a4 = fma(a4, b, m);
    a5 = fma(a5, b, m);
    a6 = fma(a6, b, m);
    a7 = fma(a7, b, m);
  }
  let s = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7;
  sink[id.x] = s.x + s.y + s.z + s.w;
}
