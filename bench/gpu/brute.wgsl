// The answer check's own search, sharing nothing with the engine: makes every row anew, stores it as the index does,
// and lists the rows whose estimated distance to a query is within the query's limit. The host settles those in float64.
// Grid: one workgroup of LANES a row, `columns` rows wide; four queries at once. After the generated header and row.wgsl.
// Generated header: const PRECISION (0 f32, 1 f16, 2 i8, 3 b1), CAPACITY (rows listed a query).
// Bindings: params, spectrum [DIMENSIONS] f32, queries [DIMENSIONS] vec4f (one query a component),
// limits [2] vec4f: largest estimate to list, then 1 / norm of each query; counts [4] u32; found [4 × CAPACITY] u32.
// Estimates: 1 − cosine; for b1 the hamming distance. Workgroup memory: the row and LANES × 20 bytes.
struct Params {
  first: u32,
  count: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> spectrum: array<f32>;
@group(0) @binding(2) var<storage, read> queries: array<vec4f>;
@group(0) @binding(3) var<storage, read> limits: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read_write> found: array<u32>;

var<workgroup> dots: array<vec4f, LANES>;
var<workgroup> sums: array<f32, LANES>;

// Largest |element| of the row, in every lane.
fn largest(lane: u32) -> f32 {
  var most = 0.0;
  for (var j = lane; j < DIMENSIONS; j += LANES) {
    most = max(most, abs(row[j]));
  }
  sums[lane] = most;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      sums[lane] = max(sums[lane], sums[lane + half]);
    }
    workgroupBarrier();
  }
  let all = workgroupUniformLoad(&sums[0]);
  return all;
}

fn stored(value: f32, scale: f32) -> f32 {
  if (PRECISION == 1u) {
    return unpack2x16float(pack2x16float(vec2f(value, 0.0))).x;
  }
  if (PRECISION == 2u) {
    return round(value / scale);
  }
  return value;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = workgroup.y * params.columns + workgroup.x;
  if (at >= params.count) {
    return;
  }
  make_row(params.first + at, lane);
  var scale = 1.0;
  if (PRECISION == 2u) {
    scale = max(largest(lane) / 127.0, 1e-30);
  }
  var dot = vec4f(0.0);
  var norm = 0.0;
  for (var j = lane; j < DIMENSIONS; j += LANES) {
    if (PRECISION == 3u) {
      dot += select(vec4f(0.0), vec4f(1.0), (queries[j] > vec4f(0.0)) != vec4<bool>(row[j] > 0.0));
    } else {
      let x = stored(row[j], scale);
      dot += queries[j] * x;
      norm += x * x;
    }
  }
  dots[lane] = dot;
  sums[lane] = norm;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      dots[lane] += dots[lane + half];
      sums[lane] += sums[lane + half];
    }
    workgroupBarrier();
  }
  if (lane >= 4u) {
    return;
  }
  var estimate = dots[0];
  if (PRECISION != 3u) {
    estimate = vec4f(1.0) - dots[0] * limits[1] * inverseSqrt(max(sums[0], 1e-30));
  }
  if (estimate[lane] <= limits[0][lane]) {
    let slot = atomicAdd(&counts[lane], 1u);
    if (slot < CAPACITY) {
      found[lane * CAPACITY + slot] = params.first + at;
    }
  }
}
