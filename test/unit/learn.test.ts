/** Learning a projection: what is sampled, what comes of it, what it costs; and its products by kernel. */
import { beforeAll, describe, expect, test } from "vitest";
import { basisSampleRows } from "../../src/core/sample.ts";
import { floatToHalf } from "../../src/core/half.ts";
import {
  learningWork,
  learnProjection,
  type LearnProjectionOptions,
  type LearntProjection,
} from "../../src/core/learn.ts";
import { sampleRows } from "../../src/core/sample.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { type Multiply, product, type Rows } from "../../src/core/product.ts";
import { runToEnd } from "../../src/core/slices.ts";
import { inlinedKernels } from "../../src/cpu/kernel-bytes.ts";
import { kernelMultiply } from "../../src/cpu/multiply.ts";
import { normal } from "../contract/random.ts";

let multiply: Multiply;
beforeAll(async () => {
  multiply = kernelMultiply(await WebAssembly.compile((await inlinedKernels()).simd));
});

/** Deviation 2^(−i/4) on axis i, about 3. */
function structured(count: number, d: number): Float32Array {
  const draw = normal(d);
  return Float32Array.from({ length: count * d }, (_, at) => 3 + draw() * 2 ** -((at % d) / 4));
}

function gaussian(count: number, d: number): Float32Array {
  const draw = normal(d + 1);
  return Float32Array.from({ length: count * d }, () => draw());
}

function options(sample: Float32Array, d: number): LearnProjectionOptions {
  const count = sample.length / d;
  return { metric: "euclidean", dimensions: d, sample, count, rowCount: 50_000, rowBytes: 4 * d };
}

function worked(o: LearnProjectionOptions): { learnt: LearntProjection; total: number; largest: number } {
  const work = learnProjection(o);
  let [total, largest] = [0, 0];
  for (;;) {
    const step = work.next();
    if (step.done === true) return { learnt: step.value, total, largest };
    total += step.value;
    largest = Math.max(largest, step.value);
  }
}

test("a sample is taken at even distances, and decoded", () => {
  const floats = Float32Array.from({ length: 10 * 4 }, (_, i) => i);
  const halves = Uint16Array.from({ length: 10 * 8 }, (_, i) => floatToHalf(i));
  const bytesOf = (array: Float32Array | Uint16Array) => (first: number, count: number) =>
    new Uint8Array(array.buffer, first * 16, count * 16);
  const f32 = { dimensions: 3, precision: "f32", bytes: bytesOf(floats) } as const;
  const f16 = { dimensions: 3, precision: "f16", bytes: bytesOf(halves) } as const;
  expect([...runToEnd(sampleRows(f32, 9, 3))]).toEqual([0, 1, 2, 12, 13, 14, 24, 25, 26]);
  expect([...runToEnd(sampleRows(f16, 10, 2))]).toEqual([0, 1, 2, 40, 41, 42]);
});

describe("a projection", () => {
  test("of rows with structure is on their first directions, and its defect and mean are theirs", () => {
    const d = 64;
    const { learnt } = worked(options(structured(1000, d), d));
    const { projection, mean } = learnt;
    expect(projection?.length).toBe(16);
    expect(projection?.vectors?.length).toBe(16 * d);
    expect(Math.abs(projection?.vectors?.[0] ?? 0)).toBeGreaterThan(0.9);
    expect(projection?.defect).toBeGreaterThan(0);
    expect(projection?.defect).toBeLessThan(2e-6);
    expect(projection?.mean).toBe(mean);
    expect(mean[40]).toBeCloseTo(3, 1);
    expect(learnt.expectedBytesPerRow).toBeLessThan(learnt.fullBytesPerRow / 3);
    expect(learnt.fullBytesPerRow).toBe(256);
  });

  test("of noise is none", () => {
    const { learnt } = worked(options(gaussian(1000, 64), 64));
    expect(learnt.projection).toBeUndefined();
    expect(learnt.expectedBytesPerRow).toBeGreaterThan(64);
  });

  test.each([
    ["structured", structured],
    ["gaussian", gaussian],
  ])("is learnt in slices, of about the work foretold (%s)", (_, make) => {
    for (const [d, count] of [
      [48, 2000],
      [256, basisSampleRows(256) / 4],
      [300, 100],
    ] as const) {
      const { total, largest } = worked(options(make(count, d), d));
      const foretold = learningWork(d, count) - 2 * d * count; // without the sampling
      expect(largest).toBeLessThanOrEqual(LIMITS.sliceElements);
      expect(total / foretold).toBeGreaterThan(0.75);
      expect(total / foretold).toBeLessThan(1.1);
    }
  });

  test("is the same whatever multiplies, and in slices too", () => {
    const d = 96;
    const sample = structured(1500, d);
    const plain = worked(options(sample, d));
    const kernel = worked({ ...options(sample, d), multiply });
    expect(kernel.learnt.projection?.length).toBe(plain.learnt.projection?.length);
    expect(kernel.learnt.expectedBytesPerRow).toBeCloseTo(plain.learnt.expectedBytesPerRow, 6);
    expect(kernel.largest).toBeLessThanOrEqual(LIMITS.sliceElements);
    expect(kernel.total / plain.total).toBeCloseTo(1, 0);
  });
});

describe("product_f64", () => {
  const matrix = (rows: number, length: number, seed: number): Rows => {
    const draw = normal(seed);
    return { data: Float64Array.from({ length: rows * length }, () => draw()), rows, length };
  };
  const close = (got: Rows, wanted: Rows, length: number): void => {
    expect([got.rows, got.length]).toEqual([wanted.rows, wanted.length]);
    for (const [i, value] of wanted.data.entries()) {
      // Two sums of `length` products of normal numbers, each off by at most length·2⁻⁵³ of Σ|terms|.
      expect(Math.abs((got.data[i] ?? Number.NaN) - value)).toBeLessThan(8 * length * length * 2 ** -53);
    }
  };

  // Both sides of groups of four, panels of 32 and passes of 512; each after one that leaves its numbers behind.
  test.each([
    [1, 1, 1],
    [3, 2, 2],
    [4, 32, 512],
    [5, 33, 513],
    [9, 31, 511],
    [13, 65, 1025],
    [2, 7, 3],
  ])("%i × %i rows of %i elements: the kernel multiplies as plain JS does", (rows, columns, length) => {
    const [a, b] = [matrix(rows, length, 1), matrix(columns, length, 2)];
    close(runToEnd(multiply(a, b)), runToEnd(product(a, b)), length);
    close(runToEnd(multiply(b, b, true)), runToEnd(product(b, b)), length);
  });
});
