/** scan_b1: exact distances of packed bits against limits, in WASM and in plain JS, against a count bit by bit. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BitMetric } from "../../src/core/metric.ts";
import { referenceDistance } from "../../src/core/reference.ts";
import { rowFormat } from "../../src/core/stored-rows.ts";
import { bindKernels, type KernelLevel } from "../../src/cpu/kernels.ts";
import { ownMemory, sharedMemory } from "../../src/cpu/memory.ts";
import { uniform } from "../contract/random.ts";
import { KERNEL_LEVELS, KERNEL_MODULES } from "./kernel-levels.ts";

const METRICS = ["hamming", "jaccard"] as const satisfies readonly BitMetric[];
const BYTES = 1 << 20;
const AT = { terms: 200_000, queries: 300_000, limits: 500_000, eligible: 510_000, hits: 600_000, rows: 700_000 };

interface Span {
  readonly metric: BitMetric;
  readonly dimensions: number;
  /** Vectors of zeros and ones. */
  readonly rows: readonly (readonly number[])[];
  readonly queries: readonly (readonly number[])[];
  readonly limits: readonly number[];
  readonly eligible: Uint32Array;
  /** Words of one query's bitmap, 0 where there is one for all. */
  readonly words: number;
}

/** The hits as "query:row", sorted; fails where one comes twice or something beyond the list was written. */
function scan(level: KernelLevel, span: Span, isShared = false): string[] {
  const memory = isShared ? sharedMemory(BYTES, BYTES) : ownMemory(BYTES);
  const format = rowFormat("b1", span.metric, span.dimensions);
  const kernels = bindKernels(KERNEL_MODULES[level], memory, format);
  expect(kernels.level).toBe(level);
  const words = new Uint32Array(memory.buffer);
  const floats = new Float32Array(memory.buffer);
  const put = (at: number, vectors: Span["rows"]): void =>
    vectors.forEach((vector, i) =>
      vector.forEach((bit, d) => (words[at / 4 + i * format.stride + (d >>> 5)]! |= bit << (d & 31))),
    );
  put(AT.rows, span.rows);
  put(AT.queries, span.queries);
  span.rows.forEach((row, r) => (floats[AT.terms / 4 + r] = row.reduce((a, b) => a + b, 0)));
  floats.set(span.limits, AT.limits / 4);
  words.set(span.eligible, AT.eligible / 4);
  words.fill(0xbaadf00d, AT.hits / 4, AT.rows / 4);
  const count = kernels.scanB1({
    ...AT,
    rowCount: span.rows.length,
    queryCount: span.queries.length,
    perNorms: 0,
    words: span.words,
  });
  expect(words[AT.hits / 4 + count]).toBe(0xbaadf00d);
  const hits = Array.from(new Uint32Array(memory.buffer, AT.hits, count), (hit) => `${hit >>> 16}:${hit & 0xffff}`);
  expect(new Set(hits).size).toBe(count);
  return hits.sort();
}

function wanted({ metric, rows, queries, limits, eligible, words }: Span): string[] {
  const hits = queries.flatMap((query, q) =>
    rows.flatMap((row, r) => {
      const word = eligible[q * words + (r >>> 5)] ?? 0;
      const isWithin = referenceDistance(metric, query, row) <= Math.fround(limits[q] ?? 0);
      return isWithin && ((word >>> (r & 31)) & 1) === 1 ? [`${q}:${r}`] : [];
    }),
  );
  return hits.sort();
}

