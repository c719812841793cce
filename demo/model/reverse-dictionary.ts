/** Phrases searched among all glosses, as the demo does it: how the embedder is examined, by quality.ts and by a test. */
import { createIndex } from "nearfield";
import type { Synset } from "../synset.ts";
import type { StaticEmbedder } from "./static-embedder.ts";

/** How far down the word is looked for. */
const DEPTH = 1000;

/**
 * The rank of each phrase's word, from 1: of the first synset that has it among its words. Infinity: not in the first
 * `DEPTH`. `textOf`: what of a synset is embedded.
 */
export async function ranks(
  embedder: StaticEmbedder,
  synsets: readonly Synset[],
  textOf: (synset: Synset) => string,
  phrases: readonly (readonly [phrase: string, word: string])[],
): Promise<number[]> {
  const { dimensions } = embedder;
  const index = await createIndex({ dimensions, backend: "cpu" });
  try {
    await index.add(vectorsOf(embedder, synsets.map(textOf)));
    const result = await index.search(
      vectorsOf(
        embedder,
        phrases.map(([phrase]) => phrase),
      ),
      { k: DEPTH },
    );
    return phrases.map(([, word], q) => {
      const place = result.hits(q).findIndex(({ row }) => synsets[row]?.words.includes(word));
      return place < 0 ? Infinity : place + 1;
    });
  } finally {
    await index.close();
  }
}

export function vectorsOf(embedder: StaticEmbedder, texts: readonly string[]): Float32Array {
  const vectors = new Float32Array(texts.length * embedder.dimensions);
  embedder.embedInto(texts, vectors);
  return vectors;
}
