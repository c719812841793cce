// encode_i8: int8 codes and error norms of vectors b: rows as a scan copy, and queries.
//   y = P·b (or b itself)   s = max|y| / 127   ŷ = s·round(y / s)
//   E ≥ ‖y − ŷ‖   C ≥ ‖ŷ‖   R ≥ ‖b − Pᵀ·y‖   N ≈ ‖b‖²
// where b is the unit row for cosine, the row for dot, the row less the mean for euclidean. Every
// norm is measured from what is written here and raised by what float32 may have done to it: slacks
// relative to ‖b‖ that the host derives (src/core/certificate.ts). R comes from the residual itself,
// never from ‖b‖² − ‖y‖², which cancels.
//
// Grid: one workgroup per vector, linear over x and y. Workgroup memory: 11,520 bytes (8,192 of
// them for y). Features: none. CPU twin: encodeVector in src/core/certificate.ts (float64), whose
// norms must not exceed these. Parts: full (rows as f32 or f16), query.
// Header: DTYPE, METRIC, QUADS, FACTS of the source; CODE_FACTS (words of a row's facts written, 8
// for a query); IDENTITY (no projection); IS_QUERY.

struct EncodeParams {
  vectors : u32,       // vectors to encode
  first : u32,         // first of them: row of the shard, or query
  chunks : u32,        // 16-byte chunks of a source vector
  codeChunks : u32,    // 16-byte chunks of its codes
  dimensions : u32,    // elements of a source vector, a multiple of 4
  directions : u32,    // elements of y
  width : u32,         // workgroups of one grid line
  unit : f32,          // of the halves E and R: a power of two
  errorSlack : f32,    // of E, R, C and N, relative to ‖b‖ (N: to ‖b‖²)
  residualSlack : f32,
  codeSlack : f32,
  normSlack : f32,
  defect : f32,        // δ ≥ ‖P·Pᵀ − I‖
}

@group(0) @binding(0) var<uniform> params : EncodeParams;
@group(0) @binding(1) var<storage, read> source : array<vec4u>;        // rows interleaved by 32, or queries row-major
@group(0) @binding(2) var<storage, read> sourceFacts : array<f32>;     // [rows × FACTS] terms; not read for queries
@group(0) @binding(3) var<storage, read> basis : array<f32>;           // mean [dimensions] | Pᵀ [dimensions × directions]
@group(0) @binding(4) var<storage, read_write> codes : array<u32>;     // interleaved by 32, or row-major
@group(0) @binding(5) var<storage, read_write> codeFacts : array<u32>; // [vectors × CODE_FACTS]

const LANES : u32 = 64u;
const TILE : u32 = 512u;
const MOST_DIRECTIONS : u32 = 2048u;

var<workgroup> projected : array<f32, MOST_DIRECTIONS>;
var<workgroup> tile : array<f32, TILE>;
var<workgroup> partial : array<vec4f, LANES>;
var<workgroup> largest : array<f32, LANES>;

// The value of the low half of a word: what unpack2x16float gives, but never flushed to zero. The
// error of codes is measured against it.
fn exact_half(word : u32) -> f32 {
  let magnitude = word & 0x7fffu;
  let subnormal = f32(magnitude) * 0x1p-24f;
  let value = select(bitcast<f32>((magnitude << 13u) + (112u << 23u)), subnormal, magnitude < 0x400u);
  return select(value, -value, (word & 0x8000u) != 0u);
}

// Element d of vector v as it is encoded.
fn element(v : u32, d : u32) -> f32 {
  let perChunk = QUADS * 4u;
  let c = d / perChunk;
  var at = v * params.chunks + c;
  if (!IS_QUERY) {
    at = ((v >> 5u) * params.chunks + c) * 32u + (v & 31u);
  }
  var x = 0.0;
  if (DTYPE == 1u) {
    x = exact_half(source[at][d % 8u / 2u] >> (d % 2u * 16u));
  } else {
    x = bitcast<f32>(source[at][d % 4u]);
  }
  if (METRIC == 2u) {
    return x - basis[d];
  }
  if (METRIC == 0u && !IS_QUERY) {
    return x * sourceFacts[v * FACTS];
  }
  return x;
}

// Element j of y.
fn image(v : u32, j : u32) -> f32 {
  if (IDENTITY) {
    return element(v, j);
  }
  return projected[j];
}

