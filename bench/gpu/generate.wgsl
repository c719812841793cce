// Writes generated rows: numbers first … first + count − 1, or those that `numbers` lists.
// Grid: one workgroup of LANES a row, `columns` rows wide. After the generated header and row.wgsl.
// Bindings: params, spectrum [DIMENSIONS] f32, numbers [count] u32, rows [count × DIMENSIONS] f32.
struct Params {
  first: u32,
  count: u32,
  columns: u32,
  is_listed: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> spectrum: array<f32>;
@group(0) @binding(2) var<storage, read> numbers: array<u32>;
@group(0) @binding(3) var<storage, read_write> rows: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = workgroup.y * params.columns + workgroup.x;
  if (at >= params.count) {
    return;
  }
  var number = params.first + at;
  if (params.is_listed != 0u) {
    number = numbers[at];
  }
  make_row(number, lane);
  for (var j = lane; j < DIMENSIONS; j += LANES) {
    rows[at * DIMENSIONS + j] = row[j];
  }
}
