/**
 * The certified scan of the CPU at its own level: the kernel against formula (2) of
 * core/certificate.ts, answers against the oracle for any basis and data, and pairs for which the
 * bound is needed in full.
 */
import { describe, expect, test } from "vitest";
import { type Basis, learnBasis } from "../../src/core/basis.ts";
import { prefixProjection } from "../../src/core/encoding.ts";
import { identityProjection, type Projection } from "../../src/core/projection.ts";
import { readRows, rowNorm } from "../../src/core/matrix.ts";
import { reference, storedRow } from "../../src/core/reference.ts";
import { runToEnd } from "../../src/core/slices.ts";
import { bindKernels, type KernelModules } from "../../src/cpu/kernels.ts";
import { factsAt, storeShape } from "../../src/cpu/layout.ts";
import { ownMemory } from "../../src/cpu/memory.ts";
import { RowStore } from "../../src/cpu/row-store.ts";
import { Scanner } from "../../src/cpu/scan.ts";
import type { TaskResult } from "../../src/cpu/tasks.ts";
import { DATA_KINDS, makeData } from "../contract/data.ts";
import { normal, uniform } from "../contract/random.ts";
import { KERNEL_LEVELS, KERNEL_MODULES } from "./kernel-levels.ts";

const METRICS = ["cosine", "dot", "euclidean"] as const;
const PRECISIONS = ["f32", "f16", "i8"] as const;
type ProductMetric = (typeof METRICS)[number];
type CodedPrecision = (typeof PRECISIONS)[number];

interface Scanned extends TaskResult {
  hits(query: number): { row: number; distance: number }[];
}

/** A store with codes by `projection`, and searches of it on this thread. */
async function coded(
  modules: KernelModules,
  precision: CodedPrecision,
  metric: ProductMetric,
  rows: Float32Array,
  d: number,
  projection: Projection,
): Promise<{
  store: RowStore;
  readonly search: (queries: Float32Array, k: number) => Promise<Scanned>;
}> {
  const count = rows.length / d;
  const store = new RowStore(storeShape(precision, metric, d, 1, true), false);
  const reader = readRows(rows, d, precision);
  for (let row = 0; row < count; row++) {
    store.reserve(row);
    expect(store.write(row, reader, row)).toBeUndefined();
  }
  store.commit(count);
  const scanner = new Scanner(modules, 0);
  store.chunks.forEach((memory, index) => scanner.attachChunk(1, store.shape, index, memory));
  scanner.setBasis(1, store.shape, { ...projection, id: 7 });
  const blocks = store.blocks.map((block, index) => ({
    block: index,
    version: block.version,
    rowCount: Math.min(store.blockRows, count - block.firstRow),
    minNorm: block.minNorm,
    maxNorm: block.maxNorm,
  }));
  await scanner.encode({ store: 1, blocks });
  return {
    store,
    async search(queries, k) {
      const n = queries.length / d;
      const { stride } = store;
      const padded = new Float32Array(n * stride);
      for (let q = 0; q < n; q++) padded.set(queries.subarray(q * d, (q + 1) * d), q * stride);
      const result = await scanner.scan({
        store: 1,
        count: n,
        queries: padded,
        norms: Float64Array.from({ length: n }, (_, q) => rowNorm(queries, q * d, d)),
        wanted: new Uint32Array(n).fill(Math.min(k, count)),
        maxDistances: new Float32Array(n).fill(Infinity),
        blocks,
        eligibilities: [{ bits: allBits(count), rowCount: count }],
        eligibilityOf: new Uint32Array(n),
      });
      const { topK } = result;
      const hits = (q: number): { row: number; distance: number }[] =>
        Array.from({ length: topK.counts[q] ?? 0 }, (_, i) => ({
          row: topK.rows[q * topK.k + i] ?? 0,
          distance: topK.distances[q * topK.k + i] ?? 0,
        }));
      return { ...result, hits };
    },
  };
}

function allBits(count: number): Uint32Array {
  const bits = new Uint32Array(Math.ceil(count / 32));
  for (let row = 0; row < count; row++) bits[row >>> 5] = (bits[row >>> 5] ?? 0) | (1 << (row & 31));
  return bits;
}

/** The first `m` axes as directions. */
function axes(d: number, m: number): Projection {
  const vectors = new Float32Array(m * d);
  for (let k = 0; k < m; k++) vectors[k * d + k] = 1;
  const basis: Basis = {
    dimensions: d,
    directions: m,
    vectors,
    eigenvalues: new Float64Array(m).fill(1),
    trace: m,
    mean: new Float32Array(d),
  };
  return prefixProjection(basis, m);
}

