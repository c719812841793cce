// scan_b1: distances of packed bits, for 1 … 16 queries at a time, without barriers.
//   hamming Σ popcount(q ^ x), exact   jaccard 1 − |q ∧ x| / |q ∨ x|, from exact counts
//
// Grid: one invocation per row looked at, linear over x and y; z counts groups of QB queries.
// Workgroup memory: none. Features: none. CPU twin: distance_b1 (src/cpu/kernels-js.ts).
// Parts: keys, query, scan_params, eligible, full, emit_keys, emit_candidates or emit_histogram. Header: QB.

@group(0) @binding(0) var<uniform> params : ScanParams;
@group(0) @binding(1) var<storage, read> rows : array<vec4u>;              // interleaved by 32, 128 bits a chunk
@group(0) @binding(2) var<storage, read> facts : array<f32>;               // [rows] set bits
@group(0) @binding(3) var<storage, read> queries : array<vec4u>;           // [queries × chunks]
@group(0) @binding(4) var<storage, read> queryParams : array<QueryParams>; // [queries]
@group(0) @binding(5) var<storage, read> eligible : array<u32>;            // [eligibilities × words]

override WORKGROUP : u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn scan_b1(@builtin(global_invocation_id) id : vec3u) {
  let i = id.y * params.width + id.x;
  if (i >= params.rows) {
    return;
  }
  let row = row_at(i);
  let firstQuery = params.firstQuery + id.z * QB;
  let last = params.queries - 1u;
  let words = eligible_words(firstQuery, row);

  var sums : array<vec4u, QB>;
  if (words.any != 0u) {
    let base = (row >> 5u) * params.chunks * 32u + (row & 31u);
    for (var c = 0u; c < params.chunks; c++) {
      let x = rows[base + c * 32u];
      for (var q = 0u; q < QB; q++) { // unroll
        let bits = queries[min(firstQuery + q, last) * params.chunks + c];
        sums[q] += countOneBits(select(x ^ bits, x & bits, METRIC == 5u));
      }
    }
  }

  var term = 0.0;
  if (METRIC == 5u) {
    term = facts[row];
  }
  for (var q = 0u; q < QB; q++) { // unroll
    let query = firstQuery + q;
    if (query <= last) {
      let p = queryParams[query];
      let estimate = estimate_of(f32(sums[q].x + sums[q].y + sums[q].z + sums[q].w), term, p);
      let isEligible = is_eligible(words, q, row);
      emit(query, i, row, estimate - margin_of(estimate, term, p), isEligible);
    }
  }
}
