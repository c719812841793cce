// Part: how a GEMM over codes hands on four sums, and a tile without an eligible pair.

// The lower ends of four rows that lie side by side in one block, and what becomes of them.
fn emit_four(query : u32, q : QueryFacts, i : u32, sums : vec4i) {
  if (i >= params.rows) {
    return;
  }
  let row = row_at(i);
  var lows : vec4f;
  for (var e = 0u; e < 4u; e++) { // unroll
    lows[e] = lower_end(sums[e], min(row + e, row_at(params.rows - 1u)), q);
  }
  if (is_any_wanted(query, lows)) {
    let isEligible = eligible_of(query, row);
    for (var e = 0u; e < 4u; e++) {
      if (i + e < params.rows) {
        emit(query, i + e, row + e, lows[e], isEligible[e]);
      }
    }
  }
}
