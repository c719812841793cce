// Part: a scan's output as a histogram of whole-number distances for each query (hamming: there are
// only dimensions + 1 of them, so counting beats sampling, which ties would flood).

@group(0) @binding(6) var<storage, read_write> histograms : array<atomic<u32>>;  // [queries × keyStride] rows at each distance

fn emit(query : u32, i : u32, row : u32, low : f32, isEligible : bool) {
  if (isEligible) {
    atomicAdd(&histograms[query * params.keyStride + u32(low)], 1u);
  }
}
