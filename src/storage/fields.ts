/**
 * Fields as the format has them, little-endian, and the alignment of blocks. Integers beyond 2^53 − 1
 * cannot be told apart in JavaScript: reading one gives NaN, which no comparison accepts.
 */

export const ALIGNMENT = 64;

/** The next multiple of 64. */
export function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

export function writeU64(view: DataView, at: number, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${value} is no count of 53 bits`);
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

/** NaN where it is 2^53 or more. */
export function readU64(view: DataView, at: number): number {
  const value = view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
  return Number.isSafeInteger(value) ? value : Number.NaN;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Whether a float64 is a time: milliseconds since 1970, as Date takes them. */
export function isTime(atMs: number): boolean {
  return atMs >= 0 && atMs <= 8.64e15;
}

/** The position of the first byte that is not zero, or −1. */
export function firstNonZero(bytes: Uint8Array, from: number, to: number): number {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return i;
  return -1;
}
