/** The words file of the demo: its format, what it refuses, and that it holds what the i8 index would keep. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { decodeWords, dequantise, encodeWords, type WordTable } from "../../demo/data/word-file.ts";
import { buildWords } from "../../demo/data/words.ts";
import { DIMENSIONS } from "../../demo/words/glove.ts";
import { quantiseRow } from "../../src/core/quantiser.ts";

const toy: WordTable = {
  words: ["the", "café", "日本"],
  dimensions: 2,
  scales: Float32Array.of(0.5, 0.25, 0),
  codes: Int8Array.of(127, -3, 0, 127, 0, 0),
};

describe("the words file", () => {
  it("gives back what was put in", () => {
    expect(decodeWords(encodeWords(toy))).toEqual(toy);
  });

  it("is read where it begins at an odd place of its buffer", () => {
    const bytes = encodeWords(toy);
    const shifted = new Uint8Array(bytes.length + 3).subarray(3);
    shifted.set(bytes);
    expect(decodeWords(shifted)).toEqual(toy);
  });

  it("multiplies codes by their row's scale", () => {
    expect([...dequantise(toy)]).toEqual([63.5, -1.5, 0, 31.75, 0, 0]);
  });

  it("is refused wherever it is cut off, and with bytes after it", () => {
    const bytes = encodeWords(toy);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeWords(bytes.subarray(0, length)), `${length} bytes`).toThrow(/words file: got .*; expected /);
    }
    expect(() => decodeWords(Uint8Array.of(...bytes, 0))).toThrow(/as the header says/);
  });

  const textBytes = new TextEncoder().encode("the\ncafé\n日本").length;
  const header = { magic: 0, version: 4, words: 8, dimensions: 12, textBytes: 16, scale: 20 + textBytes } as const;
  it.each([
    ["another magic", header.magic, 0x5657464f, /"NFWV"/],
    ["another version", header.version, 2, /version 1/],
    ["no words", header.words, 0, /at least one/],
    ["no dimensions", header.dimensions, 0, /at least one/],
    ["a word more than there is", header.words, 4, /as the header says/],
    ["2³² − 1 words", header.words, 0xffff_ffff, /as the header says/],
    ["2³² − 1 dimensions", header.dimensions, 0xffff_ffff, /as the header says/],
    ["a text beyond the file", header.textBytes, 0xffff_ffff, /as the header says/],
    ["a scale that is infinite", header.scale, 0x7f80_0000, /finite scales/],
    ["a scale that is no number", header.scale, 0x7fc0_0000, /finite scales/],
    ["a negative scale", header.scale, 0xbf80_0000, /finite scales/],
  ] as const)("is refused with %s", (_, at, value, message) => {
    const bytes = encodeWords(toy);
    new DataView(bytes.buffer).setUint32(at, value, true);
    expect(() => decodeWords(bytes)).toThrow(message);
  });

  it("is refused with sizes that are all 2³² − 1, before anything is made of that size", () => {
    const bytes = encodeWords(toy);
    for (const at of [header.words, header.dimensions, header.textBytes])
      new DataView(bytes.buffer).setUint32(at, 0xffff_ffff, true);
    expect(() => decodeWords(bytes)).toThrow(/as the header says/);
  });

  it("is refused with a word twice, with one too few, and with text that is no UTF-8", () => {
    const bytes = encodeWords(toy);
    const [tooFew, notText] = [bytes.slice(), bytes.slice()];
    tooFew[bytes.indexOf(0x0a, 20)] = 0x20;
    notText[20] = 0xff;
    expect(() => decodeWords(tooFew)).toThrow(/2 words of text/);
    expect(() => decodeWords(notText)).toThrow(/UTF-8/);
  });

  it.each([
    ["a word twice", { words: ["a", "b", "a"] }, /twice/],
    ["a word with a line feed", { words: ["a", "b\nc", "d"] }, /4 words of text/],
    ["a scale too few", { scales: Float32Array.of(1, 1) }, /as the header says/],
    ["codes of another size", { codes: Int8Array.of(1, 2, 3) }, /as the header says/],
  ])("is not made of %s", (_, change, message) => {
    expect(() => encodeWords({ ...toy, ...change })).toThrow(message);
  });
});

describe("the words file that is built", () => {
  it("holds the 100,000 most frequent words, coded as the engine codes them", async () => {
    const { bytes, count } = await buildWords(join(process.cwd(), ".cache"));
    const table = decodeWords(bytes);
    expect([count, table.words.length, table.dimensions]).toEqual([100_000, 100_000, DIMENSIONS]);
    expect(table.words.slice(0, 3)).toEqual(["the", ",", "."]);
    // What an i8 index makes of the rows that the page gives it.
    const rows = dequantise(table);
    const codes = new Int8Array(table.codes.length);
    for (let row = 0; row < count; row++) quantiseRow(rows, row * DIMENSIONS, DIMENSIONS, codes, row * DIMENSIONS);
    expect(codes.every((code, i) => code === table.codes[i])).toBe(true);
  });
});
