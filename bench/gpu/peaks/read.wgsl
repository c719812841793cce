// Peak of reading alone, which is what a scan does: sums a buffer, 16 bytes a step.
// Grid: any number of workgroups of 256; each lane strides over the whole buffer, neighbours adjacent.
// Bindings: params (iterations: passes over the buffer), source [length] vec4u, sink [invocations] u32.
// Counted: 16 bytes an element and pass. The sum is written so that nothing can be left out.
struct Params {
  iterations: u32,
  length: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> sink: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let step = groups.x * 256u;
  var sum = vec4u(0u);
  for (var pass_number = 0u; pass_number < params.iterations; pass_number++) {
    // Four loads in flight a lane; the tail of less than four steps is left out and not counted.
    for (var i = id.x; i + 3u * step < params.length; i += 4u * step) {
      let a = source[i];
      let b = source[i + step];
      let c = source[i + 2u * step];
      let d = source[i + 3u * step];
      sum += (a ^ b) + (c ^ d) + vec4u(pass_number);
    }
  }
  sink[id.x] = sum.x ^ sum.y ^ sum.z ^ sum.w;
}
