// Peak of the matrix units: eight independent accumulators a subgroup (two left × four right operands in registers).
// Generated header: enable directives, alias Component (f16, i8), Result (f32, i32) and Stored (what a storage
// array of Component is made of), const M, N, K (the matrix shape) and SIZE (a multiple of the subgroup size).
// Grid: any number of workgroups. Bindings: params, source (two lefts and four rights, non-zero: zeros run
// faster than data does), sink [workgroups × M × N] Result: all subgroups of a workgroup write the same values there.
// Needs chromium-experimental-subgroup-matrix. Counted: 8 × 2·M·N·K operations a subgroup and iteration.
struct Params {
  iterations: u32,
  seed: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<Stored>;
@group(0) @binding(2) var<storage, read_write> sink: array<Result>;

alias Left = subgroup_matrix_left<Component, K, M>;
alias Right = subgroup_matrix_right<Component, N, K>;
alias Sum = subgroup_matrix_result<Result, N, M>;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u) {
  let a0 = subgroupMatrixLoad<Left, row_major>(&source, 0u, K / PACKED);
  let a1 = subgroupMatrixLoad<Left, row_major>(&source, M * K / PACKED, K / PACKED);
  let b0 = subgroupMatrixLoad<Right, row_major>(&source, 2u * M * K / PACKED, N / PACKED);
  let b1 = subgroupMatrixLoad<Right, row_major>(&source, (2u * M * K + N * K) / PACKED, N / PACKED);
  let b2 = subgroupMatrixLoad<Right, row_major>(&source, (2u * M * K + 2u * N * K) / PACKED, N / PACKED);
  let b3 = subgroupMatrixLoad<Right, row_major>(&source, (2u * M * K + 3u * N * K) / PACKED, N / PACKED);
  var c0: Sum;
  var c1: Sum;
  var c2: Sum;
  var c3: Sum;
  var c4: Sum;
  var c5: Sum;
  var c6: Sum;
  var c7: Sum;
  for (var i = 0u; i < params.iterations; i++) {
    c0 = subgroupMatrixMultiplyAccumulate(a0, b0, c0);
    c1 = subgroupMatrixMultiplyAccumulate(a0, b1, c1);
    c2 = subgroupMatrixMultiplyAccumulate(a0, b2, c2);
    c3 = subgroupMatrixMultiplyAccumulate(a0, b3, c3);
    c4 = subgroupMatrixMultiplyAccumulate(a1, b0, c4);
    c5 = subgroupMatrixMultiplyAccumulate(a1, b1, c5);
    c6 = subgroupMatrixMultiplyAccumulate(a1, b2, c6);
    c7 = subgroupMatrixMultiplyAccumulate(a1, b3, c7);
  }
  // Each is stored, in turn, over the same place: a result that nobody reads would not be computed.
  let at = workgroup.x * M * N;
  subgroupMatrixStore<row_major>(&sink, at, c0, N);
  subgroupMatrixStore<row_major>(&sink, at, c1, N);
  subgroupMatrixStore<row_major>(&sink, at, c2, N);
  subgroupMatrixStore<row_major>(&sink, at, c3, N);
  subgroupMatrixStore<row_major>(&sink, at, c4, N);
  subgroupMatrixStore<row_major>(&sink, at, c5, N);
  subgroupMatrixStore<row_major>(&sink, at, c6, N);
  subgroupMatrixStore<row_major>(&sink, at, c7, N);
}
