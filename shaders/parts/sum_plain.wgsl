// Part: the entry point of a kernel whose tiles are summed up in plain WGSL: the twin of sum_matrix
// that runs anywhere, CI included. The same steps over the same tiles, RQ × RR sums a thread.
// Header: TQ, TR, RQ, RR (a multiple of 4), THREADS. The kernel: Score, dot_chunk.

@compute @workgroup_size(THREADS)
fn sum_plain(@builtin(workgroup_id) group : vec3u, @builtin(local_invocation_index) lane : u32) {
  score_tile(group, lane, 0u);
}

fn sum_tile(first : u32, firstQuery : u32, lane : u32, subgroup : u32) {
  const TX = TR / RR;
  const TY = TQ / RQ;
  let tx = lane % TX;
  let ty = lane / TX;
  var sums : array<Score, RQ * RR>;
  for (var chunk = 0u; chunk < params.chunks; chunk += CHUNKS) {
    load_rows(first, chunk, lane);
    load_queries(firstQuery, chunk, lane);
    workgroupBarrier();
    for (var c = 0u; c < CHUNKS; c++) {
      for (var r = 0u; r < RR; r++) {
        let x = rowTile[(r * TX + tx) * STRIDE + c];
        for (var q = 0u; q < RQ; q++) {
          sums[q * RR + r] += dot_chunk(queryTile[(q * TY + ty) * STRIDE + c], x);
        }
      }
    }
    workgroupBarrier();
  }
  for (var q = 0u; q < RQ; q++) {
    for (var r = 0u; r < RR; r++) {
      scores[(q * TY + ty) * TR + r * TX + tx] = sums[q * RR + r];
    }
  }
}
