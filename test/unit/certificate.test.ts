/** The bounds of the certified scan, against exact arithmetic; and halved, to show that they are needed in full. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Basis, learnBasis, type ProductMetric } from "../../src/core/basis.ts";
import {
  boundOf,
  certifiedInterval,
  estimateDistance,
  estimateSlack,
  type QueryBound,
  queryBound,
  scanBound,
} from "../../src/core/certificate.ts";
import { type Encoding, encodeVector, prefixProjection } from "../../src/core/encoding.ts";
import { identityProjection, type Projection } from "../../src/core/projection.ts";
import { unitExponent } from "../../src/core/comfort.ts";
import { toEstimateScale } from "../../src/core/margin.ts";
import { referenceDistance } from "../../src/core/reference.ts";
import { runToEnd } from "../../src/core/slices.ts";
import { normal, uniform } from "../contract/random.ts";
import { absolute, atMost, type Exact, exact, inner, minus, norm, over, times } from "./exact.ts";
import { rounder } from "./float32.ts";

const METRICS: readonly ProductMetric[] = ["cosine", "dot", "euclidean"];
const SEED = 20_260_101;
const RUNS = { seed: SEED, numRuns: 60, verbose: 1 } as const;

/** [count × d] of one kind; every kind that once looked dangerous. */
const KINDS: Record<string, (count: number, d: number, seed: number) => number[]> = {
  random: (count, d, seed) => fill(count, d, seed, (g) => g()),
  decaying: (count, d, seed) => fill(count, d, seed, (g, i) => g() / (i + 1)),
  steep: (count, d, seed) => fill(count, d, seed, (g, i) => g() * 2 ** -i),
  clustered: (count, d, seed) => fill(count, d, seed, (g, i, row) => Math.sin(i * (1 + (row % 3))) * 3 + 0.01 * g()),
  offset: (count, d, seed) => fill(count, d, seed, (g) => 1000 + g()),
  duplicates: (count, d) => fill(count, d, 1, (_, i, row) => ((i * 7) % 5) - 2 + (row % 2)),
  sparse: (count, d, seed) => fill(count, d, seed, (g, i, row) => (i % 4 === row % 4 ? g() : 0)),
  tiny: (count, d, seed) => fill(count, d, seed, (g) => g() * 1e-36),
  huge: (count, d, seed) => fill(count, d, seed, (g) => g() * 1e36),
  mixed: (count, d, seed) => fill(count, d, seed, (g, _, row) => g() * 10 ** (3 * (row % 5) - 6)),
};

function fill(
  count: number,
  d: number,
  seed: number,
  value: (g: () => number, i: number, row: number) => number,
): number[] {
  const draw = normal(seed);
  return Array.from({ length: count * d }, (_, at) => value(draw, at % d, Math.floor(at / d)));
}

interface Case {
  readonly name: string;
  readonly metric: ProductMetric;
  readonly d: number;
  readonly rows: Float32Array;
  readonly projection: Projection;
  /** By which dot and euclidean data are scaled, as an engine would. */
  readonly exponent: number;
}

const COUNT = 12;

/** Data of some kind with some projection: the identity, a prefix of 1 … d directions learnt from it or from other data. */
const cases: fc.Arbitrary<Case> = fc
  .record({
    kind: fc.constantFrom(...Object.keys(KINDS)),
    metric: fc.constantFrom(...METRICS),
    d: fc.integer({ min: 1, max: 20 }),
    prefix: fc.double({ min: 0, max: 1.3, noNaN: true }),
    learnt: fc.boolean(),
    seed: fc.nat(1e6),
  })
  .map(({ kind, metric, d, prefix, learnt, seed }) => {
    const rows = Float32Array.from(KINDS[kind]?.(COUNT, d, seed) ?? []);
    // Rows 10 and 11: an extreme of each other, and a zero vector where the metric has one.
    for (let i = 0; i < d; i++) rows[10 * d + i] = -(rows[9 * d + i] ?? 0);
    if (metric !== "cosine") rows.fill(0, 11 * d, 12 * d);
    const own = runToEnd(learnBasis({ metric, dimensions: d, sample: rows, count: COUNT, directions: d }));
    const sample = Float32Array.from(KINDS["random"]?.(COUNT, d, seed + 1) ?? []);
    const other = runToEnd(learnBasis({ metric, dimensions: d, sample, count: COUNT, directions: d }));
    const basis = learnt ? own : { ...other, mean: own.mean };
    const m = Math.ceil(prefix * d);
    const mean = metric === "euclidean" ? basis.mean : undefined;
    const projection = m > d || m === 0 ? identityProjection(d, mean) : prefixProjection(basis, m);
    return {
      name: `${kind}/${seed}`,
      metric,
      d,
      rows,
      projection,
      exponent: metric === "cosine" ? 0 : exponentOf(rows, d),
    };
  })
  // A projection to nothing but rounding gives cosine rows of norm 0: no data.
  .filter(({ metric, rows, d }) => metric !== "cosine" || everyRow(rows, d, (row) => Math.hypot(...row) > 0));

