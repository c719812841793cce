/** Small makers of what the tables take, for their tests. */
import { systemClock } from "../../src/core/clock.ts";
import { WorkSlices } from "../../src/core/slices.ts";
import type { TextColumn } from "../../src/storage/record-batch.ts";

export const GONE = 0xffffffff;

export function textColumn(texts: readonly string[]): TextColumn {
  const pieces = texts.map((text) => Buffer.from(text));
  const offsets = new Uint32Array(texts.length + 1);
  for (const [i, piece] of pieces.entries()) offsets[i + 1] = (offsets[i] ?? 0) + piece.length;
  return { offsets, bytes: new Uint8Array(Buffer.concat(pieces)) };
}

/** Slices whose turns are real; a small budget makes many of them. */
export function slicesOf(budget: number = 1 << 18): WorkSlices {
  return new WorkSlices(systemClock, budget);
}

export function rowsOf(bits: Uint32Array): number[] {
  return [...bits].flatMap((word, i) =>
    Array.from({ length: 32 }, (_, bit) => bit)
      .filter((bit) => (word >>> bit) & 1)
      .map((bit) => i * 32 + bit),
  );
}

/** Bitmap of rows. */
export function bitsOf(rows: readonly number[], size: number): Uint32Array {
  const bits = new Uint32Array(Math.ceil(size / 32));
  for (const row of rows) bits[row >>> 5] = (bits[row >>> 5] ?? 0) | (1 << (row & 31));
  return bits;
}
