// Part: the entry point of a kernel whose tiles are summed up by matrix units. Of the tile each
// subgroup owns TQ / DOWN queries × TR / ACROSS rows, in blocks of M_SIZE × N_SIZE; WGSL gives no
// access to a matrix's elements, so the sums go to `scores`. Twin: sum_plain.
//
// The entry point is here because the subgroup's number must come from the builtin, as a parameter
// of its own, for the compiler to see that all lanes of a subgroup address the same matrices.
// Features: chromium-experimental-subgroup-matrix, subgroups (and shader-f16 for halves), and
// subgroups of LANES lanes, no fewer and no more. No CI executes this; CI compiles it.
// Header: Component (i8, f16), M_SIZE, N_SIZE, K_SIZE (a matrix shape of the adapter's, K_SIZE whole
// chunks that divide CHUNKS), LANES, THREADS, TQ, TR. The kernel: Score, ELEMENTS (of a chunk).

alias Left = subgroup_matrix_left<Component, K_SIZE, M_SIZE>;
alias Right = subgroup_matrix_right<Component, N_SIZE, K_SIZE>;
alias Result = subgroup_matrix_result<Score, N_SIZE, M_SIZE>;

const SUBGROUPS : u32 = THREADS / LANES;
const DOWN : u32 = min(SUBGROUPS, 2u);
const ACROSS : u32 = SUBGROUPS / DOWN;
const QUERY_BLOCKS : u32 = TQ / DOWN / M_SIZE;
const ROW_BLOCKS : u32 = TR / ACROSS / N_SIZE;
const STEP : u32 = K_SIZE / ELEMENTS; // chunks of a multiplication

@compute @workgroup_size(THREADS)
fn sum_matrix(
  @builtin(workgroup_id) group : vec3u,
  @builtin(local_invocation_index) lane : u32,
  @builtin(subgroup_id) subgroup : u32,
) {
  score_tile(group, lane, subgroup);
}

fn sum_tile(first : u32, firstQuery : u32, lane : u32, subgroup : u32) {
  let query = subgroup % DOWN * (TQ / DOWN);
  let row = subgroup / DOWN * (TR / ACROSS);
  var sums : array<Result, QUERY_BLOCKS * ROW_BLOCKS>;
  for (var chunk = 0u; chunk < params.chunks; chunk += CHUNKS) {
    load_rows(first, chunk, lane);
    load_queries(firstQuery, chunk, lane);
    workgroupBarrier();
    for (var c = 0u; c < CHUNKS; c += STEP) {
      var lefts : array<Left, QUERY_BLOCKS>;
      for (var q = 0u; q < QUERY_BLOCKS; q++) {
        lefts[q] = subgroupMatrixLoad<Left, row_major>(&queryTile, (query + q * M_SIZE) * STRIDE + c, STRIDE);
      }
      for (var r = 0u; r < ROW_BLOCKS; r++) {
        let right = subgroupMatrixLoad<Right, col_major>(&rowTile, (row + r * N_SIZE) * STRIDE + c, STRIDE);
        for (var q = 0u; q < QUERY_BLOCKS; q++) {
          let at = q * ROW_BLOCKS + r;
          sums[at] = subgroupMatrixMultiplyAccumulate(lefts[q], right, sums[at]);
        }
      }
    }
    workgroupBarrier();
  }
  for (var q = 0u; q < QUERY_BLOCKS; q++) {
    for (var r = 0u; r < ROW_BLOCKS; r++) {
      let at = (query + q * M_SIZE) * TR + row + r * N_SIZE;
      subgroupMatrixStore<row_major>(&scores, at, sums[q * ROW_BLOCKS + r], TR);
    }
  }
}
