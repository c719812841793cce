/** "a is to b as c is to ?" as a vector. Pure. */

/** Of unit length; a zero vector stays zero. */
function unit(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return length === 0 ? vector : vector.map((x) => x / length);
}

/** Where the answer should lie: from c as far and in the direction that b lies from a. Lengths of the vectors do not matter. */
export function analogyVector(a: Float32Array, b: Float32Array, c: Float32Array): Float32Array {
  const [from, to] = [unit(a), unit(b)];
  return unit(c).map((x, i) => x + (to[i] ?? 0) - (from[i] ?? 0));
}