describe.each(KERNEL_LEVELS)("scan_b1 at level %s", (level) => {
  const all = Uint32Array.of(0xffffffff);
  const bits = (...set: number[]): number[] => Array.from({ length: 130 }, (_, d) => (set.includes(d) ? 1 : 0));

  test("counts what is counted by hand; limits are inclusive", () => {
    const rows = [bits(0, 64, 129), bits(0, 64), bits(1, 2, 3, 4), bits()];
    const span = { dimensions: 130, rows, queries: [bits(0, 64, 129)], eligible: all, words: 0 };
    const within = (metric: BitMetric, limit: number): string[] => scan(level, { ...span, metric, limits: [limit] });
    expect(within("hamming", -1)).toEqual([]);
    expect(within("hamming", 0)).toEqual(["0:0"]);
    expect(within("hamming", 1)).toEqual(["0:0", "0:1"]);
    expect(within("hamming", 2.9)).toEqual(["0:0", "0:1"]);
    expect(within("hamming", 3)).toEqual(["0:0", "0:1", "0:3"]);
    expect(within("hamming", 7)).toEqual(["0:0", "0:1", "0:2", "0:3"]);
    expect(within("jaccard", 0)).toEqual(["0:0"]);
    expect(within("jaccard", Math.fround(1 / 3) - 2 ** -25)).toEqual(["0:0"]);
    expect(within("jaccard", Math.fround(1 / 3))).toEqual(["0:0", "0:1"]);
    expect(within("jaccard", 1)).toEqual(["0:0", "0:1", "0:2", "0:3"]);
  });

  test("two vectors without any bit are at jaccard distance 0", () => {
    const span = { dimensions: 130, rows: [bits(), bits(7)], queries: [bits()], eligible: all, words: 0 };
    expect(scan(level, { ...span, metric: "jaccard", limits: [0] })).toEqual(["0:0"]);
  });

  test.each([0, 2])("finds eligible rows only, with %i words of bitmap a query", (words) => {
    const rows = Array.from({ length: 40 }, () => bits(3));
    const queries = Array.from({ length: 5 }, () => bits(3));
    const eligible = Uint32Array.from({ length: 10 }, (_, i) => 0x9e3779b9 * (i + 1));
    const span = { metric: "hamming", dimensions: 130, rows, queries, limits: queries.map(() => 0), eligible, words };
    const hits = scan(level, { ...span, metric: "hamming" });
    expect(hits).toEqual(wanted({ ...span, metric: "hamming" }));
    expect(hits.length).toBeGreaterThan(50);
    expect(hits.length).toBeLessThan(200);
  });

  test.each(METRICS)("%s: is right for every dimension from 1 to 130", (metric) => {
    for (let dimensions = 1; dimensions <= 130; dimensions++) {
      const draw = uniform(dimensions);
      const vector = (): number[] => Array.from({ length: dimensions }, () => (draw() < 0.5 ? 1 : 0));
      const rows = Array.from({ length: 7 }, vector);
      const queries = Array.from({ length: 1 + (dimensions % 9) }, vector); // fours and tails
      // The distance of one of the rows: a row lies on the limit.
      const limits = queries.map((query, q) => referenceDistance(metric, query, rows[q % 7] ?? query));
      const span = { metric, dimensions, rows, queries, limits, eligible: all, words: 0 };
      const isShared = level !== "none" && dimensions % 2 === 0;
      expect(scan(level, span, isShared), `${dimensions} dimensions`).toEqual(wanted(span));
    }
  });
});

test("scan_b1: WASM admits what plain JS admits, whatever the bits, limits and bitmaps", () => {
  const spans = fc
    .record({
      metric: fc.constantFrom(...METRICS),
      dimensions: fc.integer({ min: 1, max: 700 }),
      rowCount: fc.integer({ min: 0, max: 70 }),
      queryCount: fc.integer({ min: 0, max: 10 }),
      words: fc.constantFrom(0, 3, 4),
    })
    .chain(({ metric, dimensions, rowCount, queryCount, words }) => {
      const bit = fc.integer({ min: 0, max: 1 });
      const vectors = (count: number): fc.Arbitrary<number[][]> =>
        fc.array(fc.array(bit, { minLength: dimensions, maxLength: dimensions }), {
          minLength: count,
          maxLength: count,
        });
      const limit = fc.oneof(fc.float({ min: 0, max: metric === "hamming" ? dimensions : 1 }), fc.float());
      return fc.record({
        metric: fc.constant(metric),
        dimensions: fc.constant(dimensions),
        rows: vectors(rowCount),
        queries: vectors(queryCount),
        limits: fc.array(limit, { minLength: queryCount, maxLength: queryCount }),
        eligible: fc.uint32Array({ minLength: 40, maxLength: 40 }),
        words: fc.constant(words),
      });
    });
  fc.assert(
    fc.property(spans, (span) => {
      expect(scan("simd128", span)).toEqual(scan("none", span));
    }),
    { numRuns: 60 },
  );
});
