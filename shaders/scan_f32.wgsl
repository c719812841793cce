// scan_f32: the full-precision estimate scan in f32 arithmetic, for 1 … 16 queries at a time,
// without barriers: one lane, one row. Emits low = estimate − margin (parts/full.wgsl).
//
// Grid: one invocation per row looked at, linear over x and y; z counts groups of QB queries.
// Workgroup memory: none. Features: none. CPU twins: src/cpu/assembly/scan_f32.ts, kernels-js.ts.
// Parts: keys, query, scan_params, eligible, full, emit_keys or emit_candidates. Header: QB (queries in registers).

@group(0) @binding(0) var<uniform> params : ScanParams;
@group(0) @binding(1) var<storage, read> rows : array<vec4u>;              // interleaved by 32
@group(0) @binding(2) var<storage, read> facts : array<f32>;               // [rows × FACTS] term (, scale)
@group(0) @binding(3) var<storage, read> queries : array<vec4u>;           // [queries × chunks × QUADS] f32 bits, scaled
@group(0) @binding(4) var<storage, read> queryParams : array<QueryParams>; // [queries]
@group(0) @binding(5) var<storage, read> eligible : array<u32>;            // [eligibilities × words]

override WORKGROUP : u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn scan_f32(@builtin(global_invocation_id) id : vec3u) {
  let i = id.y * params.width + id.x;
  if (i >= params.rows) {
    return;
  }
  let row = row_at(i);
  let firstQuery = params.firstQuery + id.z * QB;
  let last = params.queries - 1u;
  let words = eligible_words(firstQuery, row);

  var sums : array<vec4f, QB>;
  var scale = 1.0;
  if (DTYPE == 2u) {
    scale = facts[row * FACTS + FACTS - 1u];
  }
  if (words.any != 0u) { // a block of 32 rows that nobody may find is skipped together
    let base = (row >> 5u) * params.chunks * 32u + (row & 31u);
    let width = params.chunks * QUADS;
    for (var c = 0u; c < params.chunks; c++) {
      let chunk = rows[base + c * 32u];
      for (var part = 0u; part < QUADS; part++) {
        let x = quad_of(chunk, part, scale);
        for (var q = 0u; q < QB; q++) { // unroll
          let at = min(firstQuery + q, last) * width + c * QUADS + part;
          sums[q] = accumulated(sums[q], x, bitcast<vec4f>(queries[at]));
        }
      }
    }
  }

  var term = 0.0;
  if (IS_PRODUCT) {
    term = facts[row * FACTS];
  }
  for (var q = 0u; q < QB; q++) { // unroll
    let query = firstQuery + q;
    if (query <= last) {
      let p = queryParams[query];
      let estimate = estimate_of(total(sums[q]), term, p);
      let isEligible = is_eligible(words, q, row);
      emit(query, i, row, estimate - margin_of(estimate, term, p), isEligible);
    }
  }
}
