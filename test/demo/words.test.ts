/** The word explorer without its page: known words, analogies through the real engine, and what is drawn where. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeWords } from "../../demo/data/word-file.ts";
import { buildWords } from "../../demo/data/words.ts";
import { EXAMPLES } from "../../demo/page/words/examples.ts";
import { Explorer, NEIGHBOURS } from "../../demo/page/words/explorer.ts";
import { between, type Layout, layOut, placeLabels } from "../../demo/page/words/layout.ts";
import { Vocabulary } from "../../demo/page/words/vocabulary.ts";
import { WordSpace } from "../../demo/page/words/word-space.ts";
import { uniform } from "../../src/core/random.ts";

describe("the vocabulary", () => {
  const vocabulary = new Vocabulary(["the", "coffee", "coffin", "tea", "cof", "日本"]);

  it("finds words whatever their case and the spaces around them", () => {
    expect([" Coffee ", "THE", "日本", "coffe", ""].map((text) => vocabulary.rowOf(text))).toEqual([
      1,
      0,
      5,
      undefined,
      undefined,
    ]);
  });

  it("suggests words by their first letters, the most frequent first", () => {
    expect(vocabulary.startingWith("Cof", 9)).toEqual(["coffee", "coffin", "cof"]);
    expect(vocabulary.startingWith("cof", 2)).toEqual(["coffee", "coffin"]);
    expect(vocabulary.startingWith("x", 9)).toEqual([]);
    expect(vocabulary.startingWith("  ", 9)).toEqual([]);
  });

  it("offers what shares the most first letters with a word that is not known", () => {
    expect(vocabulary.closest("coffii", 9)).toEqual(["coffin"]);
    expect(vocabulary.closest("coffx", 9)).toEqual(["coffee", "coffin"]);
    expect(vocabulary.closest("日x", 9)).toEqual(["日本"]);
    expect(vocabulary.closest("xyz", 9)).toEqual([]);
  });
});

describe("100,000 real words", () => {
  let space: WordSpace;
  beforeAll(async () => {
    const { bytes } = await buildWords(join(process.cwd(), ".cache"));
    space = await WordSpace.open(decodeWords(bytes));
  });
  afterAll(async () => space.engine.side.close());

  const rowOf = (word: string): number => {
    const row = space.vocabulary.rowOf(word);
    if (row === undefined) throw new Error(`"${word}" is not among the words`);
    return row;
  };

  it("have tea beside coffee, and not coffee", async () => {
    const near = await space.nearest(rowOf("coffee"), 10);
    expect(near).toHaveLength(10);
    expect(near[0]?.word).toBe("tea");
    expect(near.map(({ word }) => word)).not.toContain("coffee");
    expect(near.map(({ distance }) => distance)).toEqual(near.map(({ distance }) => distance).sort((a, b) => a - b));
  });

  it("solve king − man + woman", async () => {
    const [best] = await space.solve(rowOf("man"), rowOf("king"), rowOf("woman"), 5);
    expect(best?.word).toBe("queen");
  });

  it.each(EXAMPLES)("solve %s : %s = %s : ?, none of the three an answer", async (a, b, c, answer) => {
    const found = await space.solve(rowOf(a), rowOf(b), rowOf(c), 5);
    expect(found[0]?.word).toBe(answer);
    expect(found).toHaveLength(5);
    for (const asked of [a, b, c]) expect(found.map(({ word }) => word)).not.toContain(asked);
  });

  it("are explored by typing, and the last word typed is the one shown", async () => {
    const explorer = new Explorer(space);
    for (const text of ["c", "co", "cof", "coffe", "coffee", "coffeex"]) explorer.type(text);
    expect([explorer.text.value, explorer.word.value]).toEqual(["coffeex", "coffee"]);
    await expect.poll(() => explorer.neighbourhood.value?.word).toBe("coffee");
    const { neighbours, layout } = explorer.neighbourhood.value ?? { neighbours: [], layout: undefined };
    expect(neighbours).toHaveLength(NEIGHBOURS);
    expect(layout?.dots.map(({ word }) => word)).toEqual(["coffee", ...neighbours.map(({ word }) => word)]);
  });
});

describe("the layout", () => {
  const draw = uniform(3);
  const neighbours = Array.from({ length: 20 }, (_, row) => ({ word: `w${row}`, row, distance: row / 20 }));
  const vectors = neighbours.map(() => Float32Array.from({ length: 8 }, () => draw() - 0.5));
  const layout = layOut(neighbours, ({ row }) => vectors[row] ?? new Float32Array(8));

  it("fills its frame", () => {
    const [xs, ys] = [layout.dots.map(({ x }) => x), layout.dots.map(({ y }) => y)];
    expect(Math.max(...xs)).toBeCloseTo(layout.halfWidth, 12);
    expect(Math.min(...xs)).toBeCloseTo(-layout.halfWidth, 12);
    expect(Math.max(...ys)).toBeCloseTo(layout.halfHeight, 12);
    expect(Math.min(...ys)).toBeCloseTo(-layout.halfHeight, 12);
  });

  it("does not look at how long vectors are", () => {
    const longer = layOut(neighbours, ({ row }) => (vectors[row] ?? new Float32Array(8)).map((x) => x * 2 ** row));
    expect(longer).toEqual(layout);
  });

  it("of one word puts it in the middle", () => {
    const [dot] = layOut(neighbours.slice(0, 1), () => Float32Array.of(1, 2)).dots;
    expect([dot?.x, dot?.y]).toEqual([0, 0]);
  });

  const at = (word: string, x: number): Layout["dots"][number] => ({ word, distance: 0, x, y: 0, opacity: 1 });
  const from: Layout = { dots: [at("both", 0), at("gone", 1)], halfWidth: 1, halfHeight: 1 };
  const to: Layout = { dots: [at("new", 1), at("both", 4)], halfWidth: 4, halfHeight: 2 };

  it("moves words of both, and lets the others come and go", () => {
    const half = between(from, to, 0.5);
    expect(half.dots.map(({ word, x, opacity }) => [word, x, opacity])).toEqual([
      ["new", 1, 0.5],
      ["both", 2, 1],
      ["gone", 1, 0.5],
    ]);
    expect([half.halfWidth, half.halfHeight]).toEqual([2.5, 1.5]);
    expect(between(from, to, 1)).toBe(to);
  });

  it("may be left for another on the way", () => {
    const back = between(between(from, to, 0.5), from, 0.5);
    expect(back.dots.map(({ word, x, opacity }) => [word, x, opacity])).toEqual([
      ["both", 1, 1],
      ["gone", 1, 0.75],
      ["new", 1, 0.25],
    ]);
  });
});

describe("labels", () => {
  const area = { width: 300, height: 200 };

  it("lie right of their dot, else left, below or above", () => {
    const spot = { x: 150, y: 100, labelWidth: 40 };
    const boxes = placeLabels([spot, spot, spot, spot, spot], 10, area);
    expect(boxes.map((box) => box && [box.left, box.top])).toEqual([
      [158, 95],
      [102, 95],
      [130, 108],
      [130, 82],
      undefined,
    ]);
  });

  it("never overlap or leave the area, and the first of two in one place is kept", () => {
    const draw = uniform(5);
    const dots = Array.from({ length: 200 }, () => ({
      x: draw() * 340 - 20,
      y: draw() * 240 - 20,
      labelWidth: 20 + draw() * 60,
    }));
    const boxes = placeLabels(dots, 12, area);
    const shown = boxes.flatMap((box) => (box === undefined ? [] : [box]));
    expect(shown.length).toBeGreaterThan(20);
    for (const [i, a] of shown.entries()) {
      expect(a.left >= 0 && a.top >= 0 && a.left + a.width <= 300 && a.top + a.height <= 200).toBe(true);
      for (const b of shown.slice(i + 1)) {
        const [across, down] = [
          Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left),
          Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top),
        ];
        expect(across > 0 && down > 0).toBe(false);
      }
    }
    // What comes later changes nothing of what came before.
    expect(placeLabels(dots.slice(0, 100), 12, area)).toEqual(boxes.slice(0, 100));
  });
});