describe.each(KERNEL_LEVELS)("scan_i8, %s", (level) => {
  const modules = KERNEL_MODULES[level];
  test("lets through what the formula does, for every number of rows, queries and codes", () => {
    const draw = uniform(5);
    for (let round = 0; round < 120; round++) {
      const stride = 16 * (1 + Math.floor(draw() * 6));
      const rowCount = 1 + Math.floor(draw() * 11);
      const queryCount = 1 + Math.floor(draw() * 9);
      const sharesBits = draw() < 0.5;
      const memory = ownMemory(1 << 17);
      const kernels = bindKernels(modules, memory, storeShape("f32", "euclidean", 8, 1, true));
      expect(kernels.level).toBe(level);
      const isSeven = kernels.queryLevels === 63;
      const [codes, facts, queries, coefficients, eligible, hits] = [0, 8192, 16_384, 49_152, 57_344, 65_536];
      const plane = 64;
      const coefficientPlane = 48;
      const int = (most: number): number => Math.round((draw() * 2 - 1) * most);
      const row = Array.from({ length: rowCount }, () => Array.from({ length: stride }, () => int(127)));
      const query = Array.from({ length: queryCount }, () =>
        Array.from({ length: stride }, () => int(kernels.queryLevels)),
      );
      new Int8Array(memory.buffer, codes).set(row.flat());
      if (isSeven) new Uint8Array(memory.buffer, queries).set(query.flat().map((c) => c + 64));
      else new Int16Array(memory.buffer, queries).set(query.flat());
      const floats = new Float32Array(memory.buffer);
      const fact = (at: number, r: number): number => floats[(facts + at * plane) / 4 + r] ?? 0;
      const coefficient = (at: number, q: number): number =>
        floats[(coefficients + at * coefficientPlane) / 4 + q] ?? 0;
      for (let r = 0; r < rowCount; r++) {
        for (let at = 0; at < 4; at++) floats[(facts + at * plane) / 4 + r] = 0.01 * draw();
        new Int32Array(memory.buffer)[(facts + 4 * plane) / 4 + r] = (row[r] ?? []).reduce((a, b) => a + b, 0);
      }
      for (let q = 0; q < queryCount; q++) {
        for (let at = 0; at < 4; at++) floats[(coefficients + at * coefficientPlane) / 4 + q] = 0.01 * draw();
        floats[(coefficients + 4 * coefficientPlane) / 4 + q] = int(1) * 0.2;
      }
      const words = new Uint32Array(memory.buffer, eligible, queryCount).map(() => Math.floor(draw() * 2 ** 32));
      new Uint32Array(memory.buffer, eligible, queryCount).set(words);
      const weight = draw();
      const found = kernels.scanI8({
        codes,
        stride,
        facts,
        plane,
        rowCount,
        queries,
        queryCount,
        coefficients,
        coefficientPlane,
        weight,
        eligible,
        words: sharesBits ? 0 : 1,
        hits,
      });
      const got = new Set(new Uint32Array(memory.buffer, hits, found));
      expect(got.size).toBe(found);
      for (let q = 0; q < queryCount; q++) {
        for (let r = 0; r < rowCount; r++) {
          const sum = (row[r] ?? []).reduce((total, code, i) => total + code * (query[q]?.[i] ?? 0), 0);
          const low =
            Math.fround(weight) * fact(3, r) ** 2 -
            coefficient(0, q) * fact(0, r) * sum -
            coefficient(1, q) * fact(1, r) -
            coefficient(2, q) * fact(2, r) -
            coefficient(3, q) * fact(3, r);
          const isEligible = (((words[sharesBits ? 0 : q] ?? 0) >>> r) & 1) === 1;
          const margin = low - coefficient(4, q);
          if (Math.abs(margin) < 1e-5) continue; // float32 may see it either way
          expect(got.has((q << 16) | r)).toBe(isEligible && margin <= 0);
        }
      }
    }
  });
});

test.each(KERNEL_LEVELS)("scan_i8, %s: a limit that is not a number rules nothing out", (level) => {
  const memory = ownMemory(1 << 16);
  const kernels = bindKernels(KERNEL_MODULES[level], memory, storeShape("f32", "euclidean", 8, 1, true));
  new Uint32Array(memory.buffer, 8192, 1).fill(0xffffffff);
  new Float32Array(memory.buffer, 4096 + 4 * 32, 8).fill(Number.NaN);
  const span = {
    codes: 0,
    stride: 16,
    facts: 1024,
    plane: 64,
    queries: 2048,
    coefficients: 4096,
    coefficientPlane: 32,
  };
  for (const [queryCount, rowCount] of [
    [1, 5],
    [4, 3],
  ] as const) {
    const rest = { rowCount, queryCount, weight: 1, eligible: 8192, words: 0, hits: 16_384 };
    expect(kernels.scanI8({ ...span, ...rest })).toBe(queryCount * rowCount);
  }
});

