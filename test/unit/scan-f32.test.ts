/** scan_f32: estimates against the truth, at every level: rows within the limit are found, others hardly. */
import { describe, expect, test } from "vitest";
import { canonicalDistance } from "../../src/core/canonical.ts";
import { unitExponent } from "../../src/core/comfort.ts";
import { admissibleEstimate, scanMargin } from "../../src/core/margin.ts";
import { rowNorm } from "../../src/core/matrix.ts";
import { FLOAT_METRICS, type FloatMetric } from "../../src/core/metric.ts";
import { type RowFormat, rowFormat } from "../../src/core/stored-rows.ts";
import { bindKernels, type KernelLevel } from "../../src/cpu/kernels.ts";
import { ownMemory, sharedMemory } from "../../src/cpu/memory.ts";
import { normal, uniform } from "../contract/random.ts";
import { KERNEL_LEVELS, KERNEL_MODULES } from "./kernel-levels.ts";

const f32 = (metric: FloatMetric, d: number): RowFormat => rowFormat("f32", metric, d);
const rowStride = (d: number): number => f32("dot", d).stride;

/**
 * Lays rows, terms and scaled queries out as a worker does and returns the (query, row) pairs that
 * a scan admits. `bitmap`: the rows that all queries may find; left out: each has a bitmap of all rows.
 */
function admitted(
  metric: FloatMetric,
  level: KernelLevel,
  isShared: boolean,
  limitOf: (query: number) => number,
  rows: Float32Array,
  queries: Float32Array,
  d: number,
  bitmap?: Uint32Array,
): Set<string> {
  const stride = rowStride(d);
  const rowCount = rows.length / stride;
  const queryCount = queries.length / stride;
  const memory = isShared ? sharedMemory(1 << 20, 1 << 20) : ownMemory(1 << 20);
  const kernels = bindKernels(KERNEL_MODULES[level], memory, f32(metric, d));
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
  const words = bitmap === undefined ? Math.ceil(rowCount / 32) : 0;
  const eligible = new Uint32Array(memory.buffer, at.eligible);
  if (bitmap === undefined) eligible.fill(0xffffffff, 0, queryCount * words);
  else eligible.set(bitmap);
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
    ["relaxed-simd", false],
    ["relaxed-simd", true],
    ["simd128", false],
    ["simd128", true],
    ["none", false],
  ] as const)("%s (shared memory: %s) admits every row within the limit and few others", (level, isShared) => {
    const got = admitted(metric, level, isShared, limitOf, rows, queries, d);
    const wanted = new Set<string>();
    for (let q = 0; q < 7; q++) for (let r = 0; r < 67; r++) if (distance(q, r) <= limitOf(q)) wanted.add(`${q}:${r}`);
    expect(wanted.size).toBe(70);
    for (const hit of wanted) expect(got).toContain(hit);
    expect(got.size).toBeLessThanOrEqual(77); // the margin is 1e-5 of the spread: hardly a row falls into it
  });
});

test.each(
  KERNEL_LEVELS.flatMap((level) =>
    (["dot", "euclidean", "manhattan"] as const).map((metric) => [level, metric] as const),
  ),
)("scan_f32 at level %s under %s: is right for every dimension from 1 to 130, limits inclusive", (level, metric) => {
  const memory = ownMemory(1 << 18);
  const floats = new Float32Array(memory.buffer);
  const words = new Uint32Array(memory.buffer);
  const at = { terms: 0, limits: 256, perNorms: 512, eligible: 768, hits: 1024, queries: 4096, rows: 32_768 };
  for (let d = 1; d <= 130; d++) {
    const draw = uniform(d);
    const format = f32(metric, d);
    // Small integers, whose sums float32 holds exactly in any order.
    const vectors = (count: number): number[][] =>
      Array.from({ length: count }, () => Array.from({ length: d }, () => Math.floor(draw() * 9) - 4));
    const rows = vectors(1 + (d % 11)); // pairs, fours and what is left of them
    const queries = vectors(1 + (d % 7));
    floats.fill(0);
    rows.forEach((row, r) => floats.set(row, at.rows / 4 + r * format.stride));
    queries.forEach((query, q) => floats.set(query, at.queries / 4 + q * format.stride));
    const estimate = (query: readonly number[], row: readonly number[]): number =>
      query.reduce((sum, x, i) => {
        const y = row[i] ?? 0;
        return sum + (metric === "dot" ? -x * y : metric === "euclidean" ? (x - y) ** 2 : Math.abs(x - y));
      }, 0);
    const limits = queries.map((query, q) => estimate(query, rows[q % rows.length] ?? query));
    floats.set(limits, at.limits / 4);
    words[at.eligible / 4] = 0xffffffff;
    const count = bindKernels(KERNEL_MODULES[level], memory, format).scanF32({
      ...at,
      rowCount: rows.length,
      queryCount: queries.length,
      words: 0,
    });
    const got = Array.from(new Uint32Array(memory.buffer, at.hits, count)).sort((a, b) => a - b);
    const wanted = queries.flatMap((query, q) =>
      rows.flatMap((row, r) => (estimate(query, row) <= (limits[q] ?? 0) ? [(q << 16) | r] : [])),
    );
    expect(got, `${d} dimensions`).toEqual(wanted);
  }
});

test.each(KERNEL_LEVELS)("scan_f32 at level %s: with a bitmap stride of 0 all queries share one bitmap", (level) => {
  const gauss = normal(11);
  const rows = Float32Array.from({ length: 67 * 8 }, gauss);
  const queries = Float32Array.from({ length: 6 * 8 }, gauss);
  const bitmap = Uint32Array.of(0x9e3779b9, 0x12345678, 0b101);
  const got = admitted("euclidean", level, false, () => 1e9, rows, queries, 8, bitmap);
  const wanted = new Set<string>();
  for (let q = 0; q < 6; q++) {
    for (let r = 0; r < 67; r++) if (((bitmap[r >>> 5] ?? 0) >>> (r & 31)) & 1) wanted.add(`${q}:${r}`);
  }
  expect(got).toEqual(wanted);
});
