// scan_i8: the certified scan over int8 codes, for 1 … 16 queries at a time, without barriers.
// Integer sums of dot4I8Packed (exact while 127² × codes < 2^31), then the lower end of the
// interval that is proven to hold the distance (parts/codes.wgsl).
//
// Grid: one invocation per row looked at, linear over x and y; z counts groups of QB queries.
// Workgroup memory: none. Features: none.
// No CPU twin: test/gpu/codes.test.ts holds the lower ends against float64.
// Parts: keys, query, scan_params, eligible, codes, emit_keys or emit_candidates. Header: QB.

@group(0) @binding(0) var<uniform> params : ScanParams;
@group(0) @binding(1) var<storage, read> rows : array<vec4u>;              // codes, interleaved by 32, 16 a chunk
@group(0) @binding(2) var<storage, read> facts : array<u32>;               // [rows × FACTS]
@group(0) @binding(3) var<storage, read> queries : array<vec4u>;           // [queries × chunks] codes
@group(0) @binding(4) var<storage, read> queryParams : array<QueryParams>; // [queries]
@group(0) @binding(5) var<storage, read> eligible : array<u32>;            // [eligibilities × words]
@group(0) @binding(8) var<storage, read> queryFacts : array<QueryFacts>;   // [queries]

override WORKGROUP : u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn scan_i8(@builtin(global_invocation_id) id : vec3u) {
  let i = id.y * params.width + id.x;
  if (i >= params.rows) {
    return;
  }
  let row = row_at(i);
  let firstQuery = params.firstQuery + id.z * QB;
  let last = params.queries - 1u;
  let words = eligible_words(firstQuery, row);

  var sums : array<i32, QB>;
  if (words.any != 0u) {
    let base = (row >> 5u) * params.chunks * 32u + (row & 31u);
    for (var c = 0u; c < params.chunks; c++) {
      let x = rows[base + c * 32u];
      for (var q = 0u; q < QB; q++) { // unroll
        let y = queries[min(firstQuery + q, last) * params.chunks + c];
        sums[q] += dot4I8Packed(x.x, y.x) + dot4I8Packed(x.y, y.y) + dot4I8Packed(x.z, y.z) + dot4I8Packed(x.w, y.w);
      }
    }
  }

  for (var q = 0u; q < QB; q++) { // unroll
    let query = firstQuery + q;
    if (query <= last) {
      let isEligible = is_eligible(words, q, row);
      emit(query, i, row, lower_end(sums[q], row, queryFacts[query]), isEligible);
    }
  }
}