describe.each(KERNEL_LEVELS)("certified scans, %s", (level) => {
  const modules = KERNEL_MODULES[level];
  const D = 37;
  const ROWS = 700;
  describe.each(PRECISIONS)("%s", (precision) => {
    test.each(METRICS)("%s: the reference's answer for any basis and data", async (metric) => {
      for (const [seed, kind] of DATA_KINDS.entries()) {
        const { rows, queries } = makeData(kind, metric, ROWS, 9, D, seed + 1, precision);
        const stored = new Float64Array(rows.length);
        for (let at = 0; at < rows.length; at += D) stored.set(storedRow(precision, rows.subarray(at, at + D)), at);
        const basis = runToEnd(learnBasis({ metric, dimensions: D, sample: rows, count: ROWS, directions: 11 }));
        const projections =
          precision === "i8"
            ? [identityProjection(D)]
            : [identityProjection(D), prefixProjection(basis, 11), axes(D, 5), identityProjection(D, rows.slice(0, D))];
        for (const projection of projections) {
          const { search } = await coded(modules, precision, metric, rows, D, projection);
          for (const [from, to, k] of [
            [0, 1, 3],
            [1, 9, 20],
            [2, 4, 90], // by shortlist
          ] as const) {
            const asked = queries.subarray(from * D, to * D);
            const result = await search(asked, k);
            for (let q = 0; q < to - from; q++) {
              const query = asked.subarray(q * D, (q + 1) * D);
              expect(result.hits(q)).toEqual(reference({ metric, rows: stored, dimensions: D, query, k }));
            }
            const isComfortable = kind !== "tiny" && kind !== "huge";
            if (isComfortable && result.codes.rescans.every((r) => r === 0)) {
              expect(result.codes.judged).toBe(result.scanned);
            }
          }
        }
      }
    });
  });

  test("few rows of structured data survive, few are settled, and both are counted", async () => {
    const gauss = normal(3);
    const d = 96;
    const make = (count: number): Float32Array =>
      Float32Array.from({ length: count * d }, (_, i) => gauss() / (1 + (i % d)));
    const rows = make(6000);
    const basis = runToEnd(learnBasis({ metric: "cosine", dimensions: d, sample: rows, count: 6000, directions: 24 }));
    const { search } = await coded(modules, "f32", "cosine", rows, d, prefixProjection(basis, 24));
    const result = await search(make(4), 10);
    expect(result.codes).toMatchObject({ judged: 24_000, missing: 0, directions: 24 });
    expect(result.codes.survivors).toBeLessThan(0.15 * 24_000);
    expect(result.settled.reduce((a, b) => a + b, 0)).toBeLessThan(4 * 400);
  });
});

/** Pairs of query and row for which one term of the bound is all but an equality. */
const TIGHT = {
  "the row's rounding lies along the query": {
    fact: 1,
    projection: (d: number) => identityProjection(d),
    query: () => 1,
    row: (i: number) => (i === 0 ? 127 : 0.49),
  },
  "both leave the directions along one line": {
    fact: 2,
    projection: (d: number) => axes(d, 16),
    query: (i: number) => (i < 16 ? (i === 0 ? 1e-3 : 0) : 2),
    row: (i: number) => (i < 16 ? (i === 1 ? 1e-3 : 0) : 3),
  },
  "the query's rounding lies along the row": {
    fact: 3,
    projection: (d: number) => identityProjection(d),
    query: (i: number) => (i === 0 ? 127 : 0.49),
    row: () => 1,
  },
} as const;

describe.each(KERNEL_LEVELS)("the bound is needed in full, %s", (level) => {
  const modules = KERNEL_MODULES[level];
  const D = 64;
  const cases = METRICS.flatMap((metric) =>
    (Object.keys(TIGHT) as (keyof typeof TIGHT)[])
      // n is also what euclidean distances are made of: half of it would change more than the bound.
      .filter((kind) => metric !== "euclidean" || TIGHT[kind].fact !== 3)
      // The tighter rounding of 7-bit queries is that of other pairs.
      .filter((kind) => level !== "relaxed-simd" || TIGHT[kind].fact !== 3)
      .map((kind) => ({ metric, kind })),
  );
  test.each(cases)("$metric, where $kind", async ({ metric, kind }) => {
    const { fact, projection, query, row } = TIGHT[kind];
    const q = Float32Array.from({ length: D }, (_, i) => query(i));
    const near = Float32Array.from({ length: D }, (_, i) => row(i));
    // A little farther than the near one, under every metric.
    const away = (metric === "euclidean" ? 0.02 : -0.02) * (product(near, q) / product(q, q));
    const far = near.map((v, i) => v + away * (q[i] ?? 0));
    const rows = new Float32Array(301 * D);
    for (let r = 0; r < 300; r++) rows.set(far, r * D);
    rows.set(near, 300 * D);
    const { store, search } = await coded(modules, "f32", metric, rows, D, projection(D));
    expect((await search(q, 1)).hits(0)).toMatchObject([{ row: 300 }]);
    const facts = new Float32Array(store.chunks[0]?.buffer ?? new ArrayBuffer(0), factsAt(store.shape, 0, 0));
    for (let r = 0; r < 301; r++) facts[fact * store.blockRows + r] = (facts[fact * store.blockRows + r] ?? 0) / 2;
    expect((await search(q, 1)).hits(0)).not.toMatchObject([{ row: 300 }]);
  });
});

function product(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, v, i) => sum + v * (b[i] ?? 0), 0);
}
