/** Parts of bitmaps whose first bit lies anywhere in a word. */

/** Bits `first … first + count − 1` as a bitmap of their own, from bit 0 on; spare bits zero. */
export function bitRange(bits: Uint32Array, first: number, count: number): Uint32Array {
  const words = Math.ceil(count / 32);
  const out = new Uint32Array(words);
  const shift = first & 31;
  const from = first >>> 5;
  for (let i = 0; i < words; i++) {
    const low = (bits[from + i] ?? 0) >>> shift;
    out[i] = shift === 0 ? low : low | ((bits[from + i + 1] ?? 0) << (32 - shift));
  }
  const used = count & 31;
  if (used !== 0) out[words - 1] = (out[words - 1] ?? 0) & (0xffffffff >>> (32 - used));
  return out;
}

/** The numbers of set bits, ascending, each plus `first`. */
export function* setBits(bits: Uint32Array, first = 0): Generator<number, void, undefined> {
  for (let i = 0; i < bits.length; i++) {
    for (let word = bits[i] ?? 0; word !== 0; word &= word - 1) yield first + i * 32 + (31 - Math.clz32(word & -word));
  }
}
