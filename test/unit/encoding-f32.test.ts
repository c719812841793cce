/** The slack of encodings made by a shader: float32 arithmetic at its worst, in several orders, against exact arithmetic. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { learnBasis } from "../../src/core/basis.ts";
import { prefixProjection } from "../../src/core/encoding.ts";
import { identityProjection, type Projection } from "../../src/core/projection.ts";
import { type Float32EncodingSlack, float32EncodingSlack } from "../../src/core/encoding-f32.ts";
import { runToEnd } from "../../src/core/slices.ts";
import { normal } from "../contract/random.ts";
import { atMost, type Exact, exact, inner, minus, norm } from "./exact.ts";
import { rounder } from "./float32.ts";

type Round = (value: number) => number;

/** A way to add up products: how, and the most roundings between a factor and the sum. */
interface Order {
  readonly sum: (terms: readonly number[], op: Round) => number;
  readonly depth: (count: number) => number;
}

const ORDERS: Record<string, Order> = {
  running: { sum: (terms, op) => terms.reduce((a, b) => op(a + b), 0), depth: (count) => count + 1 },
  backwards: { sum: (terms, op) => terms.reduceRight((a, b) => op(a + b), 0), depth: (count) => count + 1 },
  "four lanes": {
    sum: (terms, op) => {
      const lanes = [0, 0, 0, 0];
      for (const [i, term] of terms.entries()) lanes[i % 4] = op((lanes[i % 4] ?? 0) + term);
      const [a = 0, b = 0, c = 0, d = 0] = lanes;
      return op(op(a + b) + op(c + d));
    },
    depth: (count) => Math.ceil(count / 4) + 3,
  },
};

interface Shader {
  readonly projection: Projection;
  readonly order: Order;
  readonly slack: Float32EncodingSlack;
  readonly op: Round;
}

function shader(projection: Projection, order: Order, direction: 1 | -1, inputRoundings: number): Shader {
  const { dimensions, length, defect } = projection;
  const slack = float32EncodingSlack({
    dimensions,
    length,
    isIdentity: projection.vectors === undefined,
    inputRoundings,
    defect,
    projectionDepth: order.depth(dimensions),
    residualDepth: order.depth(length),
    normDepth: order.depth(Math.max(dimensions, length)),
  });
  const round = rounder(direction);
  const flush = (value: number): number => (Math.abs(value) < 2 ** -126 ? 0 : value);
  return { projection, order, slack, op: (value) => flush(round(flush(value))) };
}

/** What the shader computes of the loaded vector, slacks added as documented unless `part` shrinks them. */
function encode(s: Shader, loaded: readonly number[], part = 1) {
  const { op, order, projection, slack } = s;
  const { vectors, length: m, dimensions: d } = projection;
  const dot = (a: readonly number[], b: readonly number[]): number =>
    order.sum(
      a.map((v, i) => op(v * (b[i] ?? 0))),
      op,
    );
  // WGSL's sqrt may be off by 4.5 ulp; always downwards here.
  const length = (v: readonly number[]): number => Math.fround(Math.sqrt(dot(v, v)) * (1 - 4 * 2 ** -23));
  const direction = (k: number): number[] => Array.from((vectors ?? []).slice(k * d, (k + 1) * d));
  const y = vectors === undefined ? loaded : Array.from({ length: m }, (_, k) => dot(direction(k), loaded));
  const largest = Math.max(...y.map(Math.abs));
  const scale = largest < 2 ** -53 ? 0 : op(largest / 127);
  const codes = y.map((v) => (scale === 0 ? 0 : Math.max(-127, Math.min(127, Math.round(op(v / scale))))));
  const r =
    vectors === undefined
      ? []
      : loaded.map((v, j) =>
          op(
            v -
              dot(
                Array.from({ length: m }, (_, k) => vectors[k * d + j] ?? 0),
                y,
              ),
          ),
        );
  const n = Math.max(op(length(loaded) * op(1 + slack.norm)), 2 ** -40);
  const up = (value: number, by: number): number => op(value + op(op(by * part) * n));
  return {
    scale,
    codes,
    errorNorm: up(length(y.map((v, i) => op(v - op(scale * (codes[i] ?? 0))))), slack.error),
    residualNorm: vectors === undefined ? 0 : up(length(r), slack.residual),
    codeNorm: up(length(codes.map((code) => op(scale * code))), slack.code),
    projectedNorm: up(length(y), slack.projected),
    norm: n,
    norm2: dot(loaded, loaded),
  };
}

function truth(projection: Projection, b: readonly Exact[]): { y: Exact[]; r: Exact[] } {
  const { vectors, length: m, dimensions: d } = projection;
  if (vectors === undefined) return { y: [...b], r: [] };
  const directions = Array.from({ length: m }, (_, k) => Array.from(vectors.slice(k * d, (k + 1) * d), exact));
  const y = directions.map((direction) => inner(direction, b));
  return {
    y,
    r: b.map(
      (v, i) =>
        v -
        inner(
          y,
          directions.map((direction) => direction[i] ?? 0n),
        ),
    ),
  };
}

