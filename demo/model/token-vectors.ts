/**
 * Each token of MiniLM's vocabulary by itself through MiniLM: "[CLS] token [SEP]", mean-pooled, unit length. Takes some
 * minutes, so it is done once and kept in <cache>.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { embedOnce, type Minilm, type OnProgress } from "../../bench/peers/minilm.ts";
import type { PeerPackages } from "../../bench/peers/packages.ts";

export interface TokenVectors {
  /** By rank: BERT's vocabulary has its words by frequency. Without those that no text has, such as [CLS] and [unused7]. */
  readonly tokens: readonly string[];
  /** [tokens × 384]. */
  readonly vectors: Float32Array;
}

/** What is used of tokenizer.json. */
interface TokenizerFile {
  readonly model: { readonly vocab: Readonly<Record<string, number>> };
}

export async function tokenVectors(
  packages: PeerPackages,
  model: Minilm,
  cache: string,
  onProgress: OnProgress,
): Promise<TokenVectors> {
  const tokenizer = JSON.parse(readFileSync(model.tokenizerPath, "utf8")) as TokenizerFile;
  const { vocab } = tokenizer.model;
  const tokens = Object.keys(vocab)
    .filter((token) => !/^\[.{2,}\]$/.test(token))
    .sort((a, b) => (vocab[a] ?? 0) - (vocab[b] ?? 0));
  return { tokens, vectors: await embedOnce(packages, wholeTokens(model, cache), tokens, cache, onProgress) };
}

/**
 * The model with a tokenizer that takes what stands between spaces for a token: BERT's would cut "##ing" into "#", "#"
 * and "ing". Without its normaliser, the longest match is the token itself.
 */
export function wholeTokens(model: Minilm, cache: string): Minilm {
  const tokenizer = JSON.parse(readFileSync(model.tokenizerPath, "utf8")) as TokenizerFile;
  const tokenizerPath = join(cache, "minilm-whole-tokens.json");
  const whole = { ...tokenizer, normalizer: null, pre_tokenizer: { type: "WhitespaceSplit" } };
  writeFileSync(tokenizerPath, JSON.stringify(whole));
  return { ...model, tokenizerPath };
}
