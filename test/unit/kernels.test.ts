/** The CPU kernels one by one: canonical distances against the oracle, estimate scans against the truth, WASM against plain JS. */
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { canonicalDistance } from "../../src/core/canonical.ts";
import { admissibleEstimate, scanMargin, unitExponent } from "../../src/core/margin.ts";
import { rowNorm, rowStride } from "../../src/core/matrix.ts";
import { FLOAT_METRICS, type FloatMetric } from "../../src/core/metric.ts";
import { referenceDistance } from "../../src/core/reference.ts";
import { owned, shared } from "../../src/cpu/assembly/index.ts?wasm-bytes";
import { bindKernels, compileKernels, type KernelModules } from "../../src/cpu/kernels.ts";
import { ownMemory, sharedMemory } from "../../src/cpu/memory.ts";
import { normal } from "../contract/random.ts";

let modules: KernelModules;
beforeAll(async () => {
  const bytes = {
    owned: Uint8Array.from(Buffer.from(owned, "base64")),
    shared: Uint8Array.from(Buffer.from(shared, "base64")),
  };
  ({ modules } = await compileKernels(bytes));
  expect(modules.owned).toBeDefined();
  expect(modules.shared).toBeDefined();
});

const float = fc.float({ noNaN: true, noDefaultInfinity: true });
const pair = fc
  .integer({ min: 1, max: 21 })
  .chain((d) =>
    fc.tuple(fc.array(float, { minLength: d, maxLength: d }), fc.array(float, { minLength: d, maxLength: d })),
  );

function padded(values: readonly number[]): Float32Array {
  const out = new Float32Array(rowStride(values.length));
  out.set(values);
  return out;
}

