/**
 * Whole chunks of CRC-32C in WASM, for the long blocks of an opening: two streams at once
 * (assembly/crc32c.ts), which in JS would spill registers and be slower than one. With the copy
 * into its memory 3.1 GB/s where JS has 2.3 (Zen 5, Node 20).
 */
import { inflated } from "../core/inlined-wasm.ts";
import deflatedModule from "./assembly/crc32c.ts?wasm-bytes";

export const CHUNK_BYTES = 65_536;

/** The value after `chunk`, of the value before it, neither inverted. */
export type ChunkChecksum = (chunk: Uint8Array, before: number) => number;

/** `tables`: of crc32c.ts. Rejects where WASM is missing or refused by the page's policy. */
export async function compileChunkChecksum(tables: Int32Array): Promise<ChunkChecksum> {
  const memory = new WebAssembly.Memory({ initial: 2 });
  const { instance } = await WebAssembly.instantiate(await inflated(deflatedModule), { env: { memory } });
  const { crc32c_chunk } = instance.exports as { crc32c_chunk: (before: number) => number };
  const words = new Int32Array(memory.buffer);
  words.set(tables);
  words.set(halfChunkShifts(tables), tables.length);
  const room = new Uint8Array(memory.buffer, CHUNK_BYTES);
  return (chunk, before) => {
    room.set(chunk);
    return crc32c_chunk(before);
  };
}

/** [4 × 256]: what byte b of a value, being i, becomes after half a chunk of zeros. */
function halfChunkShifts(tables: Int32Array): Int32Array {
  const ofBit = Array.from({ length: 32 }, (_, bit) => {
    let value = 1 << bit;
    for (let i = 0; i < CHUNK_BYTES / 2; i++) value = (value >>> 8) ^ (tables[value & 255] ?? 0);
    return value;
  });
  return Int32Array.from({ length: 4 * 256 }, (_, at) => {
    let value = 0;
    for (let bit = 0; bit < 8; bit++) if (((at >>> bit) & 1) === 1) value ^= ofBit[(at >>> 8) * 8 + bit] ?? 0;
    return value;
  });
}
