/** Principal directions: orthonormal whatever the sample, and the leading ones where there are any. */
import { describe, expect, test } from "vitest";
import {
  type Basis,
  learnBasis,
  orthonormalityDefect,
  prefixDefects,
  type ProductMetric,
} from "../../src/core/basis.ts";
import { basisSampleRows } from "../../src/core/sample.ts";
import { symmetricEigen } from "../../src/core/eigen.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { product, type Rows, transposed } from "../../src/core/product.ts";
import { runToEnd } from "../../src/core/slices.ts";
import { normal } from "../contract/random.ts";
import { exact, inner, root } from "./exact.ts";

const METRICS: readonly ProductMetric[] = ["cosine", "dot", "euclidean"];

function sampleOf(count: number, d: number, deviation: (i: number) => number, offset = 0, seed = 1): Float32Array {
  const draw = normal(seed);
  return Float32Array.from({ length: count * d }, (_, i) => offset + deviation(i % d) * draw());
}

function learn(metric: ProductMetric, d: number, sample: Float32Array, directions?: number): Basis {
  const count = sample.length / d;
  return runToEnd(
    learnBasis({ metric, dimensions: d, sample, count, ...(directions === undefined ? {} : { directions }) }),
  );
}

/** ‖P·Pᵀ − I‖_F, exactly. */
function trueDefect(basis: Basis, m: number): bigint {
  const d = basis.dimensions;
  const rows = Array.from({ length: m }, (_, k) => Array.from(basis.vectors.subarray(k * d, (k + 1) * d), exact));
  const entries = rows.flatMap((a, i) => rows.map((b, j) => inner(a, b) - (i === j ? exact(1) : 0n)));
  return root(inner(entries, entries));
}

describe("a basis", () => {
  test.each(METRICS)("for %s finds axes in order of their spread", (metric) => {
    const d = 48;
    // Axis (7·i mod 48) has deviation 2^(−i/2).
    const sample = sampleOf(600, d, (axis) => 2 ** -(((axis * 7) % d) / 2));
    const basis = learn(metric, d, sample);
    expect(basis.directions).toBe(32);
    for (let k = 0; k < 6; k++) {
      const axis = (k * 7) % d; // 7·7 = 49 = 1 mod 48
      expect(Math.abs(basis.vectors[k * d + axis] ?? 0)).toBeGreaterThan(0.9);
      expect(basis.eigenvalues[k]).toBeGreaterThan(basis.eigenvalues[k + 1] ?? Infinity);
    }
    const sum = basis.eigenvalues.reduce((a, b) => a + b, 0);
    expect(sum / basis.trace).toBeGreaterThan(0.999);
    expect(sum / basis.trace).toBeLessThan(1 + 1e-9);
  });

  test("for euclidean ignores an offset; for dot the offset is the first direction", () => {
    const d = 20;
    const sample = sampleOf(500, d, (i) => (i === 3 ? 5 : 0.5), 100);
    const euclidean = learn("euclidean", d, sample);
    expect(Math.abs(euclidean.vectors[3] ?? 0)).toBeGreaterThan(0.99);
    expect(euclidean.mean[0]).toBeCloseTo(100, 0);
    const dot = learn("dot", d, sample);
    for (let i = 0; i < d; i++) expect(Math.abs(dot.vectors[i] ?? 0)).toBeCloseTo(20 ** -0.5, 1);
    expect([...dot.mean]).toEqual(Array.from({ length: d }, () => 0));
  });

  test("is orthonormal for samples of low rank", () => {
    const d = 24;
    const samples: Record<string, Float32Array> = {
      none: new Float32Array(0),
      zero: new Float32Array(10 * d),
      "one row": sampleOf(1, d, () => 1),
      "few rows": sampleOf(5, d, () => 1),
      duplicates: Float32Array.from({ length: 40 * d }, (_, i) => (i % d) + 1),
      plane: Float32Array.from({ length: 40 * d }, (_, i) => (i % d < 2 ? Math.sin(i) : 0)),
      tiny: sampleOf(50, d, () => 1e-38),
      huge: sampleOf(50, d, () => 1e37),
    };
    for (const [name, sample] of Object.entries(samples)) {
      for (const metric of METRICS) {
        for (const directions of [1, 16, d]) {
          const basis = learn(metric, d, sample, directions);
          expect(basis.vectors.length, name).toBe(directions * d);
          expect(orthonormalityDefect(basis, directions), `${name} ${metric}`).toBeLessThan(2e-6);
          expect(basis.eigenvalues.every((value) => value >= 0 && Number.isFinite(value))).toBe(true);
        }
      }
    }
  });

  test("needs no moment matrix where there are few rows", () => {
    const d = 400;
    const basis = learn(
      "dot",
      d,
      sampleOf(30, d, (i) => (i === 17 ? 50 : 1)),
    );
    expect(Math.abs(basis.vectors[17] ?? 0)).toBeGreaterThan(0.99);
    expect(orthonormalityDefect(basis, basis.directions)).toBeLessThan(2e-6);
  });

  test("is the same for the same seed and works in one dimension", () => {
    const sample = sampleOf(100, 12, (i) => 1 / (i + 1));
    expect(learn("cosine", 12, sample)).toEqual(learn("cosine", 12, sample));
    expect(Math.abs(learn("euclidean", 1, Float32Array.of(1, 2, 3)).vectors[0] ?? 0)).toBe(1);
  });

  test("is learnt in pieces of a slice", () => {
    const d = 1100;
    const sample = sampleOf(600, d, (i) => 1 / (i + 1));
    let largest = 0;
    let steps = 0;
    for (const work of learnBasis({ metric: "cosine", dimensions: d, sample, count: 600, directions: 200 })) {
      largest = Math.max(largest, work);
      steps++;
    }
    expect(largest).toBeLessThanOrEqual(LIMITS.sliceElements ?? 0);
    expect(steps).toBeGreaterThan(1000);
  });

  test("asks for a bounded sample", () => {
    expect(basisSampleRows(100)).toBe(10_000);
    expect(basisSampleRows(1536)).toBe(2730);
    expect(basisSampleRows(65_535)).toBe(64);
  });
});

