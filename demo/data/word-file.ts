/**
 * The words that the page loads: each with a vector of int8 codes and a scale, as the i8 index stores it, so that nothing
 * is lost that the index would keep. Little-endian; nothing is aligned, nothing is padded, nothing follows:
 *
 *     0   4  "NFWV" (nearfield word vectors)
 *     4   4  version, uint32: 1
 *     8   4  words n, uint32
 *    12   4  dimensions d, uint32
 *    16   4  bytes of the text t, uint32
 *    20   t  words in UTF-8, the most frequent first, a line feed between two
 *        4n  scales, float32: row i is scale i × codes i
 *        nd  codes, int8, row-major
 *
 * Pure: for the build step and the page.
 */
const MAGIC = 0x5657464e; // "NFWV", little-endian
const VERSION = 1;
const HEADER_BYTES = 20;

export interface QuantisedRows {
  readonly dimensions: number;
  /** [rows]: finite, not negative. */
  readonly scales: Float32Array;
  /** [rows × dimensions]. */
  readonly codes: Int8Array;
}

export interface WordTable extends QuantisedRows {
  /** In the order of the rows; all different. */
  readonly words: readonly string[];
}

/** Throws an Error for a table that `decodeWords` would refuse. */
export function encodeWords(table: WordTable): Uint8Array<ArrayBuffer> {
  const { words, dimensions, scales, codes } = table;
  const text = new TextEncoder().encode(words.join("\n"));
  const bytes = new Uint8Array(HEADER_BYTES + text.length + scales.byteLength + codes.byteLength);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of [MAGIC, VERSION, words.length, dimensions, text.length].entries()) {
    view.setUint32(4 * i, word, true);
  }
  bytes.set(text, HEADER_BYTES);
  const scalesAt = HEADER_BYTES + text.length;
  for (const [i, scale] of scales.entries()) view.setFloat32(scalesAt + 4 * i, scale, true);
  bytes.set(new Uint8Array(codes.buffer, codes.byteOffset, codes.length), scalesAt + scales.byteLength);
  decodeWords(bytes);
  return bytes;
}

/** Codes are a view of `bytes`. Throws an Error where these are not exactly one file of words. */
export function decodeWords(bytes: Uint8Array): WordTable {
  if (bytes.length < HEADER_BYTES) throw damaged(`${bytes.length} bytes`, `a header of ${HEADER_BYTES}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const word = (i: number): number => view.getUint32(4 * i, true);
  if (word(0) !== MAGIC) throw damaged(`a file that begins with 0x${word(0).toString(16)}`, '"NFWV"');
  if (word(1) !== VERSION) throw damaged(`version ${word(1)}`, `version ${VERSION}`);
  const [count, dimensions] = [word(2), word(3)];
  if (count === 0 || dimensions === 0)
    throw damaged(`${count} words × ${dimensions} dimensions`, "at least one of each");
  const scalesAt = HEADER_BYTES + word(4);
  const codesAt = scalesAt + 4 * count;
  const sizeBytes = codesAt + count * dimensions; // below 2⁶⁵, and where float64 rounds it, beyond any length
  if (sizeBytes !== bytes.length) throw damaged(`${bytes.length} bytes`, `${sizeBytes}, as the header says`);
  const scales = Float32Array.from({ length: count }, (_, i) => view.getFloat32(scalesAt + 4 * i, true));
  if (!scales.every((scale) => scale >= 0 && scale < Infinity))
    throw damaged("a scale that is negative or not finite", "finite scales");
  const words = textOf(bytes.subarray(HEADER_BYTES, scalesAt)).split("\n");
  if (words.length !== count) throw damaged(`${words.length} words of text`, `${count}`);
  if (new Set(words).size !== count) throw damaged("a word that comes twice", "different words");
  return {
    words,
    dimensions,
    scales,
    codes: new Int8Array(bytes.buffer, bytes.byteOffset + codesAt, count * dimensions),
  };
}

/** [rows × dimensions]: quantised again they give the same codes. */
export function dequantise({ dimensions, scales, codes }: QuantisedRows): Float32Array<ArrayBuffer> {
  const rows = new Float32Array(codes.length);
  for (const [row, scale] of scales.entries()) {
    for (let i = row * dimensions; i < (row + 1) * dimensions; i++) rows[i] = scale * (codes[i] ?? 0);
  }
  return rows;
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw damaged("words that are no text", "UTF-8", cause);
  }
}

function damaged(got: string, expected: string, cause?: unknown): Error {
  return new Error(`the words file: got ${got}; expected ${expected}; load it again, or build the demo again`, {
    cause,
  });
}
