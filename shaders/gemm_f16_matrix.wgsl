// gemm_f16_matrix: the full-precision scan of halves under cosine and dot for large batches, its
// sums made by matrix units (f16 × f16 → f32), or, in the variant that CI runs, by their twin in
// plain WGSL. The rows are what is stored; the queries are rounded to halves q̃, and the lower end
// allows for it (src/gpu/query.ts has the derivation):
//
//   low = estimate(q̃·x) − margin − coarse·‖x‖ (dot; for cosine ‖x‖ is divided out again)
//
// Assumed of the units: products of halves are exact in f32; each multiplication adds its products
// and the accumulator with 24 bits, in any order, rounded or cut off below the largest of them.
// Matrices of results are f32 only: halves would lose three digits at d = 768.
//
// Grid: one workgroup = TR rows looked at × TQ queries; row tiles linear over x and y, query tiles
// z. Workgroup memory: 80·(TQ + TR) + 4·TQ·TR + 8 bytes (15.5 KiB for 32 × 64, 47 KiB for 64 × 128).
// Features: those of sum_matrix, none with sum_plain. CPU twin: none of its own;
// test/gpu/codes.test.ts holds its lower ends against float64. Parts: keys, query, scan_params,
// full, tile, emit_full, staged, emit_keys or emit_candidates, sum_matrix or sum_plain (the entry
// points). Header: TQ, TR (multiples of 32), RQ, RR (a multiple of 4), THREADS, and what the sum needs.

@group(0) @binding(0) var<uniform> params : ScanParams;
@group(0) @binding(1) var<storage, read> rows : array<vec4u>;              // halves, interleaved by 32
@group(0) @binding(2) var<storage, read> facts : array<f32>;               // [rows × FACTS] term
@group(0) @binding(3) var<storage, read> queries : array<vec4u>;           // [queries × chunks] halves, scaled
@group(0) @binding(4) var<storage, read> queryParams : array<QueryParams>; // [queries]
@group(0) @binding(5) var<storage, read> eligible : array<u32>;            // [eligibilities × words]

alias Score = f32;
const ELEMENTS : u32 = 8u;            // halves of a chunk

alias PerQuery = QueryParams;

fn per_query(query : u32) -> PerQuery {
  return queryParams[query];
}

fn low_of(sum : f32, term : f32, p : QueryParams) -> f32 {
  let estimate = estimate_of(sum, term, p);
  return estimate - (margin_of(estimate, term, p) + p.coarse * select(1.0, term, METRIC == 1u));
}

fn dot_chunk(x : vec4u, y : vec4u) -> f32 {
  return (dot(halves(x.xy), halves(y.xy)) + dot(halves(x.zw), halves(y.zw)));
}

fn halves(pairs : vec2u) -> vec4f {
  return vec4f(unpack2x16float(pairs.x), unpack2x16float(pairs.y));
}
