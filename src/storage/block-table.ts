/**
 * The end of a file made of blocks (segments, manifests), byte by byte; pure. Blocks lie one after
 * the other from byte 64 on, each on the next multiple of 64, zeros between; a footer describes
 * them, a trailer of fixed size is how the footer is found.
 *
 *   footer    0  summary of the kind, 64 bytes    64  entries of 32 bytes    zeros up to a multiple of 64
 *   entry     0  kind u32    4  first u32    8  count u32    12  CRC32C u32    16  offset u64    24  length u64
 *   trailer   0  offset of the footer u64    8  its length u64    16  entries u32    20  CRC32C of header and footer u32
 *            24  zeros    52  CRC32C of 0 … 51    56  end magic, 8 bytes
 */
import { crc32c } from "./crc32c.ts";
import type { Fail } from "./damage.ts";
import { aligned, readU64, viewOf, writeU64 } from "./fields.ts";
import { checkUnused, HEADER_BYTES } from "./file-header.ts";

export const SUMMARY_BYTES = 64;
export const TRAILER_BYTES = 64;
const ENTRY_BYTES = 32;
const TRAILER_CHECKSUM_AT = 52;
/** FILE_MAGIC, reversed. */
const END_MAGIC: readonly number[] = [0x1a, 0x0a, 0x0d, 0x44, 0x4c, 0x46, 0x4e, 0x89];

export interface BlockEntry {
  /** A number of the file's kind. */
  readonly kind: number;
  /** First record, or whatever the kind counts, and how many. */
  readonly first: number;
  readonly count: number;
  readonly offset: number;
  /** Without the zeros behind. */
  readonly length: number;
  readonly checksum: number;
}

export interface Trailer {
  readonly footerOffset: number;
  readonly footerBytes: number;
  readonly entryCount: number;
  /** Of the header and the footer, which holds the checksums of all blocks: it stands for the whole file. */
  readonly checksum: number;
}

export function encodeFooter(summary: Uint8Array, entries: readonly BlockEntry[]): Uint8Array {
  const bytes = new Uint8Array(aligned(SUMMARY_BYTES + entries.length * ENTRY_BYTES));
  const view = viewOf(bytes);
  bytes.set(summary);
  for (const [index, { kind, first, count, offset, length, checksum }] of entries.entries()) {
    const at = SUMMARY_BYTES + index * ENTRY_BYTES;
    view.setUint32(at, kind, true);
    view.setUint32(at + 4, first, true);
    view.setUint32(at + 8, count, true);
    view.setUint32(at + 12, checksum, true);
    writeU64(view, at + 16, offset);
    writeU64(view, at + 24, length);
  }
  return bytes;
}

export function encodeTrailer({ footerOffset, footerBytes, entryCount, checksum }: Trailer): Uint8Array {
  const bytes = new Uint8Array(TRAILER_BYTES);
  const view = viewOf(bytes);
  writeU64(view, 0, footerOffset);
  writeU64(view, 8, footerBytes);
  view.setUint32(16, entryCount, true);
  view.setUint32(20, checksum, true);
  view.setUint32(TRAILER_CHECKSUM_AT, crc32c(bytes.subarray(0, TRAILER_CHECKSUM_AT)), true);
  bytes.set(END_MAGIC, TRAILER_BYTES - END_MAGIC.length);
  return bytes;
}

/** `fileBytes`: size of the file, whose last bytes these are. */
export function decodeTrailer(bytes: Uint8Array, fileBytes: number, fail: Fail): Trailer {
  const start = fileBytes - TRAILER_BYTES;
  const failAt: Fail = (reason, at = 0) => fail(reason, start + at);
  const view = viewOf(bytes);
  if (END_MAGIC.some((byte, i) => bytes[TRAILER_BYTES - END_MAGIC.length + i] !== byte)) {
    failAt("it does not end like a file of nearfield: cut off, or never finished", TRAILER_BYTES - END_MAGIC.length);
  }
  if (view.getUint32(TRAILER_CHECKSUM_AT, true) !== crc32c(bytes.subarray(0, TRAILER_CHECKSUM_AT))) {
    failAt("the checksum of the trailer differs", TRAILER_CHECKSUM_AT);
  }
  checkUnused(bytes, 24, TRAILER_CHECKSUM_AT, failAt);
  const footerOffset = readU64(view, 0);
  const footerBytes = readU64(view, 8);
  const entryCount = view.getUint32(16, true);
  const fits =
    footerOffset >= HEADER_BYTES &&
    footerOffset + footerBytes === start &&
    footerBytes === aligned(SUMMARY_BYTES + entryCount * ENTRY_BYTES);
  if (!fits) failAt("the footer it names does not end where the trailer begins");
  return { footerOffset, footerBytes, entryCount, checksum: view.getUint32(20, true) };
}

/** The blocks, once it is known that they fill the file from the header to the footer without a gap. */
export function decodeEntries(footer: Uint8Array, trailer: Trailer, fail: Fail): BlockEntry[] {
  const view = viewOf(footer);
  const entries: BlockEntry[] = [];
  let expected = HEADER_BYTES;
  for (let index = 0; index < trailer.entryCount; index++) {
    const at = SUMMARY_BYTES + index * ENTRY_BYTES;
    const entry: BlockEntry = {
      kind: view.getUint32(at, true),
      first: view.getUint32(at + 4, true),
      count: view.getUint32(at + 8, true),
      checksum: view.getUint32(at + 12, true),
      offset: readU64(view, at + 16),
      length: readU64(view, at + 24),
    };
    // Written so that NaN, a number beyond 2^53, fails.
    if (!(entry.offset === expected && entry.length >= 1 && expected + entry.length <= trailer.footerOffset)) {
      fail(`block ${index} does not lie behind the one before it, within the file`, trailer.footerOffset + at);
    }
    expected = aligned(entry.offset + entry.length);
    entries.push(entry);
  }
  if (expected !== trailer.footerOffset) fail("bytes between the last block and the footer belong to none", expected);
  checkUnused(footer, SUMMARY_BYTES + trailer.entryCount * ENTRY_BYTES, trailer.footerBytes, (reason, at = 0) =>
    fail(reason, trailer.footerOffset + at),
  );
  return entries;
}
