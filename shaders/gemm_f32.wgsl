// gemm_f32: the full-precision scan for large batches: a tile of TQ queries × TR rows in workgroup
// memory, RQ × RR of it in each thread's registers, 16 elements of the vectors at a time. Emits
// what scan_f32 emits; the score matrix is never written.
//
// Euclidean and manhattan distances are summed from differences, as in scan_f32: the expansion
// ‖q‖² + ‖x‖² − 2·q·x would save an operation in two and lose common offsets to cancellation.
//
// Grid: one workgroup = TR rows looked at × TQ queries; row tiles linear over x and y, query tiles
// z. Workgroup memory: 64·(TQ + TR) + 8 bytes (12 KiB for 64 × 128). Features: none.
// CPU twin: none of its own; test/gpu/kernels.test.ts compares it with scan_f32 key by key, within
// the margin. Parts: keys, query, scan_params, full, tile, emit_full, emit_keys or emit_candidates.
// Header: TQ, TR (multiples of 32), RQ, RR (multiples of 4), THREADS = TQ / RQ × TR / RR.
// The ladder: llama.cpp's register tile, vec4 operands [Src: KERNELS a.2].

@group(0) @binding(0) var<uniform> params : ScanParams;
@group(0) @binding(1) var<storage, read> rows : array<vec4u>;              // interleaved by 32
@group(0) @binding(2) var<storage, read> facts : array<f32>;               // [rows × FACTS]
@group(0) @binding(3) var<storage, read> queries : array<vec4u>;           // [queries × chunks × QUADS]
@group(0) @binding(4) var<storage, read> queryParams : array<QueryParams>; // [queries]
@group(0) @binding(5) var<storage, read> eligible : array<u32>;            // [eligibilities × words]

const BK : u32 = 16u;                 // elements of a step
const CHUNKS : u32 = 4u / QUADS;      // chunks of a row that hold them
const TX : u32 = TR / RR;
const TY : u32 = TQ / RQ;

var<workgroup> rowTile : array<vec4f, BK * TR / 4u>;    // [element][row / 4]
var<workgroup> queryTile : array<vec4f, BK * TQ / 4u>;  // [element][query / 4]

fn load_rows(first : u32, chunk : u32, lane : u32) {
  for (var t = lane; t < TR * CHUNKS; t += THREADS) {
    let r = t % TR;
    let c = t / TR;
    let row = row_at(min(first + r, params.rows - 1u));
    var data = vec4u();
    if (chunk + c < params.chunks) {
      data = rows[((row >> 5u) * params.chunks + chunk + c) * 32u + (row & 31u)];
    }
    var scale = 1.0;
    if (DTYPE == 2u) {
      scale = facts[row * FACTS + FACTS - 1u];
    }
    for (var part = 0u; part < QUADS; part++) { // unroll
      let x = quad_of(data, part, scale);
      let k = (c * QUADS + part) * 4u;
      for (var e = 0u; e < 4u; e++) { // unroll
        rowTile[(k + e) * (TR / 4u) + r / 4u][r % 4u] = x[e];
      }
    }
  }
}

fn load_queries(firstQuery : u32, chunk : u32, lane : u32) {
  let width = params.chunks * QUADS;
  for (var t = lane; t < TQ * 4u; t += THREADS) {
    let q = t % TQ;
    let quad = t / TQ;
    let query = min(firstQuery + q, params.queries - 1u);
    var x = vec4f();
    if (chunk * QUADS + quad < width) {
      x = bitcast<vec4f>(queries[query * width + chunk * QUADS + quad]);
    }
    for (var e = 0u; e < 4u; e++) { // unroll
      queryTile[(quad * 4u + e) * (TQ / 4u) + q / 4u][q % 4u] = x[e];
    }
  }
}

@compute @workgroup_size(THREADS)
fn gemm_f32(
  @builtin(workgroup_id) group : vec3u,
  @builtin(num_workgroups) groups : vec3u,
  @builtin(local_invocation_index) lane : u32,
) {
  let tile = tile_of(group, groups);
  let first = tile.x * TR;
  if (first >= params.rows) { // uniform: of the whole workgroup
    return;
  }
  let firstQuery = params.firstQuery + tile.y * TQ;
  if (!is_tile_eligible(first, firstQuery, lane)) {
    fill_tile(first, firstQuery, lane);
    return;
  }
  let tx = lane % TX;
  let ty = lane / TX;
  var acc : array<vec4f, RQ * RR / 4u>;
  for (var chunk = 0u; chunk < params.chunks; chunk += CHUNKS) {
    load_rows(first, chunk, lane);
    load_queries(firstQuery, chunk, lane);
    workgroupBarrier();
    for (var k = 0u; k < BK; k++) {
      for (var rb = 0u; rb < RR / 4u; rb++) { // unroll
        let x = rowTile[k * (TR / 4u) + rb * TX + tx];
        for (var qb = 0u; qb < RQ / 4u; qb++) { // unroll
          let q = queryTile[k * (TQ / 4u) + qb * TY + ty];
          let at = qb * RR + rb;
          acc[at] = accumulated(acc[at], x, vec4f(q.x));
          acc[at + RR / 4u] = accumulated(acc[at + RR / 4u], x, vec4f(q.y));
          acc[at + RR / 2u] = accumulated(acc[at + RR / 2u], x, vec4f(q.z));
          acc[at + RR / 4u * 3u] = accumulated(acc[at + RR / 4u * 3u], x, vec4f(q.w));
        }
      }
    }
    workgroupBarrier();
  }

  for (var qb = 0u; qb < RQ / 4u; qb++) { // unroll
    for (var e = 0u; e < 4u; e++) { // unroll
      let query = firstQuery + (qb * TY + ty) * 4u + e;
      if (query < params.queries) {
        let p = queryParams[query];
        for (var rb = 0u; rb < RR / 4u; rb++) { // unroll
          emit_four(query, p, first + (rb * TX + tx) * 4u, acc[qb * RR + e * (RR / 4u) + rb]);
        }
      }
    }
  }
}

fn low_of(sum : f32, term : f32, p : QueryParams) -> f32 {
  let estimate = estimate_of(sum, term, p);
  return estimate - margin_of(estimate, term, p);
}
