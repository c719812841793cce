// Part: the parameters of one scan dispatch, the same for every scan and GEMM kernel.

struct ScanParams {
  rows : u32,          // rows to look at
  chunks : u32,        // 16-byte chunks of a row
  queries : u32,       // queries of the tile
  width : u32,         // invocations (scan) or workgroups (gemm) of one grid line
  firstRow : u32,      // first row, counted within the shard; a multiple of 32
  step : u32,          // blocks of 32 rows between two that are looked at: 1 all, more a sample
  shardRow : u32,      // row number of the shard's row 0; a multiple of 32
  words : u32,         // bitmap words of one eligibility
  firstQuery : u32,    // query of z = 0
  keyStride : u32,     // keys: entries between two queries
  keyOffset : u32,     // keys: entry of the first row looked at
  delegateStride : u32,// delegates: entries between two queries; 0: none are kept
  delegateShift : u32, // delegates: one for each 2^delegateShift keys
  capacity : u32,      // candidates: entries between two queries
  unused0 : u32,
  unused1 : u32,
}

// The row, counted within the shard, that is the i-th to be looked at.
fn row_at(i : u32) -> u32 {
  return params.firstRow + (((i >> 5u) * params.step) << 5u) + (i & 31u);
}
