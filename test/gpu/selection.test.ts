/** Selecting on the GPU where it is hard: overflowing lists, ties, sorted rows, large k, filters of every selectivity. */
import {
  createIndex,
  type IndexOptions,
  RowSet,
  type SearchOptions,
  type SearchResult,
  type VectorIndex,
} from "nearfield";
import { type Internals, withInternals } from "nearfield/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Precision } from "../../src/core/metric.ts";
import { reference, storedRow } from "../../src/core/reference.ts";
import { makeData } from "../contract/data.ts";
import { uniform } from "../contract/random.ts";
import { gpuAvailable } from "../setup/backends.ts";
import { openTestDevice, type TestDevice } from "../setup/device.ts";

const D = 12;
const APPENDING = { appendFrom: 1, sampleRows: 128, expectedCandidates: 256 };

describe.skipIf(!gpuAvailable())("selection on the GPU", () => {
  let shared: TestDevice;
  beforeAll(async () => {
    shared = await openTestDevice();
  });
  afterAll(() => shared?.close());

  const open = (internals: Internals, options: Partial<IndexOptions>): Promise<VectorIndex> =>
    createIndex(
      withInternals({ dimensions: D, backend: "gpu", device: shared.device, threads: 1, ...options }, internals),
    );

  /** Searches all queries and compares with the oracle. */
  async function searched(
    index: VectorIndex,
    rows: Float32Array,
    queries: Float32Array,
    options: SearchOptions,
    isEligible: (row: number) => boolean = () => true,
    precision: Precision = "f32",
  ): Promise<SearchResult> {
    const result = await index.search(queries, options);
    const stored = Float64Array.from(
      Array.from({ length: rows.length / D }, (_, r) => [
        ...storedRow(precision, rows.subarray(r * D, (r + 1) * D)),
      ]).flat(),
    );
    for (let q = 0; q < result.queries; q++) {
      const wanted = reference({
        metric: index.metric,
        rows: stored,
        dimensions: D,
        query: storedQuery(precision, queries.subarray(q * D, (q + 1) * D)),
        k: options.k,
        isEligible,
        ...(options.maxDistance === undefined ? {} : { maxDistance: options.maxDistance }),
      });
      expect(result.hits(q)).toEqual(wanted);
    }
    expect(result.report.exact).toBe(true);
    return result;
  }

  test.each(["equal", "sorted", "duplicates", "gaussian"] as const)(
    "%s rows overflow lists of 64 candidates and are scanned again with scores kept, every query",
    async (kind) => {
      const { rows, queries } = makeData(kind, "euclidean", 3000, 5, D, 4);
      const index = await open({ gpu: { ...APPENDING, candidateCapacity: 64 } }, { metric: "euclidean" });
      await index.add(rows);
      const { report } = await searched(index, rows, queries, { k: 20 });
      expect(report.degraded).toEqual([]);
      expect(report.backend).toBe("gpu");
      if (kind === "equal") expect(report.scan.rescans).toBe(5);
      await index.close();
    },
  );

  test("a list that overflows on every rung ends on the CPU, named, and terminates", async () => {
    const rows = new Float32Array(3000 * D).fill(0.5);
    const queries = makeData("gaussian", "dot", 1, 3, D, 9).queries;
    for (const gpu of [{ ...APPENDING, rescanRows: 500 }, { rescanRows: 500 }]) {
      const index = await open({ gpu }, { metric: "dot" });
      await index.add(rows);
      const { report } = await searched(index, rows, queries, { k: 4 });
      expect(report.degraded).toEqual(["survivors-overflow:finished-on-cpu"]);
      expect(report.scan.rescans).toBe(3);
      await index.close();
    }
  });

  test("bindings too small for what has to be read back end on the CPU instead of trying for ever", async () => {
    const rows = new Float32Array(2000 * D).fill(0.5);
    const queries = makeData("gaussian", "dot", 1, 1, D, 9).queries;
    const index = await open({ gpu: { maxBindingBytes: 4096 } }, { metric: "dot" });
    await index.add(rows);
    const { report } = await searched(index, rows, queries, { k: 5 });
    expect(report.degraded).toEqual(["survivors-overflow:finished-on-cpu"]);
    await index.close();
  });

  test("tiles that a filter leaves out leave no keys of an earlier search behind", async () => {
    const { rows, queries } = makeData("sorted", "euclidean", 3000, 20, D, 12);
    const gpu = { ...APPENDING, gemm: 1, autotune: 0, gemmShape: 2, gemmFrom: 1 };
    const index = await open({ gpu }, { metric: "euclidean", scan: "full" });
    await index.add(rows);
    await searched(index, rows, queries, { k: 5 });
    // The nearest rows are the last ones; now only the first may be found, in tiles of their own.
    const filter = RowSet.of(
      Array.from({ length: 300 }, (_, row) => row),
      3000,
    );
    await searched(index, rows, queries, { k: 5, filter }, (row) => row < 300);
    expect(index.stats().gpu?.kernels["gemm_f32"]).toBeGreaterThan(0);
    await index.close();
  });

  test("f16 rows are sent once, with codes and without", async () => {
    for (const scan of ["full", "certified"] as const) {
      const { rows, queries } = makeData("gaussian", "cosine", 600, 1, D, 13, "f16");
      const index = await open({ gpu: { learnRows: 1e9 } }, { metric: "cosine", precision: "f16", scan });
      await index.add(rows);
      expect((await index.search(queries, { k: 2 })).report.scan.method).toBe(scan);
      expect(index.stats().gpu?.uploadedBytes).toBe(600 * (32 + 4));
      await index.close();
    }
  });

  test("streamed rows whose lists overflow are scanned again with longer ones", async () => {
    const { rows, queries } = makeData("sorted", "euclidean", 2000, 2, D, 5);
    const index = await open({ gpu: { candidateCapacity: 96 } }, { metric: "euclidean", memoryBudgetBytes: 32_768 });
    await index.add(rows);
    const { report } = await searched(index, rows, queries, { k: 30 });
    expect(report.degraded).toEqual([]);
    expect(report.scan.rescans).toBeGreaterThan(0);
    expect(index.stats().gpu?.streamedRows).toBeGreaterThan(2000);
    await index.close();
  });

  test("thresholds are tightened on the way: candidates are a fraction of what the sample alone lets through", async () => {
    const { rows, queries } = makeData("gaussian", "euclidean", 8000, 4, D, 6);
    const candidates = async (expectedCandidates: number): Promise<number> => {
      const index = await open(
        { gpu: { appendFrom: 1, sampleRows: 256, expectedCandidates } },
        { metric: "euclidean" },
      );
      await index.add(rows);
      await searched(index, rows, queries, { k: 100 });
      const found = index.stats().gpu?.candidates ?? 0;
      await index.close();
      return found;
    };
    const oneShot = await candidates(1e9);
    const tightened = await candidates(400);
    expect(tightened).toBeLessThan(oneShot / 2);
    expect(tightened).toBeGreaterThanOrEqual(4 * 100);
  });

  test.each([1, 16, 255, 256, 257, 2048, 2999, 3000, 4000])("k = %i, by scores and by samples", async (k) => {
    const { rows, queries } = makeData("gaussian", "cosine", 3000, 2, D, 7);
    for (const gpu of [{}, APPENDING]) {
      const index = await open({ gpu }, { metric: "cosine" });
      await index.add(rows);
      const { report } = await searched(index, rows, queries, { k });
      expect(report.degraded).toEqual([]);
      await index.close();
    }
  });

  test.each([
    ["none", () => false],
    ["one row", (row: number) => row === 1717],
    ["0.1 %", (row: number) => row % 1000 === 3],
    ["10 %", (row: number) => row % 10 === 7],
    ["a block of 32 in eight", (row: number) => (row >> 5) % 8 === 1],
    ["all", () => true],
  ] as const)("filters that keep %s, shared and per query, with rows removed and a distance limit", async (_, keep) => {
    const count = 4000;
    const { rows, queries } = makeData("clustered", "euclidean", count, 3, D, 8);
    const removed = (row: number): boolean => row % 3 === 0;
    const eligible = (row: number): boolean => keep(row) && !removed(row);
    for (const gpu of [{}, APPENDING]) {
      const index = await open({ gpu }, { metric: "euclidean" });
      await index.add(rows);
      await index.remove(Array.from({ length: count }, (__, row) => row).filter(removed));
      const filter = RowSet.of(Array.from({ length: count }, (__, row) => row).filter(keep), count);
      const free = await searched(index, rows, queries, { k: 10, filter }, eligible);
      const limit = free.hits(0)[4]?.distance ?? 1;
      await searched(index, rows, queries, { k: 10, filter, maxDistance: limit }, eligible);
      const own = [filter, RowSet.of([5, 7], count), filter.not()];
      const result = await index.search(queries, { k: 10, filter: own });
      for (const [q, set] of own.entries()) {
        const wanted = reference({
          metric: "euclidean",
          rows,
          dimensions: D,
          query: queries.subarray(q * D, (q + 1) * D),
          k: 10,
          isEligible: (row) => set.has(row) && !removed(row),
        });
        expect(result.hits(q)).toEqual(wanted);
      }
      await index.close();
    }
  });

  test("hamming ties at the k-th place cost no read-back: only the lowest rows come back", async () => {
    const draw = uniform(3);
    const bits = Float32Array.from({ length: 4000 * D }, () => (draw() < 0.5 ? 1 : -1));
    for (const [gpu, kernel] of [
      [{}, "select_k"],
      [APPENDING, "select_bin"],
    ] as const) {
      const index = await open({ gpu }, { metric: "hamming", precision: "b1" });
      await index.add(bits);
      const { report } = await searched(index, bits, bits.slice(0, 4 * D), { k: 9 }, () => true, "b1");
      expect(report.scan.rescans).toBe(0);
      expect(report.scan.survivors).toBe(4 * 9);
      expect(index.stats().gpu?.kernels[kernel]).toBeGreaterThan(0);
      await index.close();
    }
  });

  test("rows added out of a shard's order, replaced and removed between searches are seen, and their codes too", async () => {
    for (const scan of ["full", "certified"] as const) {
      const { rows, queries } = makeData("gaussian", "dot", 700, 2, D, 10);
      const index = await open({ gpu: { maxBindingBytes: 16 * 1024, learnRows: 1e9 } }, { metric: "dot", scan });
      const all = new Float32Array(1400 * D);
      await index.add(rows);
      all.set(rows);
      await searched(index, rows, queries, { k: 3 });
      await index.replace(3, queries.subarray(0, D));
      all.set(queries.subarray(0, D), 3 * D);
      await index.add(rows);
      all.set(rows, 700 * D);
      await index.remove([0, 1, 2]);
      const { report } = await searched(index, all, queries, { k: 5 }, (row) => row > 2);
      expect(report.scan.method).toBe(scan);
      expect(index.stats().gpu?.shards).toBeGreaterThan(3);
      await index.close();
    }
  });
});

/** A query as distances see it: bits for b1, as given otherwise. */
function storedQuery(precision: Precision, query: Float32Array): ArrayLike<number> {
  return precision === "b1" ? storedRow("b1", query) : query;
}
