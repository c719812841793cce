/**
 * The texts that a static embedder learns from, and which it is examined with: glosses of WordNet, a third of them with
 * MiniLM's vectors as targets, pairs of the others to compare cosines.
 */
import { embedOnce, type Minilm, MINILM_DIMENSIONS, type OnProgress } from "../../bench/peers/minilm.ts";
import type { PeerPackages } from "../../bench/peers/packages.ts";
import { uniform } from "../../src/core/random.ts";
import { readSynsets } from "../data/wordnet.ts";
import { embeddedText, type Synset } from "../synset.ts";
import type { Teaching } from "./recipe.ts";

const TAUGHT = 40_000;

/** Evenly spread over all synsets; every other as it is shown, the rest, like what people type, without the word itself. */
export async function teaching(
  packages: PeerPackages,
  model: Minilm,
  cache: string,
  onProgress: OnProgress,
): Promise<Teaching> {
  const synsets = readSynsets();
  const texts = taughtRows(synsets.length).map((row, i) => {
    const synset = synsets[row];
    if (synset === undefined) throw new Error(`bug: no synset ${row}`);
    return i % 2 === 0 ? synset.gloss : embeddedText(synset);
  });
  const data = await embedOnce(packages, model, texts, cache, onProgress);
  return { texts, vectors: { data, dimensions: MINILM_DIMENSIONS } };
}

/** Pairs of glosses that were not taught; in every other pair they stand side by side in WordNet, and are often related. */
export function untaughtPairs(synsets: readonly Synset[], count: number): (readonly [Synset, Synset])[] {
  const taught = new Set(taughtRows(synsets.length));
  const draw = uniform(1);
  const pairs: (readonly [Synset, Synset])[] = [];
  while (pairs.length < count) {
    const first = Math.floor(draw() * (synsets.length - 1));
    const second = pairs.length % 2 === 0 ? first + 1 : Math.floor(draw() * synsets.length);
    const pair = [synsets[first], synsets[second]] as const;
    if (taught.has(first) || taught.has(second) || pair[0] === undefined || pair[1] === undefined) continue;
    pairs.push([pair[0], pair[1]]);
  }
  return pairs;
}

function taughtRows(synsetCount: number): number[] {
  return Array.from({ length: TAUGHT }, (_, i) => Math.floor((i * synsetCount) / TAUGHT));
}
