/**
 * The canonical distance (DESIGN rule 2), on the values given (float32) and stored (float32, or
 * float64 where f16 and i8 rows were decoded, which is exact): terms and sums in float64, no FMA,
 * element i into accumulator i mod 4, sum (s0+s1)+(s2+s3), then rounded to float32 with overflow
 * clamped and −0 made +0. Distances of packed bits are in core/bits.ts.
 *
 * The order of additions is part of the contract: it is what makes the plain-JS kernel, the WASM
 * kernels (`assembly/distance_*.ts`, f64x2 lanes) and therefore every backend agree bit for bit.
 * Vectors are padded with zeros to a multiple of 4 elements; a padding term adds +0 to an
 * accumulator that is never −0, which changes nothing.
 */
import { F32_MAX, type FloatMetric } from "./metric.ts";

/** Elements of a vector, exact in float64. */
type Elements = Float32Array | Float64Array;

/** Rounds a float64 distance to its canonical float32. */
function roundDistance(distance: number): number {
  const rounded = Math.fround(distance);
  if (rounded > F32_MAX) return F32_MAX;
  if (rounded < -F32_MAX) return -F32_MAX;
  return rounded + 0; // −0 + 0 = +0
}

/**
 * Distance of the vectors at `a[aAt …]` and `b[bAt …]`, both `length` elements long, where
 * `length` is a multiple of 4 (zero padded).
 */
export function canonicalDistance(
  metric: FloatMetric,
  a: Elements,
  aAt: number,
  b: Elements,
  bAt: number,
  length: number,
): number {
  switch (metric) {
    case "dot":
      return roundDistance(0 - dot(a, aAt, b, bAt, length));
    case "cosine": {
      const ab = dot(a, aAt, b, bAt, length);
      const aa = dot(a, aAt, a, aAt, length);
      const bb = dot(b, bAt, b, bAt, length);
      return roundDistance(Math.max(0, 1 - ab / Math.sqrt(aa * bb)));
    }
    case "euclidean":
      return roundDistance(Math.sqrt(squaredDifference(a, aAt, b, bAt, length)));
    case "manhattan":
      return roundDistance(absoluteDifference(a, aAt, b, bAt, length));
    default:
      return metric satisfies never;
  }
}

// The three loops below index typed arrays inside their bounds: `?? 0` would cost a branch in the
// hottest code of the plain-JS kernel, hence the assertions.
function dot(a: Elements, aAt: number, b: Elements, bAt: number, length: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  for (let i = 0; i < length; i += 4) {
    s0 += a[aAt + i]! * b[bAt + i]!;
    s1 += a[aAt + i + 1]! * b[bAt + i + 1]!;
    s2 += a[aAt + i + 2]! * b[bAt + i + 2]!;
    s3 += a[aAt + i + 3]! * b[bAt + i + 3]!;
  }
  return s0 + s1 + (s2 + s3);
}

function squaredDifference(a: Elements, aAt: number, b: Elements, bAt: number, length: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  for (let i = 0; i < length; i += 4) {
    const d0 = a[aAt + i]! - b[bAt + i]!;
    const d1 = a[aAt + i + 1]! - b[bAt + i + 1]!;
    const d2 = a[aAt + i + 2]! - b[bAt + i + 2]!;
    const d3 = a[aAt + i + 3]! - b[bAt + i + 3]!;
    s0 += d0 * d0;
    s1 += d1 * d1;
    s2 += d2 * d2;
    s3 += d3 * d3;
  }
  return s0 + s1 + (s2 + s3);
}

function absoluteDifference(a: Elements, aAt: number, b: Elements, bAt: number, length: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  for (let i = 0; i < length; i += 4) {
    s0 += Math.abs(a[aAt + i]! - b[bAt + i]!);
    s1 += Math.abs(a[aAt + i + 1]! - b[bAt + i + 1]!);
    s2 += Math.abs(a[aAt + i + 2]! - b[bAt + i + 2]!);
    s3 += Math.abs(a[aAt + i + 3]! - b[bAt + i + 3]!);
  }
  return s0 + s1 + (s2 + s3);
}