function everyRow(rows: Float32Array, d: number, holds: (row: Float32Array) => boolean): boolean {
  for (let at = 0; at < rows.length; at += d) if (!holds(rows.subarray(at, at + d))) return false;
  return true;
}

function exponentOf(rows: Float32Array, d: number): number {
  let largest = 0;
  for (let at = 0; at < rows.length; at += d) largest = Math.max(largest, Math.hypot(...rows.subarray(at, at + d)));
  return unitExponent(largest);
}

/** b, P·b and b − Pᵀ·P·b, exactly. */
function truth(c: Case, row: number): { b: Exact[]; y: Exact[]; r: Exact[] } {
  const { d, projection: p, metric } = c;
  const stored = Array.from(c.rows.subarray(row * d, (row + 1) * d), exact);
  const mean = metric === "euclidean" && p.mean !== undefined ? Array.from(p.mean, exact) : [];
  const centred = minus(stored, mean);
  const length = norm(centred);
  const factor = exact(2 ** c.exponent);
  const b = centred.map((value) => (metric === "cosine" ? over(value, length) : times(value, factor)));
  const { vectors } = p;
  if (vectors === undefined) return { b, y: b, r: b.map(() => 0n) };
  const directions = Array.from({ length: p.length }, (_, k) =>
    Array.from(vectors.subarray(k * d, (k + 1) * d), exact),
  );
  const y = directions.map((direction) => inner(direction, b));
  const r = b.map(
    (value, i) =>
      value -
      inner(
        y,
        directions.map((direction) => direction[i] ?? 0n),
      ),
  );
  return { b, y, r };
}

function encode(c: Case, row: number): Encoding {
  return encodeVector(c.projection, c.metric, c.rows, row * c.d, c.exponent);
}

function decoded(e: Encoding): Exact[] {
  return Array.from(e.codes, (code) => exact(e.scale) * BigInt(code));
}

/** The true distance in estimate scale. */
function trueDistance(c: Case, query: number, row: number): Exact {
  const [a, b] = [truth(c, query).b, truth(c, row).b];
  if (c.metric === "euclidean") return inner(minus(a, b), minus(a, b));
  return (c.metric === "cosine" ? exact(1) : 0n) - inner(a, b);
}

function canonicalLimit(c: Case, query: number, row: number): number {
  const vector = (i: number): Float32Array => c.rows.subarray(i * c.d, (i + 1) * c.d);
  const scale = c.metric === "dot" ? 2 ** (2 * c.exponent) : 2 ** c.exponent;
  return toEstimateScale(c.metric, referenceDistance(c.metric, vector(query), vector(row)), scale);
}

const pair = fc.tuple(fc.nat(COUNT - 1), fc.nat(COUNT - 1));

