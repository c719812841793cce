/** What the plain-JS kernels share: a memory as arrays, and the list of hits. */
import type { ScanSpan } from "./kernels.ts";

/** A memory as the arrays that kernels index. */
export interface Views {
  readonly buffer: ArrayBufferLike;
  readonly floats: Float32Array;
  readonly words: Uint32Array;
  readonly halves: Uint16Array;
  readonly wide: Int16Array;
  readonly codes: Int8Array;
}

export function viewsOf(buffer: ArrayBufferLike): Views {
  return {
    buffer,
    floats: new Float32Array(buffer),
    words: new Uint32Array(buffer),
    halves: new Uint16Array(buffer),
    wide: new Int16Array(buffer),
    codes: new Int8Array(buffer),
  };
}

/** Appends a hit, the `count`-th, if the row's bit is set for the query; returns the new count. */
export function appendHit(
  words: Uint32Array,
  span: Pick<ScanSpan, "eligible" | "words" | "hits">,
  count: number,
  query: number,
  row: number,
): number {
  const word = words[(span.eligible >>> 2) + query * span.words + (row >>> 5)] ?? 0;
  if (((word >>> (row & 31)) & 1) === 0) return count;
  words[(span.hits >>> 2) + count] = (query << 16) | row;
  return count + 1;
}
