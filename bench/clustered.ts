/**
 * The benchmarks' made-up rows: clustered, with a decaying spectrum, rotated so that no element
 * stands out; like real embeddings, and the same on every machine. A row follows from its number
 * alone. The twin of gpu/row.wgsl, bit for bit.
 *
 * An element is an integer (mean + 3 · its cluster's centre + 4 · its own noise, each a sum of four
 * hashed bytes, so nearly normal) times a σ that falls with its rank; a Walsh–Hadamard transform of
 * each block then spreads every principal direction over the block's elements.
 */

export const CLUSTERS = 4096;
/** Number of the first query: queries are further rows of the same clusters. */
export const QUERY_BASE = 0x8000_0000;

/** The largest power of two that divides `dimensions`: the block of the rotation. */
export function blockOf(dimensions: number): number {
  return dimensions & -dimensions;
}

/**
 * σ by element before the rotation: variance ∝ 1 / (1 + rank), ranks dealt to the blocks in turn so
 * that all have the same energy, and scaled so that vectors have a norm of about 1.
 */
export function spectrumOf(dimensions: number): Float32Array<ArrayBuffer> {
  const block = blockOf(dimensions);
  const blocks = dimensions / block;
  let energy = 0;
  for (let rank = 0; rank < dimensions; rank++) energy += 1 / (1 + rank);
  // An element's integer has the variance (1 + 9 + 16) · 4 · (256² − 1) / 12; the rotation multiplies energy by `block`.
  const scale = 1 / Math.sqrt(26 * 4 * (65_535 / 12) * energy * block);
  return Float32Array.from({ length: dimensions }, (_, j) => {
    const rank = (j % block) * blocks + Math.floor(j / block);
    return scale / Math.sqrt(1 + rank);
  });
}

/** Rows first … first + count − 1, [count × dimensions], into `out` or a new array. */
export function clusteredRows(
  dimensions: number,
  first: number,
  count: number,
  out: Float32Array<ArrayBuffer> = new Float32Array(count * dimensions),
): Float32Array<ArrayBuffer> {
  const spectrum = spectrumOf(dimensions);
  const means = Int32Array.from({ length: dimensions }, (_, j) => bell(mix(j ^ 0x68bc21eb)));
  const widest = blockOf(dimensions) / 2;
  for (let r = 0; r < count; r++) {
    const own = mix((first + r) ^ 0x51ed270b);
    const centre = mix((own % CLUSTERS) ^ 0x2c1b3c6d);
    const row = out.subarray(r * dimensions, (r + 1) * dimensions);
    for (let j = 0; j < dimensions; j++) {
      row[j] = ((means[j] ?? 0) + 3 * bell(mix(centre + j)) + 4 * bell(mix(own + j))) * (spectrum[j] ?? 0);
    }
    for (let half = widest; half >= 1; half /= 2) rotate(row, half);
  }
  return out;
}

/** One stage of the transform: sums and differences of elements `half` apart. */
function rotate(row: Float32Array, half: number): void {
  for (let begin = 0; begin < row.length; begin += 2 * half) {
    for (let i = begin; i < begin + half; i++) {
      const x = row[i] ?? 0;
      const y = row[i + half] ?? 0;
      row[i] = x + y;
      row[i + half] = x - y;
    }
  }
}

/**
 * The same for packed bits, [count × dimensions / 8]: 256 centres of random bits, each bit of a row
 * flipped with probability 1/8, so that near rows lie far nearer than the half of all bits that
 * random ones differ in. `dimensions` is a multiple of 32.
 */
export function clusteredBits(dimensions: number, first: number, count: number): Uint8Array<ArrayBuffer> {
  const words = dimensions / 32;
  const out = new Uint32Array(count * words);
  for (let r = 0; r < count; r++) {
    const own = mix((first + r) ^ 0x51ed270b);
    const centre = mix((own & 255) ^ 0x2c1b3c6d);
    for (let j = 0; j < words; j++) {
      const flips = mix(own + 3 * j) & mix(own + 3 * j + 1) & mix(own + 3 * j + 2);
      out[r * words + j] = mix(centre + j) ^ flips;
    }
  }
  return new Uint8Array(out.buffer);
}

/** lowbias32, Chris Wellons. */
function mix(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

function bell(hash: number): number {
  return (hash & 255) + ((hash >>> 8) & 255) + ((hash >>> 16) & 255) + (hash >>> 24) - 510;
}
