/** float16 in software, against arithmetic that shares nothing with it. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { floatToHalf, halfToFloat } from "../../src/core/half.ts";
import { uniform } from "../contract/random.ts";

/** The value of a half, from its definition. */
function valueOf(h: number): number {
  const exponent = (h >> 10) & 31;
  const fraction = h & 0x3ff;
  const sign = h >= 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The bits of the half nearest to x, found by bisection among all that there are; ties to the even one. */
function nearest(x: number): number {
  if (Number.isNaN(x)) return 0x7e00;
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(x);
  if (magnitude >= 65520) return sign | 0x7c00; // half-way from 65504 to the 65536 that there is not
  let low = 0;
  let high = 0x7bff;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (valueOf(middle) <= magnitude) low = middle;
    else high = middle - 1;
  }
  if (low === 0x7bff) return sign | low;
  const [below, above] = [magnitude - valueOf(low), valueOf(low + 1) - magnitude];
  if (below === above) return sign | (low % 2 === 0 ? low : low + 1);
  return sign | (below < above ? low : low + 1);
}

test("all 65,536 halves decode to their value and encode to themselves", () => {
  for (let h = 0; h < 0x10000; h++) {
    const value = halfToFloat(h);
    if (!Object.is(value, valueOf(h))) expect([h, value]).toEqual([h, valueOf(h)]);
    const back = Number.isNaN(value) ? 0x7e00 : h; // one NaN stands for all
    if (floatToHalf(value) !== back) expect([h, floatToHalf(value)]).toEqual([h, back]);
  }
});

test("float32 values of all magnitudes round to the nearest half", () => {
  const draw = uniform(16);
  const words = new Uint32Array(1);
  const floats = new Float32Array(words.buffer);
  for (let i = 0; i < 200_000; i++) {
    // Every second one among the exponents that halves have, where there is something to round.
    words[0] = i % 2 === 0 ? draw() * 2 ** 32 : (draw() < 0.5 ? 0x80000000 : 0) + 0x32000000 + draw() * 0x16000000;
    const [x = 0] = floats;
    if (floatToHalf(x) !== nearest(x)) expect([x, floatToHalf(x)]).toEqual([x, nearest(x)]);
  }
});

test("halfway between two halves the even one is taken, and one float32 beside it the nearer", () => {
  const bits = new Uint32Array(1);
  const float = new Float32Array(bits.buffer);
  for (let h = 0; h < 0x7bff; h++) {
    float[0] = (valueOf(h) + valueOf(h + 1)) / 2; // exact in float32
    const half = bits[0] ?? 0;
    expect(floatToHalf(float[0])).toBe(h % 2 === 0 ? h : h + 1);
    bits[0] = half - 1;
    expect(floatToHalf(float[0])).toBe(h);
    bits[0] = half + 1;
    expect(floatToHalf(float[0])).toBe(h + 1);
  }
});

test.each([
  [65504, 0x7bff],
  [65519.99609375, 0x7bff], // the float32 before 65520
  [65520, 0x7c00],
  [-65520, 0xfc00],
  [3.4028234663852886e38, 0x7c00],
  [-Infinity, 0xfc00],
  [Number.NaN, 0x7e00],
  [-0, 0x8000],
  [2 ** -24, 1],
  [2 ** -25, 0], // half of the smallest: to even
  [2 ** -25 * (1 + 2 ** -23), 1],
  [-(2 ** -25), 0x8000],
  [2 ** -14, 0x0400],
  [2 ** -14 - 2 ** -25, 0x0400], // the largest subnormal and a half: to even, which is normal
  [1e-45, 0],
])("the half of %d is %d", (x, h) => {
  expect(floatToHalf(x)).toBe(h);
});

test("rounding is monotone and odd", () => {
  const float = fc.float({ noNaN: true });
  fc.assert(
    fc.property(float, float, (a, b) => {
      const [low, high] = a <= b ? [a, b] : [b, a];
      expect(halfToFloat(floatToHalf(low))).toBeLessThanOrEqual(halfToFloat(floatToHalf(high)));
      expect(floatToHalf(-a)).toBe(floatToHalf(a) ^ 0x8000);
    }),
    { numRuns: 2000 },
  );
});
