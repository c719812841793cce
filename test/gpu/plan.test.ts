/** The plan of a GPU search: pure, so checked by properties. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  candidateGroups,
  grid,
  type PlanLimits,
  planShards,
  planTile,
  readBackRoom,
  registerQueries,
  sampledRows,
  type ShardRange,
  shardRanges,
  STREAM_BUFFERS,
} from "../../src/gpu/plan.ts";
import { type Certificate, holdsNorm } from "../../src/gpu/certificate-copy.ts";
import { indexExponent, rowExponent, type RowsScanned, scanQuery } from "../../src/gpu/query.ts";

const limits = (over: Partial<PlanLimits> = {}): PlanLimits => ({
  maxBindingBytes: 1 << 27,
  maxWorkgroupsPerDimension: 65_535,
  workgroup: 64,
  memoryBudgetBytes: Infinity,
  scoreBytes: 1 << 28,
  batchQueries: 1024,
  appendFrom: 16,
  sampleRows: [4096, 65_536],
  expectedCandidates: 4096,
  rescanRows: 1 << 17,
  candidateCapacity: undefined,
  ...over,
});

const whole = (rows: number): ShardRange[] => [{ first: 0, count: rows, isResident: true }];
const question = (queries: number, wanted: number, shards: readonly ShardRange[]) => ({
  queries,
  wanted,
  shards,
  bitmapWords: 1,
  mustScore: false,
});

describe("shards", () => {
  test("cover every row once, in order, within the binding limit and the budget, stream buffers included", () => {
    const many = fc.record({
      rowCount: fc.integer({ min: 1, max: 200_000 }),
      rowBytes: fc.integer({ min: 1, max: 200 }).map((n) => n * 16),
      beside: fc.integer({ min: 4, max: 64 }),
      binding: fc.integer({ min: 1 << 12, max: 1 << 22 }),
      budget: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1 << 14, max: 1 << 24 })),
    });
    fc.assert(
      fc.property(many, ({ rowCount, rowBytes, beside, binding, budget }) => {
        const allBytes = rowBytes + beside;
        const plan = planShards(
          rowCount,
          rowBytes,
          allBytes,
          limits({ maxBindingBytes: binding, memoryBudgetBytes: budget }),
        );
        const ranges = shardRanges(rowCount, plan);
        let next = 0;
        for (const range of ranges) {
          expect(range.first).toBe(next);
          expect(range.first % 32).toBe(0);
          expect(range.count).toBeGreaterThan(0);
          expect(Math.ceil(range.count / 32) * 32 * rowBytes).toBeLessThanOrEqual(Math.max(binding, 32 * rowBytes));
          next += range.count;
        }
        expect(next).toBe(rowCount);
        const kept = plan.residentRows + STREAM_BUFFERS * plan.streamRows;
        expect(kept * allBytes).toBeLessThanOrEqual(Math.max(budget, STREAM_BUFFERS * 32 * allBytes));
      }),
    );
  });
});

describe("tiles", () => {
  test("few queries score, sixteen and more append, and a second scan of resident rows scores whatever their number", () => {
    expect(planTile(question(15, 10, whole(1_000_000)), limits()).strategy).toBe("score");
    expect(planTile(question(16, 10, whole(1_000_000)), limits()).strategy).toBe("append");
    expect(planTile({ ...question(16, 10, whole(1_000_000)), mustScore: true }, limits()).strategy).toBe("score");
    expect(planTile(question(1024, 10, whole(8192)), limits()).strategy).toBe("score"); // a sample would be half of it
  });

  test("streamed rows are never scored: they are gone when the scores are known", () => {
    const shards = [{ first: 0, count: 100_000, isResident: false }];
    for (const mustScore of [false, true]) {
      expect(planTile({ ...question(1, 10, shards), mustScore }, limits()).strategy).toBe("append");
    }
  });

  test("the score matrix is not written for 16 queries and more: keys are a sample's, an eighth of the rows at most", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 65_536, max: 20_000_000 }),
        fc.integer({ min: 1, max: 2048 }),
        fc.integer({ min: 16, max: 1024 }),
        (rows, wanted, queries) => {
          const plan = planTile(question(queries, wanted, whole(rows)), limits());
          if (plan.strategy !== "append") throw new Error("scores");
          expect(plan.keyStride).toBeLessThanOrEqual(Math.min(rows / 8, 65_536) * 2 + 64);
          expect(plan.keyStride % 64).toBe(0);
          expect(plan.ends.at(-1)).toBe(rows);
          expect(plan.capacity).toBeGreaterThanOrEqual(2 * wanted);
          expect(plan.queries * (plan.keyStride * 4 + plan.capacity * 12)).toBeLessThanOrEqual(
            Math.max(limits().scoreBytes, plan.keyStride * 4 + plan.capacity * 12),
          );
          plan.ends.slice(0, -1).forEach((end, i) => {
            expect(end % 32).toBe(0);
            expect(end).toBeGreaterThan(plan.ends[i - 1] ?? 0);
          });
        },
      ),
    );
  });

  test("one shot where few candidates are expected, tightened geometrically where many", () => {
    const small = planTile(question(1024, 10, whole(1_000_000)), limits());
    const large = planTile(question(1024, 1000, whole(10_000_000)), limits());
    expect(small).toMatchObject({ strategy: "append", ends: [1_000_000] });
    if (large.strategy !== "append") throw new Error("scores");
    expect(large.ends.length).toBeGreaterThan(2);
    expect(large.ends.length).toBeLessThan(8);
    const steps = large.ends.map((end, i) => end / (large.ends[i - 1] ?? 65_536));
    for (const growth of steps.slice(0, -1)) expect(growth).toBeGreaterThanOrEqual(1.9);
  });

  test("k up to 2,048 stays on one pass structure, and k may be the number of rows", () => {
    const rows = 300_000;
    for (const wanted of [1, 10, 256, 257, 2048, 100_000, rows]) {
      const plan = planTile(question(64, wanted, whole(rows)), limits());
      expect(plan.strategy).toBe("append");
      expect(plan.capacity).toBeGreaterThanOrEqual(Math.min(rows, wanted));
    }
  });

  test("delegates are many enough for the rank asked of them, or there are none", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3_000_000 }), fc.integer({ min: 1, max: 5000 }), (rows, k) => {
        const wanted = Math.min(k, rows);
        const plan = planTile(question(1, wanted, whole(rows)), limits({ maxBindingBytes: 1 << 30 }));
        if (plan.strategy !== "score") throw new Error("appends");
        if (plan.delegateShift === 0) return;
        expect(plan.keyStride >> plan.delegateShift).toBeGreaterThanOrEqual(4 * plan.multiple * wanted);
      }),
    );
  });

  test("a tile holds at least one query and keeps its buffers within the limits", () => {
    const plan = planTile({ ...question(500, 10, whole(5000)), mustScore: true }, limits({ scoreBytes: 1 << 20 }));
    expect(plan.queries).toBeLessThan(500);
    expect(plan.queries % 16 === 0 || plan.queries < 16).toBe(true);
    expect(planTile(question(500, 10, whole(5000)), limits({ scoreBytes: 1 })).queries).toBe(1);
  });

  test("no buffer of a plan is larger than a binding, whatever the rows and whichever try it is", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200_000_000 }),
        fc.integer({ min: 1, max: 1024 }),
        fc.integer({ min: 1, max: 3000 }),
        fc.boolean(),
        (rows, queries, k, mustScore) => {
          const most = limits().maxBindingBytes;
          const plan = planTile({ ...question(queries, Math.min(k, rows), whole(rows)), mustScore }, limits());
          expect(plan.queries * plan.keyStride * 4).toBeLessThanOrEqual(most);
          expect(plan.queries * plan.capacity * 4).toBeLessThanOrEqual(most);
          expect(plan.capacity).toBeGreaterThanOrEqual(Math.min(rows, 2 * Math.min(k, rows)));
        },
      ),
    );
    // One query over 42 million rows: its scores would take 168 MB of a 128 MiB binding.
    for (const mustScore of [false, true]) {
      const plan = planTile({ ...question(1, 10, whole(42_000_000)), mustScore }, limits());
      expect(plan.strategy).toBe("append");
      if (mustScore) expect(plan.capacity).toBe(limits().rescanRows);
    }
  });

  test("a sample takes whole blocks of 32 and no row twice", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 1, max: 50 }), (rows, step) => {
        const taken = Array.from({ length: rows }, (_, row) => row).filter((row) => (row >> 5) % step === 0);
        expect(sampledRows(rows, step)).toBe(taken.length);
      }),
      { numRuns: 50 },
    );
  });
});

describe("what comes back", () => {
  test("stays within 8 bytes × (k + margin) a query, margin at most max(16, k / 4)", () => {
    for (const k of [1, 10, 64, 100, 1000]) {
      const margin = Math.max(16, Math.ceil(k / 4));
      expect((readBackRoom(k, margin) + 2) * 4).toBeLessThanOrEqual(8 * (k + margin));
      expect(readBackRoom(k, margin)).toBeGreaterThanOrEqual(k);
      expect(readBackRoom(k, 0)).toBeGreaterThanOrEqual(k);
    }
  });
});

describe("grids", () => {
  test("cover their invocations, and no dimension is too wide", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e9 }), fc.integer({ min: 4000, max: 65_535 }), (invocations, most) => {
        const { x, y, width } = grid(invocations, 64, most);
        expect(x).toBeLessThanOrEqual(most);
        expect(y).toBeLessThanOrEqual(most);
        expect(width).toBe(x * 64);
        expect(width * y).toBeGreaterThanOrEqual(invocations);
        expect(width * (y - 1)).toBeLessThan(invocations);
      }),
    );
  });

  test("queries in registers are a power of two that holds them, up to the most", () => {
    expect([1, 2, 3, 8, 9, 1000].map((queries) => registerQueries(queries, 16))).toEqual([1, 2, 4, 8, 16, 16]);
  });

  test("candidate lists are walked by few workgroups when there are many queries", () => {
    expect(candidateGroups(1 << 17, 64, 1, 65_535)).toBe(2048);
    expect(candidateGroups(4096, 64, 1024, 65_535)).toBe(8);
    expect(candidateGroups(10, 64, 5000, 65_535)).toBe(1);
  });
});

describe("scaling", () => {
  test("halves that may be flushed to zero widen the margin, scaled ones do not", () => {
    const rows = (metric: "cosine" | "dot" | "euclidean" | "manhattan", exponent: number): RowsScanned => ({
      metric,
      precision: "f16",
      dimensions: 16,
      minNorm: 100,
      maxNorm: 1000,
      exponent,
    });
    const flushed = Math.sqrt(16) * 2 ** -14;
    const absolute = (metric: "cosine" | "dot" | "euclidean" | "manhattan", exponent: number): number =>
      scanQuery(rows(metric, exponent), 1, Infinity)?.params[2] ?? Number.NaN;
    const widened = (metric: "cosine" | "dot" | "euclidean" | "manhattan"): number =>
      absolute(metric, 5) - absolute(metric, 10);
    expect(widened("dot")).toBeGreaterThanOrEqual(flushed * 0.999);
    expect(widened("manhattan")).toBeGreaterThanOrEqual(flushed * Math.sqrt(16) * 0.999);
    expect(widened("euclidean")).toBeGreaterThanOrEqual(flushed * flushed * 2 ** 16 * 0.999);
    expect(widened("cosine")).toBeGreaterThanOrEqual((flushed / (100 * 2 ** 5)) * 0.999);
  });

  test("halves are scaled clear of subnormals where they may be, and never beyond the largest", () => {
    expect(indexExponent("cosine", "f16", 1)).toBe(10);
    for (const norm of [63, 64, 1000, 65_504]) {
      expect(norm * 2 ** indexExponent("dot", "f16", norm)).toBeLessThanOrEqual(65_504);
    }
    expect(indexExponent("dot", "f16", 65_504 * 30)).toBe(0); // a norm may exceed its largest element
  });

  test("a certificate serves rows up to 2^14 times as long as those it was made for, cosine's any rows", () => {
    const made = (metric: "cosine" | "dot"): Certificate => ({ metric, unit: 2 }) as Certificate; // all that is read
    expect(holdsNorm(made("dot"), 2 ** 15)).toBe(true);
    expect(holdsNorm(made("dot"), 2 ** 15 * 1.01)).toBe(false);
    expect(holdsNorm(made("cosine"), 1e30)).toBe(true);
  });

  test("rows of ordinary magnitude are left alone", () => {
    expect(indexExponent("euclidean", "f32", 123)).toBe(0);
    expect(indexExponent("euclidean", "f32", 1e30)).toBe(-99);
    expect(rowExponent("cosine", "f32", 1e-30, 0)).toBe(100);
    expect(indexExponent("hamming", "b1", 1e9)).toBe(0);
  });
});
