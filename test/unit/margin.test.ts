/** The error model of the float32 scan, tried against adversarial float32 arithmetic: every rounding as bad as WGSL allows. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isComfortable, unitExponent } from "../../src/core/comfort.ts";
import { admissibleEstimate, ESTIMATE_MAX, scanMargin, toEstimateScale } from "../../src/core/margin.ts";
import { FLOAT_METRICS, type FloatMetric } from "../../src/core/metric.ts";
import { referenceDistance } from "../../src/core/reference.ts";
import { type RowsScanned, scanQuery } from "../../src/gpu/query.ts";
import { uniform } from "../contract/random.ts";
import { rounder } from "./float32.ts";

const rows = (metric: FloatMetric, dimensions: number, exponent: number): RowsScanned => ({
  metric,
  precision: "f32",
  dimensions,
  minNorm: 1,
  maxNorm: 1,
  exponent,
});

/** A sequential float32 estimate in estimate scale. Cosine gets a unit query and the row's reciprocal norm, as the scan does. */
function estimate(
  metric: FloatMetric,
  q: readonly number[],
  x: readonly number[],
  round: (v: number) => number,
): number {
  let sum = 0;
  for (let i = 0; i < q.length; i++) {
    const [a = 0, b = 0] = [q[i], x[i]];
    const difference = round(a - b);
    const term =
      metric === "euclidean"
        ? round(difference * difference)
        : metric === "manhattan"
          ? Math.abs(difference)
          : round(a * b);
    sum = round(sum + term);
  }
  if (metric === "dot") return -sum;
  if (metric === "cosine") return round(1 - round(sum * round(1 / Math.hypot(...x))));
  return sum;
}

const vector = (d: number): fc.Arbitrary<number[]> =>
  fc.array(
    fc.double({ min: -8, max: 8, noNaN: true }).map((v) => Math.fround(v)),
    { minLength: d, maxLength: d },
  );

describe.each(FLOAT_METRICS)("the %s margin", (metric) => {
  const vectors = fc.integer({ min: 1, max: 64 }).chain((d) => fc.tuple(vector(d), vector(d), fc.boolean()));

  test("holds the truth between low and high for any allowed rounding", () => {
    fc.assert(
      fc.property(vectors, ([q, x, isUp]) => {
        const queryNorm = Math.hypot(...q);
        const rowNorm = Math.hypot(...x);
        fc.pre(metric !== "cosine" || (queryNorm > 1e-3 && rowNorm > 1e-3));
        const round = rounder(isUp ? 1 : -1);
        const scanned = metric === "cosine" ? q.map((v) => Math.fround(v / queryNorm)) : q;
        const e = estimate(metric, scanned, x, round);
        const margin = scanMargin(metric, q.length, metric === "cosine" ? 1 : queryNorm, 1);
        const canonical = referenceDistance(metric, Float32Array.from(q), Float32Array.from(x));
        // Admissible: a row at that canonical distance is never ruled out.
        expect(e - margin.perNorm * rowNorm).toBeLessThanOrEqual(admissibleEstimate(metric, canonical, 1, margin));
        // And the other way round: the upper end is at least the canonical distance in estimate scale.
        const high = e + margin.relative * Math.abs(e) + margin.perNorm * rowNorm + margin.absolute;
        const truth = metric === "euclidean" ? canonical * canonical : canonical;
        expect(high).toBeGreaterThanOrEqual(truth - Math.abs(truth) * 2 ** -23);
      }),
      { numRuns: 2000 },
    );
  });

  test("is needed: a hundredth of it is violated by adversarial rounding", () => {
    const draw = uniform(11);
    let violations = 0;
    for (let run = 0; run < 3000; run++) {
      const q = Array.from({ length: 64 }, () => Math.fround(draw() * 2 - 1));
      const x = Array.from({ length: 64 }, () => Math.fround(draw() * 2 - 1));
      const queryNorm = Math.hypot(...q);
      const scanned = metric === "cosine" ? q.map((v) => Math.fround(v / queryNorm)) : q;
      const e = estimate(metric, scanned, x, rounder(run % 2 === 0 ? 1 : -1));
      const { relative, perNorm, absolute } = scanMargin(metric, 64, metric === "cosine" ? 1 : queryNorm, 1);
      const small = { relative: relative / 100, perNorm: perNorm / 100, absolute: absolute / 100 };
      const canonical = referenceDistance(metric, q, x);
      if (e - small.perNorm * Math.hypot(...x) > admissibleEstimate(metric, canonical, 1, small)) violations++;
    }
    expect(violations).toBeGreaterThan(0);
  });
});

describe("scales", () => {
  test("unitExponent brings any positive norm into [1, 2)", () => {
    fc.assert(
      fc.property(fc.double({ min: 2 ** -149, max: 2 ** 136, noNaN: true }), (norm) => {
        const scaled = norm * 2 ** unitExponent(norm);
        expect(scaled).toBeGreaterThanOrEqual(1);
        expect(scaled).toBeLessThan(2);
      }),
    );
    expect(unitExponent(0)).toBe(0);
  });

  test("toEstimateScale never falls below the distance, and admits all where distances clamp", () => {
    expect(toEstimateScale("dot", 3.4028234663852886e38, 1)).toBe(Infinity);
    expect(toEstimateScale("euclidean", -1, 1)).toBe(-Infinity);
    for (const metric of FLOAT_METRICS) {
      expect(toEstimateScale(metric, 0, 1)).toBeGreaterThanOrEqual(0);
      const scaled = toEstimateScale(metric, 3, metric === "cosine" ? 1 : 4);
      expect(scaled).toBeGreaterThan({ cosine: 3, dot: 12, euclidean: 144, manhattan: 12 }[metric] * (1 - 1e-9));
      expect(scaled).toBeLessThan({ cosine: 3, dot: 12, euclidean: 144, manhattan: 12 }[metric] * (1 + 1e-6));
    }
  });

  test("GPU parameters are finite float32 values whatever the magnitudes", () => {
    const norm = fc.double({ min: 2 ** -149, max: 2 ** 136, noNaN: true });
    fc.assert(
      fc.property(
        fc.constantFrom(...FLOAT_METRICS),
        norm,
        fc.integer({ min: -160, max: 160 }),
        fc.double({ noNaN: true }),
        (metric, queryNorm, exponent, limit) => {
          const query = scanQuery(rows(metric, 64, metric === "cosine" ? 0 : exponent), queryNorm, Math.fround(limit));
          fc.pre(query !== undefined);
          for (const value of query?.params ?? [Number.NaN]) {
            expect(Math.abs(Math.fround(value))).toBeLessThanOrEqual(ESTIMATE_MAX);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("a euclidean query far beyond the rows' scale is left to the float64 scan", () => {
    expect(scanQuery(rows("euclidean", 4, 0), 1e30, Infinity)).toBeUndefined();
    expect(scanQuery(rows("euclidean", 4, 0), 1, Infinity)).toBeDefined();
    expect(scanQuery(rows("dot", 4, 0), 1e30, Infinity)).toBeDefined();
    expect(isComfortable(1e30)).toBe(false);
  });
});
