// Peak of memory: destination = source, 16 bytes a step.
// Grid: any number of workgroups of 256; each lane strides over the whole buffer, neighbours adjacent.
// Bindings: params (iterations: passes over the buffer), source and destination [length] vec4u.
// Counted: 32 bytes an element (16 read, 16 written) and pass.
struct Params {
  iterations: u32,
  length: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> destination: array<vec4u>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let step = groups.x * 256u;
  for (var pass_number = 0u; pass_number < params.iterations; pass_number++) {
    for (var i = id.x; i < params.length; i += step) {
      destination[i] = source[i] + vec4u(pass_number);
    }
  }
}
