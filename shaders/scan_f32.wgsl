// scan_f32: the full-precision estimate scan, for 1 … 16 queries at a time, without barriers.
//
// For each row and query an estimate of the distance, in estimate scale (src/core/margin.ts):
//   cosine 1 − q·x / ‖x‖ (unit q)   dot −q·x   euclidean Σ(q − x)²   manhattan Σ|q − x|
// and from it the upper end of the interval that holds the truth,
//   high = estimate + relative·|estimate| + perNorm·‖x‖ + absolute,
// stored as an order-preserving u32 key; 0xffffffff for rows the query may not find.
//
// Grid: one invocation per row, linear over x and y; z counts groups of QB queries.
// Workgroup memory: none. Features: none. CPU twins: src/cpu/assembly/scan_f32.ts, kernels-js.ts.
// Generated header: const QB (queries in registers), const METRIC (0 cosine, 1 dot, 2 euclidean, 3 manhattan).

struct ScanParams {
  rows : u32,          // rows of the shard
  chunks : u32,        // 16-byte chunks of a row
  firstWord : u32,     // bitmap word of the shard's first row
  words : u32,         // bitmap words of one eligibility
  queries : u32,       // queries of the tile
  width : u32,         // invocations of one grid line
  scoreStride : u32,   // keys between two queries in `keys`
  firstQuery : u32,    // query of z = 0
}

struct QueryParams {
  relative : f32,
  perNorm : f32,
  absolute : f32,
  floor : f32,         // thresholds below it are raised to it: where canonical distances clamp
  ceiling : f32,       // thresholds at or above it admit every row
  limit : f32,         // estimate of maxDistance
  wanted : u32,        // rank of the threshold, from 1
  eligibility : u32,   // index of the query's bitmap
}

@group(0) @binding(0) var<uniform> params : ScanParams;
@group(0) @binding(1) var<storage, read> rows : array<vec4f>;              // interleaved by 32
@group(0) @binding(2) var<storage, read> terms : array<f32>;               // [rows] 1/‖x‖ for cosine, else ‖x‖
@group(0) @binding(3) var<storage, read> queries : array<vec4f>;           // [queries × chunks], scaled
@group(0) @binding(4) var<storage, read> queryParams : array<QueryParams>; // [queries]
@group(0) @binding(5) var<storage, read> eligible : array<u32>;            // [eligibilities × words]
@group(0) @binding(6) var<storage, read_write> keys : array<u32>;          // [queries × scoreStride]

override WORKGROUP : u32 = 64u;

// Ascending u32 order is ascending float order.
fn key_of(value : f32) -> u32 {
  let bits = bitcast<u32>(value);
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

fn term_of(x : vec4f, q : vec4f) -> f32 {
  if (METRIC == 2u) {
    let d = x - q;
    return dot(d, d);
  }
  if (METRIC == 3u) {
    let d = abs(x - q);
    return (d.x + d.y) + (d.z + d.w);
  }
  return dot(x, q);
}

@compute @workgroup_size(WORKGROUP)
fn scan_f32(@builtin(global_invocation_id) id : vec3u) {
  let row = id.y * params.width + id.x;
  if (row >= params.rows) {
    return;
  }
  let firstQuery = params.firstQuery + id.z * QB;
  let word = params.firstWord + (row >> 5u);
  var wordOf : array<u32, QB>;
  var any = 0u;
  for (var q = 0u; q < QB; q++) {
    let query = firstQuery + q;
    wordOf[q] = 0u;
    if (query < params.queries) {
      wordOf[q] = eligible[queryParams[query].eligibility * params.words + word];
    }
    any |= wordOf[q];
  }

  var sums : array<f32, QB>;
  if (any != 0u) { // the whole block of 32 rows is skipped together
    let base = (row >> 5u) * params.chunks * 32u + (row & 31u);
    for (var c = 0u; c < params.chunks; c++) {
      let x = rows[base + c * 32u];
      for (var q = 0u; q < QB; q++) {
        sums[q] += term_of(x, queries[min(firstQuery + q, params.queries - 1u) * params.chunks + c]);
      }
    }
  }

  let term = terms[row];
  for (var q = 0u; q < QB; q++) {
    let query = firstQuery + q;
    if (query >= params.queries) {
      return;
    }
    var key = 0xffffffffu;
    if (((wordOf[q] >> (row & 31u)) & 1u) == 1u) {
      var estimate = sums[q];
      if (METRIC == 0u) {
        estimate = 1.0 - sums[q] * term;
      }
      if (METRIC == 1u) {
        estimate = -sums[q];
      }
      let p = queryParams[query];
      key = key_of(estimate + (p.relative * abs(estimate) + p.perNorm * term + p.absolute));
    }
    keys[query * params.scoreStride + row] = key;
  }
}
