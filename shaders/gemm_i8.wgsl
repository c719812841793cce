// gemm_i8: the certified scan over int8 codes for large batches: a tile of TQ queries × TR rows in
// workgroup memory, RQ × RR of it in each thread's registers, 64 codes of the vectors at a time,
// exact integer sums of dot4I8Packed. Emits what scan_i8 emits, bit for bit.
//
// Grid: one workgroup = TR rows looked at × TQ queries; row tiles linear over x and y, query tiles
// z. Workgroup memory: 64·(TQ + TR) + 8 bytes (8 KiB for 64 × 64). Features: none; dot4I8Packed is
// native where the driver has integer dot products, else a polyfill that is slow and right.
// No CPU twin: test/gpu/codes.test.ts compares it with scan_i8 bit for bit.
// Parts: keys, query, scan_params, codes, emit_keys or emit_candidates, tile, emit_codes. Header: TQ,
// TR (multiples of 32), RQ, RR (RR a multiple of 4), THREADS.

@group(0) @binding(0) var<uniform> params : ScanParams;
@group(0) @binding(1) var<storage, read> rows : array<vec4u>;              // codes, interleaved by 32
@group(0) @binding(2) var<storage, read> facts : array<u32>;               // [rows × FACTS]
@group(0) @binding(3) var<storage, read> queries : array<vec4u>;           // [queries × chunks] codes
@group(0) @binding(4) var<storage, read> queryParams : array<QueryParams>; // [queries]
@group(0) @binding(5) var<storage, read> eligible : array<u32>;            // [eligibilities × words]
@group(0) @binding(8) var<storage, read> queryFacts : array<QueryFacts>;   // [queries]

const CHUNKS : u32 = 4u;              // chunks of a step
const TX : u32 = TR / RR;
const TY : u32 = TQ / RQ;

var<workgroup> rowTile : array<vec4u, CHUNKS * TR>;     // [chunk][row % 4][row / 4]: lanes read side by side
var<workgroup> queryTile : array<vec4u, CHUNKS * TQ>;   // [chunk][query]

@compute @workgroup_size(THREADS)
fn gemm_i8(
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
  var acc : array<vec4i, RQ * RR / 4u>;
  for (var chunk = 0u; chunk < params.chunks; chunk += CHUNKS) {
    for (var t = lane; t < TR * CHUNKS; t += THREADS) {
      let row = row_at(min(first + t % TR, params.rows - 1u));
      let c = chunk + t / TR;
      var data = vec4u();
      if (c < params.chunks) {
        data = rows[((row >> 5u) * params.chunks + c) * 32u + (row & 31u)];
      }
      let r = t % TR;
      rowTile[t / TR * TR + r % 4u * (TR / 4u) + r / 4u] = data;
    }
    for (var t = lane; t < TQ * CHUNKS; t += THREADS) {
      let query = min(firstQuery + t % TQ, params.queries - 1u);
      let c = chunk + t / TQ;
      var data = vec4u();
      if (c < params.chunks) {
        data = queries[query * params.chunks + c];
      }
      queryTile[t] = data;
    }
    workgroupBarrier();
    for (var c = 0u; c < CHUNKS; c++) {
      for (var rb = 0u; rb < RR / 4u; rb++) { // unroll
        let base = c * TR + rb * TX + tx;
        let x0 = rowTile[base];
        let x1 = rowTile[base + TR / 4u];
        let x2 = rowTile[base + TR / 2u];
        let x3 = rowTile[base + TR / 4u * 3u];
        for (var qb = 0u; qb < RQ; qb++) { // unroll
          let y = queryTile[c * TQ + qb * TY + ty];
          acc[qb * (RR / 4u) + rb] += vec4i(dot16(x0, y), dot16(x1, y), dot16(x2, y), dot16(x3, y));
        }
      }
    }
    workgroupBarrier();
  }

  for (var qb = 0u; qb < RQ; qb++) { // unroll
    let query = firstQuery + qb * TY + ty;
    if (query < params.queries) {
      let q = queryFacts[query];
      for (var rb = 0u; rb < RR / 4u; rb++) { // unroll
        emit_four(query, q, first + (rb * TX + tx) * 4u, acc[qb * (RR / 4u) + rb]);
      }
    }
  }
}

fn dot16(x : vec4u, y : vec4u) -> i32 {
  return (dot4I8Packed(x.x, y.x) + dot4I8Packed(x.y, y.y)) + (dot4I8Packed(x.z, y.z) + dot4I8Packed(x.w, y.w));
}
