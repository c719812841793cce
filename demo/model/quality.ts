/**
 * `npm run demo:quality`: how good a static embedder is. Phrases whose word is known are searched among all glosses of
 * WordNet; cosines are compared with those of MiniLM, on glosses that it did not learn from; and its tokenizer with
 * MiniLM's own. README.md has what came of it.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { embed, MINILM_DIMENSIONS, minilmOf } from "../../bench/peers/minilm.ts";
import { PeerPackages } from "../../bench/peers/packages.ts";
import { readSynsets } from "../data/wordnet.ts";
import { embeddedText } from "../synset.ts";
import { decodeTable } from "./embedder-file.ts";
import { PHRASES } from "./phrases.ts";
import { ranks, vectorsOf } from "./reverse-dictionary.ts";
import { StaticEmbedder } from "./static-embedder.ts";
import { untaughtPairs } from "./teaching.ts";
import { wholeTokens } from "./token-vectors.ts";
import { UNKNOWN, WordPiece } from "./wordpiece.ts";

const PAIRS = 300;
/** Where tokenizers go wrong; every word can be spelt. */
const TRICKY = [
  "Café CRÈME, naïve façade — Ångström!",
  "isn't it $5.00+tax? (a^b)=c|d~e `code` <tag>",
  "日本 and 中国；北京。",
  "tab\tand\u00a0no-break\u2028space, soft\u00adhyphen, zero\u200bwidth",
  "İstanbul STRASSE straße ﬁn Ελλάδα москва",
  "antidisestablishmentarianism unaffable embeddings 1234567890 ½ x² № ™",
  "한국어 서울",
];

// build/model/quality.js and demo/model/quality.ts both lie two folders below the package.
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const cache = join(root, ".cache");

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { embedder: { type: "string", default: join(root, "demo", "model", "embedder.bin") } },
  });
  const bytes = readFileSync(values.embedder);
  const embedder = StaticEmbedder.open(bytes);
  console.log(`${values.embedder}: ${embedder.dimensions} dimensions, ${bytes.length} bytes`);
  await printRanks(embedder);
  mkdirSync(cache, { recursive: true });
  const packages = new PeerPackages(root);
  await printAgreement(embedder, packages);
  await printTokenizer(decodeTable(bytes).tokens, packages);
}

const shown = (rank: number | undefined): string => (rank === Infinity ? "further" : String(rank));

async function printRanks(embedder: StaticEmbedder): Promise<void> {
  const synsets = readSynsets();
  const alone = await ranks(embedder, synsets, ({ gloss }) => gloss, PHRASES);
  const withWords = await ranks(embedder, synsets, embeddedText, PHRASES);
  console.log(`\nrank among ${synsets.length} glosses: alone, and as "words: gloss"`);
  for (const [i, [phrase, word]] of PHRASES.entries()) {
    console.log(`${shown(alone[i]).padStart(9)}${shown(withWords[i]).padStart(9)}  ${phrase} → ${word}`);
  }
  for (const [name, all] of [
    ["gloss alone", alone],
    ["words: gloss", withWords],
  ] as const) {
    const share = (depth: number): string => `${all.filter((rank) => rank <= depth).length}/${all.length}`;
    const reciprocal = all.reduce((sum, rank) => sum + 1 / rank, 0) / all.length;
    console.log(
      `${name}: first ${share(1)}, in the first ten ${share(10)}, mean reciprocal rank ${reciprocal.toFixed(3)}`,
    );
  }
}

async function printAgreement(embedder: StaticEmbedder, packages: PeerPackages): Promise<void> {
  const texts = untaughtPairs(readSynsets(), PAIRS)
    .flat()
    .map(({ gloss }) => gloss);
  const ours = pairCosines(vectorsOf(embedder, texts), embedder.dimensions);
  const minilm = pairCosines(await embed(packages, await minilmOf(packages), texts), MINILM_DIMENSIONS);
  console.log(`\ncosines of ${PAIRS} pairs of glosses beside MiniLM's: Spearman ${spearman(ours, minilm).toFixed(3)}`);
}

/** MiniLM, given a text, and given the tokens that we cut it into, must say the same. */
async function printTokenizer(tokens: readonly string[], packages: PeerPackages): Promise<void> {
  const tokenizer = new WordPiece(tokens);
  const texts = [...TRICKY, ...untaughtPairs(readSynsets(), PAIRS).map(([{ gloss }]) => gloss)];
  const cut = texts.map((text) =>
    tokenizer
      .encode(text)
      .map((place) => (place === UNKNOWN ? "[UNK]" : tokens[place]))
      .join(" "),
  );
  const model = await minilmOf(packages);
  const theirs = await embed(packages, model, texts);
  const ours = await embed(packages, wholeTokens(model, cache), cut);
  const others = texts.filter((_, i) => !isSame(theirs, ours, i * MINILM_DIMENSIONS));
  console.log(`tokenizer: ${texts.length - others.length} of ${texts.length} texts cut as MiniLM cuts them`);
  for (const text of others) console.log(`  not so: ${text}`);
}

function isSame(a: Float32Array, b: Float32Array, at: number): boolean {
  return a.subarray(at, at + MINILM_DIMENSIONS).every((value, i) => value === b[at + i]);
}

/** Of rows 0 and 1, 2 and 3, …, which are unit vectors. */
function pairCosines(rows: Float32Array, dimensions: number): number[] {
  return Array.from({ length: rows.length / dimensions / 2 }, (_, pair) => {
    const at = 2 * pair * dimensions;
    const [a, b] = [rows.subarray(at, at + dimensions), rows.subarray(at + dimensions, at + 2 * dimensions)];
    return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
  });
}

/** The rank correlation of two lists without equal values. */
function spearman(a: readonly number[], b: readonly number[]): number {
  const [ranksA, ranksB] = [ranksOf(a), ranksOf(b)];
  const squares = ranksA.reduce((sum, rank, i) => sum + (rank - (ranksB[i] ?? 0)) ** 2, 0);
  return 1 - (6 * squares) / (a.length * (a.length ** 2 - 1));
}

function ranksOf(values: readonly number[]): Float64Array {
  const ranked = new Float64Array(values.length);
  const order = Array.from(values.keys()).sort((i, j) => (values[i] ?? 0) - (values[j] ?? 0));
  for (const [rank, i] of order.entries()) ranked[i] = rank;
  return ranked;
}

await main();
