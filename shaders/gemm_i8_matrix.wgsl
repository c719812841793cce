// gemm_i8_matrix: the certified scan over int8 codes for large batches, its sums made by matrix
// units (i8 × i8 → i32, exact), or, in the variant that CI runs, by their twin in plain WGSL. Emits
// what scan_i8 emits, bit for bit.
//
// Grid: one workgroup = TR rows looked at × TQ queries; row tiles linear over x and y, query tiles
// z. Workgroup memory: 80·(TQ + TR) + 4·TQ·TR + 8 bytes (15.5 KiB for 32 × 64, 47 KiB for 64 × 128).
// Features: those of sum_matrix, none with sum_plain. CPU twin: none of its own;
// test/gpu/codes.test.ts compares it with scan_i8. Parts: keys, query, scan_params, codes, tile,
// emit_codes, staged, emit_keys or emit_candidates, sum_matrix or sum_plain (the entry points).
// Header: TQ, TR (multiples of 32), RQ, RR (a multiple of 4), THREADS, and what the sum needs.

@group(0) @binding(0) var<uniform> params : ScanParams;
@group(0) @binding(1) var<storage, read> rows : array<vec4u>;              // codes, interleaved by 32
@group(0) @binding(2) var<storage, read> facts : array<u32>;               // [rows × FACTS]
@group(0) @binding(3) var<storage, read> queries : array<vec4u>;           // [queries × chunks] codes
@group(0) @binding(4) var<storage, read> queryParams : array<QueryParams>; // [queries]
@group(0) @binding(5) var<storage, read> eligible : array<u32>;            // [eligibilities × words]
@group(0) @binding(8) var<storage, read> queryFacts : array<QueryFacts>;   // [queries]

alias Score = i32;
const ELEMENTS : u32 = 16u;           // codes of a chunk

alias PerQuery = QueryFacts;

fn per_query(query : u32) -> PerQuery {
  return queryFacts[query];
}

fn dot_chunk(x : vec4u, y : vec4u) -> i32 {
  return (dot4I8Packed(x.x, y.x) + dot4I8Packed(x.y, y.y)) + (dot4I8Packed(x.z, y.z) + dot4I8Packed(x.w, y.w));
}