describe("an encoding", () => {
  test("states upper bounds of the true norms", () => {
    fc.assert(
      fc.property(cases, fc.nat(COUNT - 1), (c, row) => {
        const e = encode(c, row);
        const { b, y, r } = truth(c, row);
        expect(atMost(norm(minus(y, decoded(e))), exact(e.errorNorm)), "E").toBe(true);
        expect(atMost(norm(decoded(e)), exact(e.codeNorm)), "C").toBe(true);
        expect(atMost(norm(r), exact(e.residualNorm)), "R").toBe(true);
        expect(atMost(norm(y), exact(e.projectedNorm)), "A").toBe(true);
        expect(atMost(norm(b), exact(e.norm)), "norm").toBe(true);
        const norm2 = inner(b, b);
        const slack = times(norm2, exact(2 ** -23)) + exact(2 ** -149);
        expect(atMost(absolute(exact(e.norm2) - norm2), slack), "norm2").toBe(true);
        for (const value of [e.errorNorm, e.codeNorm, e.residualNorm, e.projectedNorm, e.norm]) {
          expect(value === 0 || value >= 2 ** -126).toBe(true);
          expect(Math.fround(value)).toBe(value);
        }
      }),
      RUNS,
    );
  });

  test("states little more than the true norms", () => {
    fc.assert(
      fc.property(cases, fc.nat(COUNT - 1), (c, row) => {
        const e = encode(c, row);
        const { y, r } = truth(c, row);
        const floor = e.norm * 1e-11 + 2 ** -126;
        expect(atMost(exact(e.errorNorm * (1 - 2 ** -22) - floor), norm(minus(y, decoded(e))))).toBe(true);
        expect(atMost(exact(e.residualNorm * (1 - 2 ** -22) - floor), norm(r))).toBe(true);
      }),
      RUNS,
    );
  });

  test("of a vector orthogonal to the projection has no codes to speak of and keeps its norm as residual", () => {
    const basis = axes(6, 2);
    const e = encodeVector(prefixProjection(basis, 2), "dot", Float32Array.of(0, 0, 3, 0, 4, 0));
    expect([...e.codes]).toEqual([0, 0]);
    expect(e.residualNorm).toBeCloseTo(5, 6);
    expect(e.scale).toBe(0);
  });
});

describe("a vector too small for a scale", () => {
  test.each([
    [2 ** -54, 0],
    [2 ** -53, 2 ** -53 / 127],
  ])("of largest component %d has scale %d, so that products of scales stay normal", (largest, scale) => {
    const e = encodeVector(identityProjection(3), "dot", Float32Array.of(0, largest, -largest / 2));
    expect(e.scale).toBe(Math.fround(scale));
    expect(e.codes.some((code) => code !== 0)).toBe(scale > 0);
    if (scale === 0) expect(e.errorNorm).toBeGreaterThanOrEqual(largest * Math.hypot(1, 0.5));
  });
});

describe("the bound of the inner product", () => {
  test("holds for all kinds of data, projections and metrics", () => {
    fc.assert(
      fc.property(cases, pair, (c, [query, row]) => {
        const [q, x] = [encode(c, query), encode(c, row)];
        const error = absolute(inner(truth(c, query).b, truth(c, row).b) - inner(decoded(q), decoded(x)));
        const bound = queryBound(q, c.projection.defect);
        expect(atMost(error, exact(boundOf(bound, x))), c.name).toBe(true);
      }),
      { ...RUNS, numRuns: 300 },
    );
  });
});