function violations(s: Shader, loaded: readonly number[], b: readonly Exact[], part = 1): string[] {
  const e = encode(s, loaded, part);
  const { y, r } = truth(s.projection, b);
  const coded = e.codes.map((code) => exact(e.scale) * BigInt(code));
  const claims: [string, Exact, number][] = [
    ["error", norm(minus(y, coded)), e.errorNorm],
    ["residual", norm(r), e.residualNorm],
    ["code", norm(coded), e.codeNorm],
    ["projected", norm(y), e.projectedNorm],
    ["norm", norm(b), e.norm],
  ];
  return claims.filter(([, is, claimed]) => !atMost(is, exact(claimed))).map(([name]) => name);
}

const vectorKinds: Record<string, (g: () => number, i: number) => number> = {
  normal: (g) => g(),
  decaying: (g, i) => g() / (i + 1) ** 2,
  positive: (g) => 1 + Math.abs(g()),
  offset: (g) => 300 + g(),
  small: (g) => g() * 2 ** -41,
  smaller: (g) => g() * 2 ** -70,
  large: (g) => g() * 2 ** 36,
  spiky: (g, i) => (i === 0 ? 1 : g() * 2 ** -24),
  constant: () => 0.7,
  zero: () => 0,
};

const cases = fc.record({
  kind: fc.constantFrom(...Object.keys(vectorKinds)),
  order: fc.constantFrom(...Object.keys(ORDERS)),
  direction: fc.constantFrom(1 as const, -1 as const),
  d: fc.integer({ min: 1, max: 40 }),
  prefix: fc.double({ min: 0.01, max: 1.3, noNaN: true }),
  load: fc.constantFrom("dot", "euclidean", "cosine"),
  seed: fc.nat(1e6),
});

describe("the slack of a shader's encoding", () => {
  test("keeps every norm an upper bound, in any order and with any rounding", () => {
    fc.assert(
      fc.property(cases, ({ kind, order, direction, d, prefix, load, seed }) => {
        const draw = normal(seed);
        const x = Array.from({ length: d }, (_, i) => Math.fround(vectorKinds[kind]?.(draw, i) ?? 0));
        const sample = Float32Array.from({ length: 8 * d }, () => draw());
        const basis = runToEnd(learnBasis({ metric: "dot", dimensions: d, sample, count: 8, directions: d }));
        const m = Math.ceil(prefix * d);
        const projection = m > d ? identityProjection(d) : prefixProjection(basis, m);
        const s = shader(projection, ORDERS[order] as Order, direction, { dot: 0, euclidean: 1, cosine: 2 }[load]);
        let loaded = x;
        let b = x.map(exact);
        if (load === "euclidean") {
          const mean = x.map((_, i) => Math.fround(draw() * (x[i] ?? 0)));
          b = minus(b, mean.map(exact));
          loaded = x.map((v, i) => s.op(v - (mean[i] ?? 0)));
        } else if (load === "cosine") {
          fc.pre(kind !== "zero");
          const inverse = Math.fround(1 / Math.hypot(...x));
          const length = norm(b);
          b = b.map((v) => (v << 900n) / length);
          loaded = x.map((v) => s.op(v * inverse));
        }
        expect(violations(s, loaded, b)).toEqual([]);
        const e = encode(s, loaded);
        const norm2 = Number(inner(b, b) >> 640n) * 2 ** -260;
        expect(Math.abs(e.norm2 - norm2)).toBeLessThanOrEqual(norm2 * s.slack.norm2 + 2 ** -100);
      }),
      { seed: 77, numRuns: 1500, verbose: 1 },
    );
  });

  test("is needed: a third of it is violated where every addition rounds down by almost an ulp", () => {
    // p = b = (1, t, … t) with t² just below an ulp of 1: the running sum of p·b stays at 1.
    const d = 256;
    const t = Math.fround(Math.sqrt(0.99 * 2 ** -23));
    const direction = new Float32Array(d).fill(t);
    direction[0] = 1;
    const defect = 256 * t * t;
    const projection = { dimensions: d, length: 1, vectors: direction, mean: undefined, defect };
    const s = shader(projection, ORDERS["running"] as Order, -1, 0);
    const loaded = Array.from(direction);
    expect(violations(s, loaded, loaded.map(exact))).toEqual([]);
    const broken = violations(s, loaded, loaded.map(exact), 1 / 3);
    expect(broken).toContain("error");
    expect(broken).toContain("residual");
    expect(broken).toContain("projected");
  });

  test("is small beside what it is added to, and smaller for a flatter sum", () => {
    const options = { dimensions: 384, length: 144, isIdentity: false, inputRoundings: 2, defect: 1e-6 };
    const running = float32EncodingSlack(options);
    const lanes = float32EncodingSlack({ ...options, projectionDepth: 99, residualDepth: 39, normDepth: 99 });
    // E of such a code is about 0.008·‖b‖, R about 0.3·‖b‖.
    expect(running.error).toBeLessThan(8e-4);
    expect(lanes.error).toBeLessThan(2e-4);
    expect(lanes.residual).toBeLessThan(3e-4);
    const identity = float32EncodingSlack({ ...options, length: 384, isIdentity: true, normDepth: 99 });
    expect(identity.error).toBeLessThan(1e-5);
    expect(identity.residual).toBe(0);
    const exactlyLoaded = float32EncodingSlack({ ...options, isIdentity: true, inputRoundings: 0 });
    const rounded = float32EncodingSlack({ ...options, isIdentity: true, inputRoundings: 2 });
    expect(rounded.error - exactlyLoaded.error).toBeGreaterThanOrEqual(2 * 2 ** -23);
  });
});