describe("the orthonormality defect", () => {
  test("is at least the true one, and hardly more", () => {
    const basis = learn(
      "dot",
      40,
      sampleOf(200, 40, (i) => 1 / (i + 1)),
    );
    const defects = runToEnd(prefixDefects(basis));
    expect(defects[0]).toBe(0);
    for (const m of [1, 2, 5, 16, 32]) {
      const claimed = defects[m] ?? 0;
      expect(orthonormalityDefect(basis, m)).toBe(claimed);
      expect(exact(claimed) >= trueDefect(basis, m)).toBe(true);
      expect(exact(claimed * 0.999) < trueDefect(basis, m)).toBe(true);
    }
  });

  test("sees rows that are not orthonormal", () => {
    const basis = { ...learn("dot", 3, new Float32Array(3)), vectors: Float32Array.of(1, 0, 0, 0.6, 0.8, 0, 0, 0, 2) };
    expect(orthonormalityDefect(basis, 1)).toBeCloseTo(0, 6);
    expect(orthonormalityDefect(basis, 2)).toBeCloseTo(0.6 * Math.SQRT2, 6);
    expect(orthonormalityDefect(basis, 3)).toBeCloseTo(Math.hypot(0.6 * Math.SQRT2, 3), 6);
  });
});

describe("the eigen-solver", () => {
  test.each([1, 2, 3, 17, 40])("reproduces a %i × %i matrix", (n) => {
    const draw = normal(n);
    const half: Rows = { data: Float64Array.from({ length: n * n }, () => draw()), rows: n, length: n };
    const matrix = runToEnd(product(half, half, true));
    const { values, vectors } = runToEnd(symmetricEigen({ ...matrix, data: matrix.data.slice() }));
    expect([...values]).toEqual([...values].sort((a, b) => b - a));
    const scaled = { ...vectors, data: vectors.data.map((value, i) => value * (values[Math.floor(i / n)] ?? 0)) };
    const again = runToEnd(product(runToEnd(transposed(scaled)), runToEnd(transposed(vectors))));
    for (let i = 0; i < n * n; i++) expect(again.data[i]).toBeCloseTo(matrix.data[i] ?? 0, 8);
  });

  test("takes zero, diagonal and graded matrices", () => {
    for (const entries of [
      [0, 0, 0],
      [1, 2, 3],
      [1e-300, 1, 1e200],
    ]) {
      const matrix = { data: new Float64Array(9), rows: 3, length: 3 };
      for (const [i, entry] of entries.entries()) matrix.data[i * 4] = entry;
      expect([...runToEnd(symmetricEigen(matrix)).values]).toEqual([...entries].sort((a, b) => b - a));
    }
  });
});
