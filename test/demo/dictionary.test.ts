/** The dictionary's pure parts: what is asked as a vector, words that were asked for, lines of synsets, latencies. */
import { describe, expect, it } from "vitest";
import { addressOf, type Ask, askOf, NOTHING } from "../../demo/page/dictionary/ask.ts";
import { highlight } from "../../demo/page/dictionary/highlight.ts";
import { combine } from "../../demo/page/dictionary/question.ts";
import { Latencies } from "../../demo/page/engine/latency.ts";
import { readSynsets } from "../../demo/data/wordnet.ts";
import { parseSynsetLines, synsetLines } from "../../demo/synset.ts";

describe("a question", () => {
  const part = (vector: number[], isLiked: boolean) => ({ vector: Float32Array.from(vector), isLiked });

  it("adds what is liked and takes away half of what is not", () => {
    expect([...(combine([part([1, 0, 2], true), part([0, 1, 2], true), part([2, 0, 0], false)]) ?? [])]).toEqual([
      0, 1, 4,
    ]);
  });

  it("is none where nothing is liked, or nothing is left", () => {
    expect(combine([])).toBeUndefined();
    expect(combine([part([1, 0], false)])).toBeUndefined();
    expect(combine([part([1, 0], true), part([2, 0], false)])).toBeUndefined();
  });
});

describe("an address", () => {
  it.each<[address: string, ask: Partial<Ask>]>([
    ["#/dictionary", {}],
    ["#/dictionary?q=a+cat+%26+a+dog", { text: "a cat & a dog" }],
    ["#/dictionary?q=a&not=b&part=verb", { text: "a", notText: "b", part: "verb" }],
    [
      "#/dictionary?like=7&unlike=9&like=3",
      {
        examples: [
          { id: "7", isLiked: true },
          { id: "9", isLiked: false },
          { id: "3", isLiked: true },
        ],
      },
    ],
  ])("%s says what is asked, and is made of it", (address, part) => {
    const ask = { ...NOTHING, ...part };
    expect(askOf(address)).toEqual(ask);
    expect(addressOf(ask)).toBe(address);
  });

  it("is another page's, or has what makes no sense left out", () => {
    expect(askOf("#/words?q=a")).toBeUndefined();
    expect(askOf("")).toEqual(NOTHING);
    const examples = [{ id: "7", isLiked: true }];
    expect(askOf("#/dictionary?part=pronoun&like=x&like=7&unlike=7&like=")).toEqual({ ...NOTHING, examples });
    const many = askOf(`#/dictionary?${Array.from({ length: 100 }, (_, i) => `like=${i}`).join("&")}`);
    expect(many?.examples).toHaveLength(20);
  });
});

describe("highlighting", () => {
  const marked = (text: string, asked: string): string =>
    highlight(text, asked)
      .map(({ text: piece, isMatch }) => (isMatch ? `[${piece}]` : piece))
      .join("");

  it.each([
    ["a morbid fear of confined spaces", "Fear of tight space", "a morbid [fear] of confined [spaces]"],
    ["tightly packed", "tight", "[tightly] packed"],
    ["a tie", "tight", "a tie"],
    ["the cat", "cats", "the cat"],
    ["the of and", "the of and", "the of and"],
    ["Ångström's unit", "ångström", "[Ångström]'s unit"],
    ["anything", "", "anything"],
    ["", "anything", ""],
    ["a+b (c)", ".*", "a+b (c)"],
  ])("of %j for %j is %j", (text, asked, expected) => {
    expect(marked(text, asked)).toBe(expected);
  });
});

describe("lines of synsets", () => {
  it("give back all of WordNet", () => {
    const synsets = readSynsets();
    expect(synsets).toHaveLength(117_791);
    expect(parseSynsetLines(synsetLines(synsets))).toEqual(synsets);
  });

  it.each(["", "9\tword\tgloss", "0\t\tgloss", "0\tword"])("refuse %j", (text) => {
    expect(() => parseSynsetLines(text)).toThrow(/expected a part of speech/);
  });

  it("refuse words that would break a line", () => {
    expect(() => synsetLines([{ part: "noun", words: ["a|b"], gloss: "" }])).toThrow();
    expect(() => synsetLines([{ part: "noun", words: ["a"], gloss: "b\tc" }])).toThrow();
  });
});

describe("latencies", () => {
  it("tell percentiles of the last 240, and searches of the last second", () => {
    const latencies = new Latencies();
    expect(latencies.percentile(0.5)).toBeUndefined();
    for (let i = 1; i <= 300; i++) latencies.add(i, 10 * i);
    expect(latencies.count).toBe(300);
    expect(latencies.recent).toHaveLength(240);
    // 61 … 300
    expect(latencies.percentile(0)).toBe(61);
    expect(latencies.percentile(0.5)).toBe(180);
    expect(latencies.percentile(1)).toBe(300);
    expect(latencies.perSecond(3000)).toBe(101);
    expect(latencies.perSecond(4001)).toBe(0);
  });
});