describe("the certified interval", () => {
  test("holds the true distance, and the canonical one is never ruled out", () => {
    fc.assert(
      fc.property(cases, pair, (c, [query, row]) => {
        const [q, x] = [encode(c, query), encode(c, row)];
        const bound = scanBound({ metric: c.metric, dimensions: c.d, query: q, defect: c.projection.defect });
        const { low, high } = certifiedInterval(c.metric, q, x, bound);
        const distance = trueDistance(c, query, row);
        expect(atMost(exact(low), distance), `${c.name} low`).toBe(true);
        expect(atMost(distance, exact(high)), `${c.name} high`).toBe(true);
        expect(low, c.name).toBeLessThanOrEqual(canonicalLimit(c, query, row));
      }),
      { ...RUNS, numRuns: 300 },
    );
  });

  test("holds it too when evaluated in float32 with every rounding as bad as WGSL allows, in any order", () => {
    fc.assert(
      fc.property(cases, pair, fc.nat(5), (c, [query, row], order) => {
        const [q, x] = [encode(c, query), encode(c, row)];
        const bound = scanBound({ metric: c.metric, dimensions: c.d, query: q, defect: c.projection.defect });
        for (const direction of [1, -1] as const) {
          const { low, high } = float32Interval(c.metric, q, x, bound, rounder(direction), order);
          expect(low, c.name).toBeLessThanOrEqual(canonicalLimit(c, query, row));
          expect(atMost(exact(low), trueDistance(c, query, row)), `${c.name} low`).toBe(true);
          expect(atMost(trueDistance(c, query, row), exact(high)), `${c.name} high`).toBe(true);
        }
      }),
      { ...RUNS, numRuns: 300 },
    );
  });

  test("needs the slack of float32: exactly coded vectors violate the bare bound", () => {
    const d = 4000; // Σ beyond 2^24, where its conversion rounds
    const draw = uniform(3);
    const violations = { dot: 0, euclidean: 0 };
    for (const metric of ["dot", "euclidean"] as const) {
      for (let run = 0; run < 5; run++) {
        const vector = (): Float32Array =>
          Float32Array.from({ length: d }, (_, i) => (i === 0 ? 127 : 64 + Math.round(draw() * 63)));
        const [a, b] = [vector(), vector()];
        const projection = identityProjection(d);
        const [q, x] = [encodeVector(projection, metric, a), encodeVector(projection, metric, b)];
        const whole = scanBound({ metric, dimensions: d, query: q, defect: 0 });
        const none = { perError: 0, perCode: 0, perResidual: 0, perNorm2: 0, absolute: 0 };
        const c: Case = { name: "integers", metric, d, rows: Float32Array.of(...a, ...b), projection, exponent: 0 };
        const distance = trueDistance(c, 0, 1);
        for (const round of [rounder(1), rounder(-1)]) {
          expect(atMost(exact(float32Interval(metric, q, x, whole, round, 0).low), distance)).toBe(true);
          if (!atMost(exact(float32Interval(metric, q, x, none, round, 0).low), distance)) violations[metric]++;
        }
      }
    }
    expect(violations.dot).toBeGreaterThan(0);
    expect(violations.euclidean).toBeGreaterThan(0);
  });

  test("fits an i32 at the largest dimensions", () => {
    expect(65_535 * 127 * 127).toBeLessThan(2 ** 31);
  });
});

/** (2) of certificate.ts in float32: terms in some order, each operation rounded by `round`. */
function float32Interval(
  metric: ProductMetric,
  q: Encoding,
  x: Encoding,
  bound: QueryBound,
  round: (v: number) => number,
  order: number,
): { low: number; high: number } {
  const flush = (v: number): number => (Math.abs(v) < 2 ** -126 ? 0 : v);
  const op = (v: number): number => flush(round(flush(v)));
  let sum = 0;
  for (let i = 0; i < x.codes.length; i++) sum += (q.codes[i] ?? 0) * (x.codes[i] ?? 0);
  const converted = op(sum);
  const product = order % 2 === 0 ? op(op(q.scale * x.scale) * converted) : op(q.scale * op(x.scale * converted));
  const estimate: number[] =
    metric === "cosine"
      ? [1, -product]
      : metric === "dot"
        ? [-product]
        : [flush(q.norm2), flush(x.norm2), -2 * product];
  const width = [
    op(bound.perError * x.errorNorm),
    op(bound.perCode * x.codeNorm),
    op(bound.perResidual * x.residualNorm),
    op(bound.perNorm2 * x.norm2),
    bound.absolute,
  ];
  const evaluate = (sign: 1 | -1): number => {
    const terms = [...estimate, ...width.map((term) => sign * term)];
    if (order >= 2) terms.reverse();
    if (order < 4) return terms.reduce((a, b) => op(a + b));
    // The width by itself first.
    const add = (values: readonly number[]): number => values.reduce((a, b) => op(a + b));
    return op(add(estimate) + sign * add(width));
  };
  return { low: evaluate(-1), high: evaluate(1) };
}

/** P = the first axes, times `stretch`. */
function axes(d: number, directions: number, stretch = 1): Basis {
  const vectors = new Float32Array(directions * d);
  for (let k = 0; k < directions; k++) vectors[k * d + k] = stretch;
  return {
    dimensions: d,
    directions,
    vectors,
    eigenvalues: new Float64Array(directions).fill(1),
    trace: directions,
    mean: new Float32Array(d),
  };
}

