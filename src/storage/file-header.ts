/**
 * The first 64 bytes of every file but LOCK: what it is, and who may read it. Their layout up to
 * byte 24 and the checksum at 60 never change, so that any nearfield can tell a file of a later
 * one (UNSUPPORTED_FORMAT) from a damaged one (CORRUPT).
 *
 *    0  magic, 8 bytes      8  format version u16    10  kind u16    12  required features u32
 *   16  optional features u32    20  zero u32    24  fields of the kind, 36 bytes    60  CRC32C of 0 … 59
 */
import { crc32c } from "./crc32c.ts";
import { type Fail, unsupportedFormat } from "./damage.ts";
import { firstNonZero, viewOf } from "./fields.ts";

export type FileKind = "segment" | "manifest" | "journal" | "root";

export const HEADER_BYTES = 64;
/** Where the fields of the kind begin; they end at 60. */
export const HEADER_FIELDS = 24;
const FORMAT_VERSION = 1;

/** Like PNG's: a byte beyond ASCII, the name, and line ends that a transfer as text would change. */
const FILE_MAGIC: readonly number[] = [0x89, 0x4e, 0x46, 0x4c, 0x44, 0x0d, 0x0a, 0x1a];

const KIND_CODE: Readonly<Record<FileKind, number>> = { segment: 1, manifest: 2, journal: 3, root: 4 };
const CHECKSUM_AT = 60;

export function encodeHeader(kind: FileKind, setFields?: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = viewOf(bytes);
  bytes.set(FILE_MAGIC);
  view.setUint16(8, FORMAT_VERSION, true);
  view.setUint16(10, KIND_CODE[kind], true);
  setFields?.(view);
  view.setUint32(CHECKSUM_AT, crc32c(bytes.subarray(0, CHECKSUM_AT)), true);
  return bytes;
}

/** The header's view, once it is known to be whole, of this kind, and understood. */
export function checkHeader(bytes: Uint8Array, kind: FileKind, file: string, fail: Fail): DataView {
  const view = viewOf(bytes);
  if (FILE_MAGIC.some((byte, at) => bytes[at] !== byte)) fail("it does not begin like a file of nearfield", 0);
  if (view.getUint32(CHECKSUM_AT, true) !== crc32c(bytes.subarray(0, CHECKSUM_AT))) {
    fail("the checksum of the header differs", CHECKSUM_AT);
  }
  const version = view.getUint16(8, true);
  if (version !== FORMAT_VERSION) {
    throw unsupportedFormat(file, `format version ${version}`, `format version ${FORMAT_VERSION}`);
  }
  const required = view.getUint32(12, true);
  if (required !== 0) {
    throw unsupportedFormat(file, `required features 0x${required.toString(16)}`, "features that this version knows");
  }
  if (view.getUint16(10, true) !== KIND_CODE[kind]) fail(`it is no ${kind}`, 10);
  return view;
}

/** What a version 1 writer leaves zero must be zero: else a reader would pass over what it does not know. */
export function checkUnused(bytes: Uint8Array, from: number, to: number, fail: Fail): void {
  const at = firstNonZero(bytes, from, to);
  if (at >= 0) fail("a byte that is zero in this format is not", at);
}
