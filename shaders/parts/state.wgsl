// Part: what a tile notes of each query, for kernels that are alone with it (emit_candidates counts
// with the same words).

struct QueryState {
  threshold : f32,  // lower ends beyond it are out
  pick : u32,       // keys within it are to be looked at closer
  count : u32,      // candidates found, those beyond the capacity included
  refined : u32,    // candidates whose interval is known
}
