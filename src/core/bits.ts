/**
 * Vectors of bits, precision b1: bit i of a vector is bit i mod 8 of byte i / 8, least significant
 * first. Rows and queries are padded with zero bits to whole 16-byte chunks and read as 32-bit
 * words, which on little-endian machines (all that run this) is bit i mod 32 of word i / 32.
 */
import type { BitMetric } from "./metric.ts";
import { countWord } from "./rowset.ts";

/** Bytes of a vector of bits as callers give and get it. */
export function packedBytes(dimensions: number): number {
  return Math.ceil(dimensions / 8);
}

/** Packs `count` floats at `values[at …]` into `bytes[bytesAt …]`: a bit is set where x > 0, spare bits are zero. */
export function packBits(values: Float32Array, at: number, count: number, bytes: Uint8Array, bytesAt: number): void {
  for (let i = 0; i < count; i += 8) {
    let byte = 0;
    const end = Math.min(8, count - i);
    for (let b = 0; b < end; b++) if ((values[at + i + b] ?? 0) > 0) byte |= 1 << b;
    bytes[bytesAt + (i >>> 3)] = byte;
  }
}

/** Clears the bits beyond `dimensions` of the packed vector at `bytes[at …]`. */
export function clearSpareBits(bytes: Uint8Array, at: number, dimensions: number): void {
  const used = dimensions & 7;
  if (used === 0) return;
  const last = at + (dimensions >>> 3);
  bytes[last] = (bytes[last] ?? 0) & (0xff >>> (8 - used));
}

/** Number of set bits of `count` words. */
export function countWords(words: Uint32Array, at: number, count: number): number {
  let bits = 0;
  for (let i = 0; i < count; i++) bits += countWord(words[at + i] ?? 0);
  return bits;
}

/**
 * The canonical distance (DESIGN rule 2) of two vectors of `length` words: exact integers, and for
 * jaccard one division in float64; then rounded to float32. Twin: assembly/distance_b1.ts.
 */
export function bitDistance(
  metric: BitMetric,
  a: Uint32Array,
  aAt: number,
  b: Uint32Array,
  bAt: number,
  length: number,
): number {
  if (metric === "hamming") {
    let differing = 0;
    for (let i = 0; i < length; i++) differing += countWord((a[aAt + i] ?? 0) ^ (b[bAt + i] ?? 0));
    return differing;
  }
  let common = 0;
  let either = 0;
  for (let i = 0; i < length; i++) {
    const x = a[aAt + i] ?? 0;
    const y = b[bAt + i] ?? 0;
    common += countWord(x & y);
    either += countWord(x | y);
  }
  return either === 0 ? 0 : Math.fround(1 - common / either);
}