/** Pairs for which one term of the bound is all there is and nearly reached. */
const TIGHT: Record<
  string,
  { readonly projection: Projection; readonly q: readonly number[]; readonly x: readonly number[] }
> = {
  // Both orthogonal to P and parallel: a·b is all residual.
  "the residuals are parallel": { projection: prefixProjection(axes(4, 2), 2), q: [0, 0, 3, 4], x: [0, 0, 3, 4] },
  "the residuals are opposite": { projection: prefixProjection(axes(4, 2), 2), q: [0, 0, 3, 4], x: [0, 0, -3, -4] },
  // The row's small components are rounded to 0, and the query sees nothing else.
  "the row's quantisation error is along the query": {
    projection: identityProjection(5),
    q: [0, 127, 127, 127, 127],
    x: [127, 0.49, 0.49, 0.49, 0.49],
  },
  "the query's quantisation error is along the row": {
    projection: identityProjection(5),
    q: [127, 0.49, 0.49, 0.49, 0.49],
    x: [0, 127, -127, 127, -127].map(Math.abs),
  },
  // Directions a tenth too long: M = 1.21·I, and the residual −0.21 of the vector is known as well.
  "the directions are not of unit length": {
    projection: prefixProjection(axes(2, 1, 1.1), 1),
    q: [127, 0],
    x: [127, 0],
  },
};

describe.each(Object.entries(TIGHT))("where %s", (_, { projection, q, x }) => {
  test.each(METRICS)("the %s bound holds and half of it does not", (metric) => {
    const c: Case = {
      name: "tight",
      metric,
      d: q.length,
      rows: Float32Array.from([...q, ...x]),
      projection,
      exponent: 0,
    };
    const [a, b] = [encode(c, 0), encode(c, 1)];
    const bound = scanBound({ metric, dimensions: c.d, query: a, defect: projection.defect });
    const distance = trueDistance(c, 0, 1);
    const holds = (part: number): boolean => {
      const estimate = estimateDistance(metric, a, b);
      const width = part * boundOf(bound, b);
      return atMost(exact(estimate - width), distance) && atMost(distance, exact(estimate + width));
    };
    expect(holds(1)).toBe(true);
    expect(holds(0.5)).toBe(false);
  });
});

describe("each coefficient", () => {
  const needed: readonly [name: string, coefficient: keyof QueryBound][] = [
    ["the residuals are parallel", "perResidual"],
    ["the row's quantisation error is along the query", "perError"],
    ["the query's quantisation error is along the row", "perCode"],
    ["the directions are not of unit length", "perCode"],
  ];
  test.each(needed)("where %s: halving %s alone is noticed", (name, coefficient) => {
    const { projection, q, x } = TIGHT[name] ?? { projection: identityProjection(1), q: [], x: [] };
    const c: Case = {
      name,
      metric: "dot",
      d: q.length,
      rows: Float32Array.from([...q, ...x]),
      projection,
      exponent: 0,
    };
    const [a, b] = [encode(c, 0), encode(c, 1)];
    const error = absolute(inner(truth(c, 0).b, truth(c, 1).b) - inner(decoded(a), decoded(b)));
    const bound = queryBound(a, projection.defect);
    expect(atMost(error, exact(boundOf(bound, b)))).toBe(true);
    expect(atMost(error, exact(boundOf({ ...bound, [coefficient]: bound[coefficient] / 2 }, b)))).toBe(false);
  });

  test("of the slack has the scale of the estimate", () => {
    const q = encodeVector(identityProjection(3), "euclidean", Float32Array.of(100, 200, 200));
    const slack = estimateSlack({ metric: "euclidean", dimensions: 3, query: q, defect: 0 });
    expect(slack.absolute).toBeGreaterThan(9e4 * 2 ** -21);
    expect(slack.absolute).toBeLessThan(9e4 * 2 ** -18);
    expect(slack.perNorm2).toBeLessThan(2 ** -18);
    expect(estimateSlack({ metric: "dot", dimensions: 3, query: q, defect: 0 }).absolute).toBeLessThan(1e-20);
  });
});
