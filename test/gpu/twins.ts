/** CPU twins of the shaders, plain and slow: what each kernel must compute, written from its head comment. */

/** repack: row-major to interleaved by 32. `rows`: [count × stride] words. */
export function interleaved(rows: Uint32Array, count: number, stride: number): Uint32Array {
  const chunks = stride / 4;
  const out = new Uint32Array(Math.ceil(count / 32) * 32 * stride);
  for (let row = 0; row < count; row++) {
    for (let c = 0; c < chunks; c++) {
      const to = ((row >> 5) * chunks + c) * 32 + (row & 31);
      out.set(rows.subarray((row * chunks + c) * 4, (row * chunks + c + 1) * 4), to * 4);
    }
  }
  return out;
}

/** Order-preserving u32 of a float32. */
export function keyOf(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0;
  return bits >>> 31 === 1 ? ~bits >>> 0 : (bits | 0x80000000) >>> 0;
}

/** The float32 of a key. */
export function valueOf(key: number): number {
  const bits = key >>> 31 === 1 ? key & 0x7fffffff : ~key >>> 0;
  return new Float32Array(Uint32Array.of(bits).buffer)[0] ?? Number.NaN;
}

/** select_k: the key of rank `rank` (from 1). */
export function selectKth(keys: readonly number[], rank: number): number {
  return [...keys].sort((a, b) => a - b)[rank - 1] ?? 0xffffffff;
}

/** select_bin: the first bin at which `wanted` entries have been counted. */
export function selectBin(histogram: readonly number[], wanted: number): number | undefined {
  let sum = 0;
  for (const [bin, count] of histogram.entries()) {
    sum += count;
    if (sum >= wanted) return bin;
  }
  return undefined;
}
