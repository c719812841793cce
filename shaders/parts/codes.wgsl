// Part: the certificate of an int8 scan (src/core/certificate.ts has the derivation). For an inner
// product a·b of which the codes give ip = s_a·s_b·Σ codes:
//   |a·b − ip| ≤ perError·E + perCode·‖ŷ‖ + perResidual·R + (rounding)
// and with it the lower end of the distance, in estimate scale:
//   cosine 1 − ip − ε   dot −ip − ε   euclidean ‖a‖² + ‖b‖² − 2·ip − 2·ε
// Facts of a row: word 0 its scale s_b (f32 bits), word 1 E and R as halves rounded up, in units of
// a power of two that suits the index, and for dot word 2 ‖ŷ‖, for euclidean ‖b‖². ‖ŷ‖ is otherwise
// bounded: by 1 + E for unit rows, by ‖b‖ + E.
// Header: METRIC (0 cosine, 1 dot, 2 euclidean), FACTS (2 or 3), ROUNDING (what float32 does to the
// few operations here and to the sums of squares behind ‖a‖² and ‖b‖², several times over).

struct QueryFacts {
  scale : f32,         // s_a
  perError : f32,      // ‖P·a‖ and more: what each term adds for rounding and for P's defect is included
  perCode : f32,       // ‖P·a − â‖
  perResidual : f32,   // ‖a − Pᵀ·P·a‖
  norm2 : f32,         // ‖a‖²
  unit : f32,          // of the halves E and R of rows
  unused1 : f32,
  unused2 : f32,
}

// Keeps sums of flushed subnormals honest: a product of scales below 2^-126 loses 127²·d times that.
const UNDERFLOW : f32 = 0x1p-90f;

fn lower_end(sum : i32, row : u32, q : QueryFacts) -> f32 {
  let at = row * FACTS;
  let ip = q.scale * bitcast<f32>(facts[at]) * f32(sum);
  let norms = unpack2x16float(facts[at + 1u]) * q.unit;
  var codeNorm = 1.0 + ROUNDING + norms.x;
  var norm2 = 0.0;
  if (METRIC == 1u) {
    codeNorm = bitcast<f32>(facts[at + FACTS - 1u]);
  }
  if (METRIC == 2u) {
    norm2 = bitcast<f32>(facts[at + FACTS - 1u]);
    codeNorm = sqrt(norm2) * (1.0 + ROUNDING) + norms.x;
  }
  let epsilon = (q.perError * norms.x + q.perCode * codeNorm + q.perResidual * norms.y) * (1.0 + ROUNDING)
    + abs(ip) * ROUNDING + UNDERFLOW;
  if (METRIC == 0u) {
    return (1.0 - ip) - (epsilon + ROUNDING);
  }
  if (METRIC == 1u) {
    return -ip - epsilon;
  }
  let sumOfNorms = q.norm2 + norm2;
  return (sumOfNorms - 2.0 * ip) - (2.0 * epsilon + ROUNDING * sumOfNorms);
}
