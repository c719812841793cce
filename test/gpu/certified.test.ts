/**
 * Certified scans (KERNELS b.5): exact answers from int8 codes, and counters, so that the tests
 * cannot pass by looking at everything in full.
 */
import { createIndex, type IndexOptions, type VectorIndex } from "nearfield";
import { type Internals, withInternals } from "nearfield/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { reference } from "../../src/core/reference.ts";
import { makeData } from "../contract/data.ts";
import { normal } from "../contract/random.ts";
import { gpuAvailable } from "../setup/backends.ts";
import { openTestDevice, type TestDevice } from "../setup/device.ts";

const D = 64;

/** Rows like embeddings: clusters, and a spectrum that decays. */
function structured(count: number, seed: number): Float32Array {
  const gauss = normal(seed);
  const centres = Float32Array.from({ length: 20 * D }, (_, i) => (3 * gauss()) / (1 + (i % D)));
  return Float32Array.from({ length: count * D }, (_, i) => {
    const row = Math.floor(i / D);
    return (centres[(row % 20) * D + (i % D)] ?? 0) + gauss() / (1 + (i % D));
  });
}

describe.skipIf(!gpuAvailable())("certified scans", () => {
  let shared: TestDevice;
  beforeAll(async () => {
    shared = await openTestDevice();
  });
  afterAll(() => shared?.close());

  const open = (internals: Internals, options: Partial<IndexOptions>): Promise<VectorIndex> =>
    createIndex(
      withInternals({ dimensions: D, backend: "gpu", device: shared.device, threads: 1, ...options }, internals),
    );

  const expectExact = async (index: VectorIndex, rows: Float32Array, queries: Float32Array, k: number) => {
    const result = await index.search(queries, { k });
    for (let q = 0; q < result.queries; q++) {
      const query = queries.subarray(q * D, (q + 1) * D);
      expect(result.hits(q)).toEqual(reference({ metric: index.metric, rows, dimensions: D, query, k }));
    }
    expect(result.report).toMatchObject({ exact: true, backend: "gpu", degraded: [] });
    return result.report.scan;
  };

  /** Searches until the directions that are learnt beside the searches are in use. */
  const learnt = async (index: VectorIndex, query: Float32Array): Promise<number> => {
    for (let attempt = 0; attempt < 400; attempt++) {
      const { report } = await index.search(query, { k: 1 });
      if (report.scan.prefixDimensions < D) return report.scan.prefixDimensions;
      await new Promise((resolve) => {
        setTimeout(resolve, 10);
      });
    }
    return D;
  };

  test.each(["cosine", "dot", "euclidean"] as const)(
    "%s: data with structure is scanned by its leading directions, exactly, and few rows need more than their codes",
    async (metric) => {
      const count = 3000;
      const rows = structured(count, 1);
      const queries = structured(6, 2);
      const index = await open({ gpu: { learnRows: 1000 } }, { metric, scan: "certified" });
      await index.add(rows);
      const before = await expectExact(index, rows, queries, 10);
      expect(before).toMatchObject({ method: "certified", prefixDimensions: D });
      expect(await learnt(index, queries.subarray(0, D))).toBeLessThan(D);
      const candidates = index.stats().gpu?.candidates ?? 0;
      const after = await expectExact(index, rows, queries, 10);
      expect(after.method).toBe("certified");
      expect(after.rescans).toBe(0);
      // Survivors of the codes: a small part of the rows, though the prefix leaves out most of the dimensions.
      expect((index.stats().gpu?.candidates ?? 0) - candidates).toBeLessThan(0.15 * count * 6);
      expect(index.stats().gpu?.kernels["scan_f32"]).toBeUndefined();
      await index.close();
    },
  );

  test("Gaussian noise keeps all its dimensions, and a hundredth of the rows survives", async () => {
    const { rows, queries } = makeData("gaussian", "cosine", 3000, 4, D, 3);
    const events: string[] = [];
    const onEvent = ({ code }: { code: string }): void => void events.push(code);
    const index = await open({ gpu: { learnRows: 1000 } }, { metric: "cosine", scan: "certified", onEvent });
    await index.add(rows);
    expect(index.stats().cpu.workers).toBe(0);
    await index.search(queries, { k: 10 });
    // Learning takes its time beside searches; wait for it by watching the codes that are made anew, or not.
    await learntOrNot(index, queries.subarray(0, D));
    // It did learn: a worker was started for that, since few rows are settled on the caller's thread, and nothing failed.
    expect(index.stats().cpu.workers).toBeGreaterThan(0);
    expect(events).not.toContain("gpu-variant-failed");
    const candidates = index.stats().gpu?.candidates ?? 0;
    const scan = await expectExact(index, rows, queries, 10);
    expect(scan).toMatchObject({ method: "certified", prefixDimensions: D, rescans: 0 });
    expect((index.stats().gpu?.candidates ?? 0) - candidates).toBeLessThan(0.02 * 3000 * 4);
    await index.close();
  });

  async function learntOrNot(index: VectorIndex, query: Float32Array): Promise<void> {
    for (let i = 0; i < 20; i++) {
      await index.search(query, { k: 1 });
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
    }
  }

  test("queries orthogonal to every direction, and rows in a plane, are answered exactly", async () => {
    const gauss = normal(9);
    const rows = new Float32Array(1500 * D);
    for (let r = 0; r < 1500; r++) for (let d = 0; d < 8; d++) rows[r * D + d] = gauss();
    const queries = new Float32Array(2 * D);
    queries[D - 1] = 1; // orthogonal to all rows: all distances tie
    queries[D] = 1;
    queries[2 * D - 1] = 1;
    const index = await open({ gpu: { learnRows: 500 } }, { metric: "dot", scan: "certified" });
    await index.add(rows);
    await index.search(queries, { k: 5 });
    expect(await learnt(index, queries.subarray(D))).toBeLessThan(D);
    const result = await index.search(queries, { k: 5 });
    expect([...result.rows.subarray(0, 5)]).toEqual([0, 1, 2, 3, 4]);
    const wanted = reference({ metric: "dot", rows, dimensions: D, query: queries.subarray(D), k: 5 });
    expect(result.hits(1)).toEqual(wanted);
    await index.close();
  });

  test("certified falls to a full scan and that to float64 where candidates overflow, each counted", async () => {
    const rows = new Float32Array(1200 * D).fill(0.25);
    const query = structured(1, 5);
    const certifiedThenFull = await open(
      { gpu: { learnRows: 1e9, rescanRows: 2000, candidateCapacity: 64 } },
      { metric: "dot", scan: "certified" },
    );
    await certifiedThenFull.add(rows);
    const first = await certifiedThenFull.search(query, { k: 3 });
    expect([...first.rows]).toEqual([0, 1, 2]);
    expect(first.report).toMatchObject({ exact: true, backend: "gpu", degraded: [] });
    expect(first.report.scan).toMatchObject({ method: "full", rescans: 1 });
    expect(certifiedThenFull.stats().gpu?.kernels).toMatchObject({ scan_i8: 1, scan_f32: 1 });
    await certifiedThenFull.close();

    const toTheEnd = await open({ gpu: { learnRows: 1e9, rescanRows: 100 } }, { metric: "dot", scan: "certified" });
    await toTheEnd.add(rows);
    const last = await toTheEnd.search(query, { k: 3 });
    expect([...last.rows]).toEqual([0, 1, 2]);
    expect(last.report).toMatchObject({
      exact: true,
      backend: "cpu",
      degraded: ["survivors-overflow:finished-on-cpu"],
    });
    await toTheEnd.close();
  });

  test("stored i8 rows are their own codes: no copy is made, and the scan is certified", async () => {
    const rows = structured(2000, 7);
    const bytes: number[] = [];
    for (const scan of ["full", "certified"] as const) {
      const index = await open({}, { metric: "euclidean", precision: "i8", scan });
      await index.add(rows);
      const result = await index.search(rows.subarray(0, 3 * D), { k: 4 });
      expect(result.report.scan.method).toBe(scan);
      expect([0, 1, 2].map((q) => result.rows[q * 4])).toEqual([0, 1, 2]);
      bytes.push(index.stats().gpu?.residentBytes ?? 0);
      await index.close();
    }
    expect((bytes[1] ?? 0) - (bytes[0] ?? 0)).toBeLessThanOrEqual(2048 * 12); // facts only
  });

  test("the codes count in the memory budget: where they do not fit beside the rows there are none", async () => {
    const rows = structured(2000, 8);
    const rowBytes = D * 4 + 4;
    for (const [perRow, method] of [
      [rowBytes + D + 8, "certified"],
      [rowBytes + 8, "full"],
    ] as const) {
      const memoryBudgetBytes = 2016 * perRow;
      const index = await open({ gpu: { learnRows: 1e9 } }, { scan: "certified", memoryBudgetBytes });
      await index.add(rows);
      const scan = await expectExact(index, rows, rows.slice(0, D), 5);
      expect(scan.method).toBe(method);
      expect(index.stats().gpu?.streamedRows).toBe(0);
      expect(index.stats().gpu?.peakResidentBytes).toBeLessThanOrEqual(memoryBudgetBytes);
      await index.close();
    }
  });

  test("auto certifies large indexes on real adapters only, and never a metric without a bound", async () => {
    const rows = structured(500, 9);
    for (const options of [
      { scan: "auto", metric: "cosine" },
      { scan: "auto", metric: "manhattan" },
    ] as const) {
      const index = await open({ gpu: { certifiedBytes: 1 } }, options);
      await index.add(rows);
      const { report } = await index.search(rows.subarray(0, D), { k: 1 });
      const isCertified = options.metric === "cosine" && !index.backend.software;
      expect(report.scan.method).toBe(isCertified ? "certified" : "full");
      await index.close();
    }
  });
});
