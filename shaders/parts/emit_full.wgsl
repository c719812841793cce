// Part: how a GEMM over the rows themselves hands on four sums. The kernel: low_of.

// The lower ends of four rows that lie side by side in one block, and what becomes of them.
fn emit_four(query : u32, p : QueryParams, i : u32, sums : vec4f) {
  if (i >= params.rows) {
    return;
  }
  let row = row_at(i);
  var lows : vec4f;
  for (var e = 0u; e < 4u; e++) { // unroll
    var term = 0.0;
    if (IS_PRODUCT) {
      term = facts[min(row + e, row_at(params.rows - 1u)) * FACTS];
    }
    lows[e] = low_of(sums[e], term, p);
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
