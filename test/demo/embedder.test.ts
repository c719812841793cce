/** The demo's text embedder: its tokenizer, its artefact, and what it finds among all glosses of WordNet. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { readSynsets } from "../../demo/data/wordnet.ts";
import { decodeTable, encodeTable, type TokenTable } from "../../demo/model/embedder-file.ts";
import { PHRASES } from "../../demo/model/phrases.ts";
import { distil } from "../../demo/model/recipe.ts";
import { ranks, vectorsOf } from "../../demo/model/reverse-dictionary.ts";
import { StaticEmbedder } from "../../demo/model/static-embedder.ts";
import { UNKNOWN, WordPiece } from "../../demo/model/wordpiece.ts";
import { embeddedText } from "../../demo/synset.ts";
import { uniform } from "../../src/core/random.ts";

const artefact = new Uint8Array(readFileSync(fileURLToPath(new URL("../../demo/model/embedder.bin", import.meta.url))));
const embedder = StaticEmbedder.open(artefact);
const { tokens, dimensions } = decodeTable(artefact);

const toy: TokenTable = {
  dimensions: 2,
  tokens: ["sea", "sun", "##s", "anti"],
  scales: Float32Array.of(0.5, 0.25, 1, 0.5),
  codes: Int8Array.of(6, 0, 0, 16, 0, 0, -6, 0),
};

function lengthOf(vector: Float32Array): number {
  return Math.hypot(...vector);
}

describe("the tokenizer", () => {
  const tokenizer = new WordPiece(tokens);
  const cut = (text: string): string[] =>
    tokenizer.encode(text).map((place) => (place === UNKNOWN ? "[UNK]" : (tokens[place] ?? "")));

  it.each([
    ["the longest token first, the rest with ##", "embeddings unaffable", "em ##bed ##ding ##s una ##ffa ##ble"],
    ["lower case, and no accents", "Café CRÈME Ångström İstanbul", "cafe cr ##eme ang ##strom istanbul"],
    ["a word for each mark, those of ASCII that are symbols too", "isn't $5+tax?!", "isn ' t $ 5 + tax ? !"],
    ["a word for each ideograph", "日本x中", "日 本 x 中"],
    ["any space between words", "\ta\u00a0place\u2028here\n", "a place here"],
    ["no control characters", "li\u200bbr\u0000ary \ufffd", "library"],
    ["[UNK] for a word that cannot be spelt, whole", "a 😀 library😀s", "a [UNK] [UNK]"],
    ["nothing for nothing", " \t ", ""],
  ])("makes %s", (_, text, expected) => {
    expect(cut(text).join(" ")).toBe(expected);
  });

  it("spells words of 100 code points, and none longer", () => {
    expect(cut("a".repeat(100))).not.toContain("[UNK]");
    expect(cut("a".repeat(101))).toEqual(["[UNK]"]);
    // 100 code points in 101 UTF-16 units; the letter decomposes to nothing that the vocabulary lacks.
    const astral = new WordPiece(["a", "##a", "##𝐛"]);
    expect(astral.encode(`${"a".repeat(99)}𝐛`)).toHaveLength(100);
    expect(astral.encode(`${"a".repeat(100)}𝐛`)).toEqual([UNKNOWN]);
  });
});

describe("the embedder", () => {
  it("adds up its tokens' rows and makes the sum unit length", () => {
    // "sea suns": 0.5·(6, 0) + 0.25·(0, 16) + 1·(0, 0) = (3, 4).
    expect([...StaticEmbedder.open(encodeTable(toy)).embed("Sea, suns")]).toEqual([0.6, 0.8].map(Math.fround));
  });

  it.each(["", "   ", "😀", "sea anti"])("gives %j, which has no direction, the last axis", (text) => {
    expect([...StaticEmbedder.open(encodeTable(toy)).embed(text)]).toEqual([0, 1]);
  });

  it("gives vectors of unit length, alone as in a batch", () => {
    const texts = ["", "fear of tight spaces", "😀", "a".repeat(5000), "the", "library ".repeat(1000)];
    const batch = vectorsOf(embedder, texts);
    for (const [i, text] of texts.entries()) {
      const vector = embedder.embed(text);
      // float32 rounds each of 192 values by at most 2⁻²⁵ of it.
      expect(Math.abs(lengthOf(vector) - 1)).toBeLessThan(2 ** -24);
      expect(batch.subarray(i * dimensions, (i + 1) * dimensions)).toEqual(vector);
    }
  });

  it("refuses a target of another length", () => {
    expect(() => embedder.embedInto(["a", "b"], new Float32Array(dimensions))).toThrow(RangeError);
    expect(() => embedder.embedInto(["a"], new Float32Array(dimensions + 1))).toThrow(/1 texts × \d+ dimensions/);
  });

  it("opens bytes that begin anywhere in their buffer", () => {
    const bytes = encodeTable(toy);
    const shifted = new Uint8Array(bytes.length + 3).subarray(3);
    shifted.set(bytes);
    expect(decodeTable(shifted)).toEqual(toy);
  });
});

describe("the artefact", () => {
  it("is committed within its bound", () => {
    expect(artefact.length).toBeLessThanOrEqual(8_000_000);
    expect([tokens.length, dimensions]).toEqual([29_523, 192]);
  });

  it("is refused wherever it is cut off", () => {
    const bytes = encodeTable(toy);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => StaticEmbedder.open(bytes.subarray(0, length)), `${length} bytes`).toThrow(/embedder\.bin: got/);
    }
    expect(() => StaticEmbedder.open(artefact.subarray(0, -1))).toThrow(/as the header says/);
  });

  const header = { magic: 0, version: 4, tokens: 8, dimensions: 12, vocabularyBytes: 16, scale: 20 } as const;
  it.each([
    ["another magic", header.magic, 0x4653464e, /"NFSE"/],
    ["another version", header.version, 2, /version 1/],
    ["no tokens", header.tokens, 0, /at least one/],
    ["no dimensions", header.dimensions, 0, /at least one/],
    ["more tokens than there are", header.tokens, 5, /as the header says/],
    ["2³² − 1 tokens", header.tokens, 0xffff_ffff, /as the header says/],
    ["more dimensions than there are", header.dimensions, 0xffff_ffff, /as the header says/],
    ["a vocabulary beyond the file", header.vocabularyBytes, 0xffff_ffff, /as the header says/],
    ["a scale that is infinite", header.scale, 0x7f80_0000, /finite/],
  ] as const)("is refused with %s", (_, at, value, message) => {
    const bytes = encodeTable(toy);
    new DataView(bytes.buffer).setUint32(at, value, true);
    expect(() => StaticEmbedder.open(bytes)).toThrow(message);
  });

  it("is refused with bytes after it, with a token twice, or one too few, or none of UTF-8", () => {
    const bytes = encodeTable(toy);
    expect(() => StaticEmbedder.open(Uint8Array.of(...bytes, 0))).toThrow(/as the header says/);
    expect(() => StaticEmbedder.open(encodeTable({ ...toy, tokens: ["a", "b", "a", "c"] }))).toThrow(/twice/);
    const [tooFew, notText] = [bytes.slice(), bytes.slice()];
    tooFew[bytes.lastIndexOf(0x0a)] = 0x20;
    expect(() => StaticEmbedder.open(tooFew)).toThrow(/3 tokens/);
    notText[bytes.length - 1] = 0xff;
    expect(() => StaticEmbedder.open(notText)).toThrow(/UTF-8/);
  });
});

describe("the recipe", () => {
  const words = ["the", "cat", "dog", "tree", "stone", "##s"];
  const draw = uniform(7);
  const random = (count: number): Float32Array => Float32Array.from({ length: count * 8 }, () => draw() - 0.5);
  const vectors = { data: random(words.length), dimensions: 8 };
  const texts = ["the cat", "cats and dogs", "stone", "trees"];
  const teaching = { texts, vectors: { data: random(texts.length), dimensions: 8 } };
  const recipe = { dimensions: 5, sif: 1e6, passes: 50, rate: 0.5 };

  it("brings texts nearer to their targets, and makes the same of the same", () => {
    const losses: number[] = [];
    const table = distil(words, vectors, teaching, recipe, (_, loss) => losses.push(loss));
    expect(losses).toHaveLength(50);
    expect(losses[49]).toBeLessThan((losses[0] ?? 0) / 4);
    expect(distil(words, vectors, teaching, recipe, () => {})).toEqual(table);
    expect(decodeTable(encodeTable(table))).toEqual(table);
  });
});

describe("the reverse dictionary", () => {
  it("has the word among the first ten of 117,791 glosses", async () => {
    const synsets = readSynsets();
    expect(synsets).toHaveLength(117_791);
    const found = await ranks(embedder, synsets, embeddedText, PHRASES);
    const rankOf = new Map(PHRASES.map(([, word], i) => [word, found[i] ?? Infinity]));
    const sure = [
      "claustrophobia",
      "library",
      "arachnophobia",
      "astronomer",
      "thermometer",
      "baker",
      "hobble",
      "pharmacy",
      "skyscraper",
      "atlas",
      "bisect",
      "puppy",
      "widower",
      "orphan",
    ];
    expect(sure.filter((word) => !((rankOf.get(word) ?? Infinity) <= 10))).toEqual([]);
    expect(found.filter((rank) => rank <= 10).length).toBeGreaterThanOrEqual(28); // 30 as committed
  });
});
