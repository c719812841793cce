// Part: what the host tells a kernel of each query, and what the kernels note of it.

struct QueryParams {
  relative : f32,      // margin of a full-precision estimate e: relative·|e| + perNorm·‖x‖ + absolute
  perNorm : f32,
  absolute : f32,
  floor : f32,         // thresholds below it are raised to it: where canonical distances clamp
  ceiling : f32,       // thresholds at or above it admit every row
  limit : f32,         // maxDistance in estimate scale
  wanted : u32,        // rows wanted, at least 1
  eligibility : u32,   // index of the query's bitmap
  norm : f32,          // ‖q‖ as scanned; of packed bits how many are set
  coarse : f32,        // what a scan of the query rounded to halves loses, per unit of ‖x‖; 0 where none is
  unused0 : f32,
  unused1 : f32,
}