fn project(v : u32, lane : u32) {
  for (var j = lane; j < params.directions; j += LANES) {
    projected[j] = 0.0;
  }
  for (var start = 0u; start < params.dimensions; start += TILE) {
    let count = min(TILE, params.dimensions - start);
    workgroupBarrier();
    for (var d = lane; d < count; d += LANES) {
      tile[d] = element(v, start + d);
    }
    workgroupBarrier();
    for (var j = lane; j < params.directions; j += LANES) {
      var sum = vec4f();
      let base = params.dimensions + start * params.directions + j;
      for (var d = 0u; d < count; d += 4u) {
        let at = base + d * params.directions;
        let p = vec4f(
          basis[at],
          basis[at + params.directions],
          basis[at + 2u * params.directions],
          basis[at + 3u * params.directions],
        );
        sum = fma(vec4f(tile[d], tile[d + 1u], tile[d + 2u], tile[d + 3u]), p, sum);
      }
      projected[j] += total(sum);
    }
  }
  workgroupBarrier();
}

// ‖b − Pᵀ·y‖² and ‖b‖² of the lane's elements.
fn residual(v : u32, lane : u32) -> vec2f {
  var sums = vec2f();
  for (var d = lane; d < params.dimensions; d += LANES) {
    let b = element(v, d);
    var back = 0.0;
    if (IDENTITY) {
      back = b;
    } else {
      let base = params.dimensions + d * params.directions;
      for (var j = 0u; j < params.directions; j++) {
        back = fma(basis[base + j], projected[j], back);
      }
    }
    sums += vec2f((b - back) * (b - back), b * b);
  }
  return sums;
}

// A half no smaller than the value, in 16 bits, and never a subnormal one (which may be flushed).
fn half_above(value : f32) -> u32 {
  let raised = select(max(value * 1.002, 0x1p-14f), 0.0, value == 0.0);
  return pack2x16float(vec2f(raised, 0.0)) & 0xffffu;
}

@compute @workgroup_size(LANES)
fn encode_i8(@builtin(workgroup_id) group : vec3u, @builtin(local_invocation_index) lane : u32) {
  let i = group.y * params.width + group.x;
  if (i >= params.vectors) { // uniform: of the whole workgroup
    return;
  }
  let v = params.first + i;
  if (!IDENTITY) {
    project(v, lane);
  }

  var most = 0.0;
  for (var j = lane; j < params.directions; j += LANES) {
    most = max(most, abs(image(v, j)));
  }
  largest[lane] = most;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      largest[lane] = max(largest[lane], largest[lane + half]);
    }
    workgroupBarrier();
  }
  let scale = largest[0] / 127.0;
  let inverse = select(0.0, 1.0 / scale, scale > 0x1p-60f);
  let s = select(0.0, scale, scale > 0x1p-60f);

  var sums = vec4f();
  for (var word = lane; word < params.codeChunks * 4u; word += LANES) {
    var packed = vec4i();
    for (var e = 0u; e < 4u; e++) {
      let j = word * 4u + e;
      if (j < params.directions) {
        let y = image(v, j);
        let code = clamp(round(y * inverse), -127.0, 127.0);
        packed[e] = i32(code);
        let approximate = s * code;
        sums += vec4f((y - approximate) * (y - approximate), approximate * approximate, 0.0, 0.0);
      }
    }
    var at = v * params.codeChunks * 4u + word;
    if (!IS_QUERY) {
      at = (((v >> 5u) * params.codeChunks + (word >> 2u)) * 32u + (v & 31u)) * 4u + (word & 3u);
    }
    codes[at] = pack4xI8(packed);
  }
  let rest = residual(v, lane);
  partial[lane] = sums + vec4f(0.0, 0.0, rest.x, rest.y);
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] += partial[lane + half];
    }
    workgroupBarrier();
  }
  if (lane != 0u) {
    return;
  }
  let squares = partial[0];
  let norm = max(sqrt(squares.w) * (1.0 + params.normSlack), 0x1p-40f);
  let error = sqrt(squares.x) + params.errorSlack * norm;
  let codeNorm = sqrt(squares.y) + params.codeSlack * norm;
  let remainder = select(sqrt(squares.z) + params.residualSlack * norm, 0.0, IDENTITY);
  let base = v * CODE_FACTS;
  codeFacts[base] = bitcast<u32>(s);
  if (IS_QUERY) {
    let size = codeNorm + error; // ≥ ‖P·a‖
    let defects = params.defect * (size + remainder);
    codeFacts[base + 1u] = bitcast<u32>(size + defects);
    codeFacts[base + 2u] = bitcast<u32>(error + defects);
    codeFacts[base + 3u] = bitcast<u32>(remainder + params.defect * size);
    codeFacts[base + 4u] = bitcast<u32>(squares.w);
    codeFacts[base + 5u] = bitcast<u32>(params.unit);
  } else {
    codeFacts[base + 1u] = half_above(error / params.unit) | (half_above(remainder / params.unit) << 16u);
    if (METRIC == 1u) {
      codeFacts[base + CODE_FACTS - 1u] = bitcast<u32>(codeNorm);
    }
    if (METRIC == 2u) {
      codeFacts[base + CODE_FACTS - 1u] = bitcast<u32>(squares.w);
    }
  }
}
