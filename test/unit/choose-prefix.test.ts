/** The choice of a prefix: short where data have structure, none where they have not; and what a scan with it finds. */
import { describe, expect, test } from "vitest";
import { type Basis, learnBasis, type ProductMetric } from "../../src/core/basis.ts";
import { certifiedInterval, scanBound } from "../../src/core/certificate.ts";
import { choosePrefix, type PrefixChoice } from "../../src/core/choose-prefix.ts";
import { encodeVector, prefixProjection } from "../../src/core/encoding.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { toEstimateScale } from "../../src/core/margin.ts";
import { referenceDistance } from "../../src/core/reference.ts";
import { runToEnd } from "../../src/core/slices.ts";
import { normal } from "../contract/random.ts";

const METRICS: readonly ProductMetric[] = ["cosine", "dot", "euclidean"];

/** Clusters and noise of variance 1/(i + 1) on axis i, turned by a reflection so that no axis is special. */
function structured(count: number, d: number): Float32Array {
  const draw = normal(4);
  const mirror = Float64Array.from({ length: d }, () => draw());
  const length2 = mirror.reduce((sum, v) => sum + v * v, 0);
  const clusters = Array.from({ length: 20 }, () => Float64Array.from({ length: d }, (_, i) => draw() / (i + 1)));
  const rows = new Float32Array(count * d);
  for (let row = 0; row < count; row++) {
    const z = Array.from({ length: d }, (_, i) => (clusters[row % 20]?.[i] ?? 0) + (0.5 * draw()) / (i + 1));
    const along = (2 * z.reduce((sum, v, i) => sum + v * (mirror[i] ?? 0), 0)) / length2;
    for (let i = 0; i < d; i++) rows[row * d + i] = (z[i] ?? 0) - along * (mirror[i] ?? 0);
  }
  return rows;
}

function gaussian(count: number, d: number): Float32Array {
  const draw = normal(9);
  return Float32Array.from({ length: count * d }, () => draw());
}

interface Setting {
  readonly metric: ProductMetric;
  readonly sample: Float32Array;
  readonly d: number;
  readonly basis: Basis;
  readonly choice: PrefixChoice;
}

function choose(
  metric: ProductMetric,
  sample: Float32Array,
  d: number,
  o: Partial<Parameters<typeof choosePrefix>[0]> = {},
): Setting {
  const count = sample.length / d;
  const basis = runToEnd(learnBasis({ metric, dimensions: d, sample, count }));
  const options = { basis, metric, sample, count, rowCount: 50_000, rowBytesFull: 4 * d, ...o };
  return { metric, sample, d, basis, choice: runToEnd(choosePrefix(options)) };
}

describe.each(METRICS)("for %s", (metric) => {
  test("structured data get a short prefix, and few rows survive", () => {
    const { choice } = choose(metric, structured(2000, 96), 96);
    expect(choice.m).toBeLessThan(96);
    expect(choice.m % 16).toBe(0);
    expect(choice.survivorsFraction).toBeLessThan(0.1);
    expect(choice.fullBytesPerRow).toBe(384);
    expect(choice.expectedBytesPerRow).toBeLessThan(384 / 3);
    expect(choice.expectedBytesPerRow).toBeCloseTo(choice.m + 8 + choice.survivorsFraction * 2 * 384, 9);
  });

  test("Gaussian noise gets all dimensions", () => {
    const { choice } = choose(metric, gaussian(2000, 64), 64);
    expect(choice.m).toBe(64);
    expect(choice.survivorsFraction).toBeLessThan(0.05);
  });

  test("a scan with the chosen prefix keeps about the foretold rows, and all of the answer", () => {
    const d = 96;
    const { sample, basis, choice } = choose(metric, structured(2000, d), d, { rowCount: 2000 });
    const projection = prefixProjection(basis, choice.m);
    const encodings = Array.from({ length: 2000 }, (_, row) => encodeVector(projection, metric, sample, row * d));
    let kept = 0;
    const queries = 10;
    for (let i = 0; i < queries; i++) {
      const row = 7 + i * 190;
      const q = sample.subarray(row * d, (row + 1) * d);
      const code = encodings[row] ?? encodeVector(projection, metric, q);
      const bound = scanBound({ metric, dimensions: d, query: code, defect: projection.defect });
      const distances = encodings.map((_, x) => referenceDistance(metric, q, sample.subarray(x * d, (x + 1) * d)));
      const order = distances.map((_, x) => x).sort((a, b) => (distances[a] ?? 0) - (distances[b] ?? 0) || a - b);
      const limit = toEstimateScale(metric, distances[order[9] ?? 0] ?? 0, 1);
      const survivors = encodings.map((e) => certifiedInterval(metric, code, e, bound).low <= limit);
      for (const x of order.slice(0, 10)) expect(survivors[x]).toBe(true);
      kept += survivors.filter(Boolean).length / 2000;
    }
    expect(kept / queries).toBeLessThan(3 * choice.survivorsFraction + 0.02);
  });
});

describe("the choice", () => {
  test("weighs gathering against streaming", () => {
    const sample = structured(1500, 64);
    const candidates = [2, 4, 8, 16, 32];
    const cheap = choose("cosine", sample, 64, { gatherCost: 0, candidates }).choice;
    const dear = choose("cosine", sample, 64, { gatherCost: 1000, candidates }).choice;
    expect(cheap.m).toBe(2);
    expect(dear.m).toBeGreaterThan(4);
    expect(dear.survivorsFraction).toBeLessThan(cheap.survivorsFraction);
  });

  test("keeps to the candidates, and to all dimensions where there are none or no rows", () => {
    const sample = structured(500, 64);
    expect(choose("cosine", sample, 64, { candidates: [24] }).choice.m).toBe(24);
    expect(choose("cosine", sample, 64, { candidates: [] }).choice.m).toBe(64);
    expect(choose("cosine", sample, 64, { candidates: [0, 64, 1000] }).choice.m).toBe(64);
    expect(choose("dot", new Float32Array(0), 8).choice.m).toBe(8);
    expect(choose("dot", Float32Array.of(1, 2, 3, 4), 4).choice.m).toBe(4);
    expect(choose("euclidean", new Float32Array(100 * 40), 40).choice.m).toBeGreaterThan(0);
  });

  test("is made in pieces of a slice, of bounded work", () => {
    const d = 96;
    const sample = structured(3000, d);
    const basis = runToEnd(learnBasis({ metric: "cosine", dimensions: d, sample, count: 3000 }));
    let [largest, total] = [0, 0];
    for (const work of choosePrefix({
      basis,
      metric: "cosine",
      sample,
      count: 3000,
      rowCount: 1e6,
      rowBytesFull: 384,
    })) {
      largest = Math.max(largest, work);
      total += work;
    }
    expect(largest).toBeLessThanOrEqual(LIMITS.sliceElements);
    expect(total).toBeLessThan(LIMITS.prefixWork);
  });
});
