/**
 * The artefact of a static embedder, embedder.bin: a vector for each token, int8 with a scale for each row, and the
 * tokens. Little-endian; nothing is aligned, nothing is padded, nothing follows:
 *
 *     0   4  "NFSE" (nearfield static embedder)
 *     4   4  version, uint32: 1
 *     8   4  tokens t, uint32
 *    12   4  dimensions d, uint32
 *    16   4  bytes of the vocabulary v, uint32
 *    20  4t  scales, float32: row i of the table is scale i × codes i
 *        td  codes, int8, row-major
 *         v  vocabulary: tokens in UTF-8, in the order of the rows, a line feed between two
 *
 * A token's weight is part of its scale.
 */
const MAGIC = 0x4553464e; // "NFSE", little-endian
const VERSION = 1;
const HEADER_BYTES = 20;

export interface TokenTable {
  readonly dimensions: number;
  readonly tokens: readonly string[];
  /** [tokens]: finite. */
  readonly scales: Float32Array;
  /** [tokens × dimensions]. */
  readonly codes: Int8Array;
}

export function encodeTable(table: TokenTable): Uint8Array<ArrayBuffer> {
  const { tokens, dimensions, scales, codes } = table;
  const vocabulary = new TextEncoder().encode(tokens.join("\n"));
  const bytes = new Uint8Array(HEADER_BYTES + scales.byteLength + codes.byteLength + vocabulary.byteLength);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of [MAGIC, VERSION, tokens.length, dimensions, vocabulary.length].entries()) {
    view.setUint32(4 * i, word, true);
  }
  for (const [i, scale] of scales.entries()) view.setFloat32(HEADER_BYTES + 4 * i, scale, true);
  bytes.set(new Uint8Array(codes.buffer, codes.byteOffset, codes.length), HEADER_BYTES + scales.byteLength);
  bytes.set(vocabulary, bytes.length - vocabulary.length);
  return bytes;
}

/** Views of `bytes` where possible. Throws an Error where they are not exactly one artefact. */
export function decodeTable(bytes: Uint8Array): TokenTable {
  if (bytes.length < HEADER_BYTES) throw damaged(`${bytes.length} bytes`, `a header of ${HEADER_BYTES}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const word = (i: number): number => view.getUint32(4 * i, true);
  if (word(0) !== MAGIC) throw damaged(`a file that begins with 0x${word(0).toString(16)}`, '"NFSE"');
  if (word(1) !== VERSION) throw damaged(`version ${word(1)}`, `version ${VERSION}`);
  const count = word(2);
  const dimensions = word(3);
  const codesAt = HEADER_BYTES + 4 * count;
  const vocabularyAt = codesAt + count * dimensions; // below 2⁶⁴, and above 2⁵³ it differs from any length
  if (count === 0 || dimensions === 0)
    throw damaged(`${count} tokens × ${dimensions} dimensions`, "at least one of each");
  if (vocabularyAt + word(4) !== bytes.length) {
    throw damaged(`${bytes.length} bytes`, `${vocabularyAt + word(4)}, as the header says`);
  }
  const scales = Float32Array.from({ length: count }, (_, i) => view.getFloat32(HEADER_BYTES + 4 * i, true));
  const tokens = textOf(bytes.subarray(vocabularyAt)).split("\n");
  if (!scales.every(Number.isFinite)) throw damaged("a scale that is not finite", "finite scales");
  if (tokens.length !== count) throw damaged(`${tokens.length} tokens in the vocabulary`, `${count}`);
  if (new Set(tokens).size !== count) throw damaged("a token that comes twice", "different tokens");
  return {
    dimensions,
    tokens,
    scales,
    codes: new Int8Array(bytes.buffer, bytes.byteOffset + codesAt, count * dimensions),
  };
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw damaged("a vocabulary that is no text", "UTF-8", cause);
  }
}

function damaged(got: string, expected: string, cause?: unknown): Error {
  return new Error(
    `embedder.bin: got ${got}; expected ${expected}; load it again, or make it with npm run demo:distil`,
    { cause },
  );
}
