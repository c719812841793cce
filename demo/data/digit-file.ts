/**
 * The handwritten digits that the page loads. Little-endian; nothing is aligned, nothing is padded, nothing follows:
 *
 *     0   4  "NFDG" (nearfield digits)
 *     4   4  version, uint32: 1
 *     8   4  images n, uint32
 *    12   784n  grey values, uint8, row by row, 255 is ink
 *         n  labels, uint8: 0 … 9
 *
 * Pure: for the build step and the page.
 */
const MAGIC = 0x4744464e; // "NFDG", little-endian
const VERSION = 1;
const HEADER_BYTES = 12;

/** Pixels along an edge of an image. */
export const EDGE = 28;
export const PIXELS: number = EDGE * EDGE;

export interface DigitTable {
  /** [images × PIXELS]. */
  readonly images: Uint8Array;
  /** [images]: the digit that each shows. */
  readonly labels: Uint8Array;
}

/** Throws an Error for a table that `decodeDigits` would refuse. */
export function encodeDigits({ images, labels }: DigitTable): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES + images.length + labels.length);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of [MAGIC, VERSION, labels.length].entries()) view.setUint32(4 * i, word, true);
  bytes.set(images, HEADER_BYTES);
  bytes.set(labels, HEADER_BYTES + images.length);
  decodeDigits(bytes);
  return bytes;
}

/** Views of `bytes`. Throws an Error where these are not exactly one file of digits. */
export function decodeDigits(bytes: Uint8Array): DigitTable {
  if (bytes.length < HEADER_BYTES) throw damaged(`${bytes.length} bytes`, `a header of ${HEADER_BYTES}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const word = (i: number): number => view.getUint32(4 * i, true);
  if (word(0) !== MAGIC) throw damaged(`a file that begins with 0x${word(0).toString(16)}`, '"NFDG"');
  if (word(1) !== VERSION) throw damaged(`version ${word(1)}`, `version ${VERSION}`);
  const count = word(2);
  const labelsAt = HEADER_BYTES + count * PIXELS;
  if (count === 0) throw damaged("no images", "at least one");
  if (labelsAt + count !== bytes.length)
    throw damaged(`${bytes.length} bytes`, `${labelsAt + count}, as the header says`);
  const labels = bytes.subarray(labelsAt);
  const wrong = labels.find((label) => label > 9);
  if (wrong !== undefined) throw damaged(`the label ${wrong}`, "0 to 9");
  return { images: bytes.subarray(HEADER_BYTES, labelsAt), labels };
}

function damaged(got: string, expected: string): Error {
  return new Error(`the digits file: got ${got}; expected ${expected}; load it again, or build the demo again`);
}