describe.each(FLOAT_METRICS)("the canonical %s distance", (metric) => {
  test("rule 2: plain JS, WASM and the oracle agree bit for bit, on any float32 values", () => {
    const memory = ownMemory(65_536);
    fc.assert(
      fc.property(pair, ([a, b]) => {
        fc.pre(metric !== "cosine" || (a.some((x) => x !== 0) && b.some((x) => x !== 0)));
        const [x, y] = [padded(a), padded(b)];
        const expected = referenceDistance(metric, x.subarray(0, a.length), y.subarray(0, b.length));
        expect(canonicalDistance(metric, x, 0, y, 0, x.length)).toBe(expected);
        new Float32Array(memory.buffer).set(x, 0);
        new Float32Array(memory.buffer).set(y, 256);
        const kernels = bindKernels(modules, memory, metric, x.length);
        expect(kernels.level).toBe("simd128");
        expect(kernels.distanceF64(0, 1024)).toBe(expected);
        kernels.scanF64(1024, 1, 0, 4096);
        expect(new Float32Array(memory.buffer)[1024]).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });
});

test.each([
  // (s0 + s1) + (s2 + s3): 1e16 swallows the 1 beside it.
  ["accumulators are added in pairs", [1e8, 0, 1e8, 1], [-1e8, 0, 1e8, 1], 0],
  // Elements 0 and 4 share an accumulator: 1e16 + 1 − 1e16 is 0 there, and 1 in any other order.
  [
    "element i goes to accumulator i mod 4",
    [1e8, 0, 0, 0, 1, 0, 0, 0, 1e8, 0, 0, 0],
    [1e8, 0, 0, 0, 1, 0, 0, 0, -1e8, 0, 0, 0],
    0,
  ],
  [
    "elements of different accumulators do not swallow each other",
    [1e8, 1, 0, 0, 1e8, 0, 0, 0],
    [1e8, 1, 0, 0, -1e8, 0, 0, 0],
    -1,
  ],
] as const)("rule 2: %s, in plain JS, WASM and the oracle", (_, a, b, expected) => {
  const [x, y] = [padded(a), padded(b)];
  expect(referenceDistance("dot", x, y)).toBe(expected);
  expect(canonicalDistance("dot", x, 0, y, 0, x.length)).toBe(expected);
  const memory = ownMemory(65_536);
  new Float32Array(memory.buffer).set(x, 0);
  new Float32Array(memory.buffer).set(y, 256);
  expect(bindKernels(modules, memory, "dot", x.length).distanceF64(0, 1024)).toBe(expected);
});

test("distances beyond float32 are clamped, and −0 is +0", () => {
  const huge = padded([3e38, 3e38, 3e38, 3e38]);
  const opposite = huge.map((x) => -x);
  expect(canonicalDistance("dot", huge, 0, huge, 0, 4)).toBe(-3.4028234663852886e38);
  expect(canonicalDistance("dot", huge, 0, opposite, 0, 4)).toBe(3.4028234663852886e38);
  expect(canonicalDistance("euclidean", huge, 0, opposite, 0, 4)).toBe(3.4028234663852886e38);
  const tiny = padded([1e-30, 0, 0, 0]);
  expect(Object.is(canonicalDistance("dot", tiny, 0, tiny, 0, 4), 0)).toBe(true);
});

/** Lays rows, terms and scaled queries out as a worker does and returns the (query, row) pairs that a scan admits. */
function admitted(
  metric: FloatMetric,
  level: "wasm" | "js",
  isShared: boolean,
  limitOf: (query: number) => number,
  rows: Float32Array,
  queries: Float32Array,
  d: number,
): Set<string> {
  const stride = rowStride(d);
  const rowCount = rows.length / stride;
  const queryCount = queries.length / stride;
  const memory = isShared ? sharedMemory(1 << 20, 1 << 20) : ownMemory(1 << 20);
  const kernels = bindKernels(level === "wasm" ? modules : {}, memory, metric, stride);
  const f = new Float32Array(memory.buffer);
  const at = {
    rows: 0,
    terms: 400_000,
    queries: 410_000,
    limits: 500_000,
    perNorms: 501_000,
    eligible: 502_000,
    hits: 600_000,
  };
  f.set(rows, at.rows / 4);
  for (let r = 0; r < rowCount; r++) {
    const norm = rowNorm(rows, r * stride, stride);
    f[at.terms / 4 + r] = metric === "cosine" ? 1 / norm : norm;
  }
  for (let q = 0; q < queryCount; q++) {
    const norm = rowNorm(queries, q * stride, stride);
    const factor = metric === "cosine" ? 1 / norm : metric === "dot" ? 2 ** unitExponent(norm) : 1;
    const margin = scanMargin(metric, d, norm * factor, metric === "dot" ? factor : 1);
    for (let i = 0; i < stride; i++) f[at.queries / 4 + q * stride + i] = (queries[q * stride + i] ?? 0) * factor;
    f[at.limits / 4 + q] = admissibleEstimate(metric, limitOf(q), metric === "dot" ? factor : 1, margin);
    f[at.perNorms / 4 + q] = margin.perNorm;
  }
  const words = Math.ceil(rowCount / 32);
  new Uint32Array(memory.buffer).fill(0xffffffff, at.eligible / 4, at.eligible / 4 + queryCount * words);
  const count = kernels.scanF32({
    rows: at.rows,
    terms: at.terms,
    rowCount,
    queries: at.queries,
    queryCount,
    limits: at.limits,
    perNorms: at.perNorms,
    eligible: at.eligible,
    words,
    hits: at.hits,
  });
  const hits = new Uint32Array(memory.buffer, at.hits, count);
  return new Set(Array.from(hits, (hit) => `${hit >>> 16}:${hit & 0xffff}`));
}

describe.each(FLOAT_METRICS)("scan_f32 under %s", (metric) => {
  const d = 37;
  const stride = rowStride(d);
  const gauss = normal(7);
  const matrix = (count: number): Float32Array => {
    const out = new Float32Array(count * stride);
    for (let r = 0; r < count; r++) for (let i = 0; i < d; i++) out[r * stride + i] = gauss();
    return out;
  };
  const rows = matrix(67);
  const queries = matrix(7); // one group of four and a tail of three
  const distance = (q: number, r: number): number =>
    canonicalDistance(metric, queries, q * stride, rows, r * stride, stride);
  const limitOf = (q: number): number =>
    Array.from({ length: 67 }, (_, r) => distance(q, r)).sort((a, b) => a - b)[9] ?? 0;

  test.each([
    ["wasm", false],
    ["wasm", true],
    ["js", false],
  ] as const)("%s (shared memory: %s) admits every row within the limit and few others", (level, isShared) => {
    const got = admitted(metric, level, isShared, limitOf, rows, queries, d);
    const wanted = new Set<string>();
    for (let q = 0; q < 7; q++) for (let r = 0; r < 67; r++) if (distance(q, r) <= limitOf(q)) wanted.add(`${q}:${r}`);
    expect(wanted.size).toBe(70);
    for (const hit of wanted) expect(got).toContain(hit);
    expect(got.size).toBeLessThanOrEqual(77); // the margin is 1e-5 of the spread: hardly a row falls into it
  });
});
