/**
 * Strings in a row as bytes: their offsets, then their UTF-8. In segments, journal records and
 * manifests alike. Whether the bytes are valid UTF-8, and the JSON in it, is for whoever decodes them.
 *
 *   0  offsets, [count + 1] u32, the first 0, none below the one before    4 · (count + 1)  bytes
 */
import type { Fail } from "./damage.ts";
import type { TextColumn } from "./record-batch.ts";

export function textCount({ offsets }: TextColumn): number {
  return offsets.length - 1;
}

export function textBytes({ offsets, bytes }: TextColumn): number {
  return offsets.byteLength + bytes.length;
}

/** Writes a column to `into[at …]` and returns where it ends. `at` is a multiple of 4. */
export function encodeText({ offsets, bytes }: TextColumn, into: Uint8Array, at: number): number {
  new Uint32Array(into.buffer, into.byteOffset + at, offsets.length).set(offsets);
  into.set(bytes, at + offsets.byteLength);
  return at + offsets.byteLength + bytes.length;
}

/** A view of `block`, which starts on a multiple of 4 and holds nothing else than `count` strings. */
export function decodeText(block: Uint8Array, count: number, fail: Fail): TextColumn {
  const bytesAt = (count + 1) * 4;
  if (block.length < bytesAt) fail(`${count} strings do not fit into ${block.length} bytes`);
  const offsets = new Uint32Array(block.buffer, block.byteOffset, count + 1);
  checkOffsets(offsets, block.length - bytesAt, fail);
  return { offsets, bytes: block.subarray(bytesAt) };
}

/** Offsets begin at 0, end at `bytes` and never go back. */
export function checkOffsets(offsets: Uint32Array, bytes: number, fail: Fail): void {
  let last = 0;
  if (offsets[0] !== 0) fail("the first string does not begin at 0");
  for (let i = 1; i < offsets.length; i++) {
    const offset = offsets[i] ?? 0;
    if (offset < last) fail(`string ${i - 1} ends before it begins`, i * 4);
    last = offset;
  }
  if (last !== bytes) fail(`the last string ends at ${last} of ${bytes} bytes`, (offsets.length - 1) * 4);
}
