// Part: full-precision estimates in f32 arithmetic, in estimate scale (src/core/margin.ts):
//   cosine 1 − q·x / ‖x‖ (unit q)   dot −q·x   euclidean Σ(q − x)²   manhattan Σ|q − x|
//   hamming Σ popcount(q ^ x)   jaccard 1 − |q ∧ x| / |q ∨ x|
// from rows stored as f32, f16, i8 (code × scale) or packed bits, 16 bytes at a time.
// Generated header: DTYPE (0 f32, 1 f16, 2 i8, 3 b1), METRIC (0 cosine … 5 jaccard), QUADS (vec4f
// in a chunk: 1, 2, 4; b1: 1), FACTS (words of a row's facts).

const IS_PRODUCT : bool = METRIC <= 1u;

// Four elements of a chunk. `scale`: of an i8 row.
fn quad_of(chunk : vec4u, part : u32, scale : f32) -> vec4f {
  if (DTYPE == 1u) {
    let pair = select(chunk.xy, chunk.zw, part == 1u);
    return vec4f(unpack2x16float(pair.x), unpack2x16float(pair.y));
  }
  if (DTYPE == 2u) {
    return vec4f(unpack4xI8(chunk[part])) * scale;
  }
  return bitcast<vec4f>(chunk);
}

fn accumulated(sum : vec4f, x : vec4f, q : vec4f) -> vec4f {
  if (METRIC == 2u) {
    let d = x - q;
    return fma(d, d, sum);
  }
  if (METRIC == 3u) {
    return sum + abs(x - q);
  }
  return fma(x, q, sum);
}

fn total(sum : vec4f) -> f32 {
  return (sum.x + sum.y) + (sum.z + sum.w);
}

// The estimate from a whole sum. `term`: 1/‖x‖ for cosine, ‖x‖ otherwise, set bits for b1.
fn estimate_of(sum : f32, term : f32, p : QueryParams) -> f32 {
  if (METRIC == 0u) {
    return 1.0 - sum * term;
  }
  if (METRIC == 1u) {
    return -sum;
  }
  if (METRIC == 5u) {
    let united = p.norm + term - sum;
    return select(1.0 - sum / united, 0.0, united == 0.0);
  }
  return sum;
}

fn margin_of(estimate : f32, term : f32, p : QueryParams) -> f32 {
  return p.relative * abs(estimate) + p.perNorm * select(0.0, term, METRIC == 1u) + p.absolute;
}
