/**
 * The CPU's codes over the life of an index: made in the background, right at every moment, lost
 * with nothing. Counters keep the tests honest: nothing here can pass by looking at every row in full.
 */
import { createIndex, type IndexOptions, RowSet, type VectorIndex } from "nearfield";
import { crashWorker, type Internals, withInternals } from "nearfield/testing";
import { describe, expect, test } from "vitest";
import { reference } from "../../src/core/reference.ts";
import { makeData } from "../contract/data.ts";
import { normal } from "../contract/random.ts";

const D = 64;
const METRICS = ["cosine", "dot", "euclidean"] as const;

/** Rows like embeddings: a spectrum that decays. */
function structured(count: number, seed: number): Float32Array {
  const gauss = normal(seed);
  return Float32Array.from({ length: count * D }, (_, i) => gauss() / (1 + (i % D)));
}

function open(options: Partial<IndexOptions> = {}, internals: Internals = {}): Promise<VectorIndex> {
  const cpu = { pageWork: 0, learnRows: 500, blockRows: 256, ...internals.cpu };
  return createIndex(
    withInternals({ dimensions: D, backend: "cpu", threads: 2, scan: "certified", ...options }, { ...internals, cpu }),
  );
}

/** Waits for what goes on in the background: every row coded, nothing being learnt, and directions learnt where that is expected. */
async function settled(index: VectorIndex, isLearnt = true): Promise<void> {
  for (const until = performance.now() + 60_000; ; ) {
    const { codes } = index.stats().cpu;
    if (performance.now() > until) throw new Error(`no codes after a minute: ${JSON.stringify(codes)}`);
    const isWhole = codes !== null && codes.codedRows === index.rowCount && codes.learning === null;
    if (isWhole && (!isLearnt || codes.directions < D)) return;
    await new Promise((resolve) => {
      setTimeout(resolve, 2);
    });
  }
}

async function expectExact(
  index: VectorIndex,
  rows: Float32Array,
  queries: Float32Array,
  k: number,
  isEligible: (row: number) => boolean = () => true,
): Promise<Awaited<ReturnType<VectorIndex["search"]>>["report"]> {
  const result = await index.search(queries, { k });
  for (let q = 0; q < result.queries; q++) {
    const query = queries.subarray(q * D, (q + 1) * D);
    expect(result.hits(q)).toEqual(reference({ metric: index.metric, rows, dimensions: D, query, k, isEligible }));
  }
  expect(result.report).toMatchObject({ exact: true, backend: "cpu", degraded: [] });
  return result.report;
}

describe.each(METRICS)("%s", (metric) => {
  const rows = structured(3000, 1);
  const queries = structured(6, 2);

  test("directions are learnt beside searches, and then few rows need more than their codes", async () => {
    const index = await open({ metric });
    await index.add(rows);
    await expectExact(index, rows, queries, 10);
    await settled(index);
    const { codes } = index.stats().cpu;
    expect(codes).toMatchObject({ codedRows: 3000, learning: null });
    const before = index.stats().cpu;
    const { scan } = await expectExact(index, rows, queries, 10);
    expect(scan).toMatchObject({ method: "certified", prefixDimensions: codes?.directions, rescans: 0 });
    const after = index.stats().cpu;
    expect(after.rowsJudged - before.rowsJudged).toBe(6 * 3000);
    expect(after.survivors - before.survivors).toBeLessThan(0.3 * 6 * 3000);
    expect(after.rowsSettled - before.rowsSettled).toBe(scan.survivors);
    expect(scan.survivors).toBeLessThan(0.1 * 6 * 3000);
    expect(after.kernels["scan_f32/wasm"]).toBe(before.kernels["scan_f32/wasm"]);
    await index.close();
  });

  test.each([true, false])("every change is seen at once, codes or not (shared memory: %s)", async (sharesMemory) => {
    const index = await open({ metric }, { sharesMemory });
    const now = rows.slice();
    await index.add(rows.subarray(0, 2000 * D));
    await settled(index);
    // The nearest row goes away, and comes back elsewhere.
    const query = queries.subarray(0, D);
    const [nearest] = (await index.search(query, { k: 1 })).hits();
    const row = nearest?.row ?? 0;
    const far = Float32Array.from({ length: D }, (_, i) => (i === D - 1 ? -0.5 : 0.001));
    const old = now.slice(row * D, (row + 1) * D);
    await index.replace(row, far);
    now.set(far, row * D);
    expect((await expectExact(index, now.subarray(0, 2000 * D), queries, 10)).scan.method).not.toBe("full");
    // The farthest row of all becomes the nearest: its old codes would rule it out.
    const farthest = (await index.search(query, { k: 2000 })).hits().at(-1)?.row ?? 0;
    await index.replace(farthest, old);
    now.set(old, farthest * D);
    await expectExact(index, now.subarray(0, 2000 * D), queries, 10);
    await index.add(rows.subarray(2000 * D));
    await expectExact(index, now, queries, 10);
    await index.remove([farthest]);
    await expectExact(index, now, queries, 10, (r) => r !== farthest);
    await settled(index);
    expect((await expectExact(index, now, queries, 10, (r) => r !== farthest)).scan.method).toBe("certified");
    const mapping = await index.compact();
    const kept = now.filter((_, i) => mapping[Math.floor(i / D)] !== 0xffffffff);
    await expectExact(index, kept, queries, 10);
    await settled(index);
    expect((await expectExact(index, kept, queries, 10)).scan.method).toBe("certified");
    await index.close();
  });

  test.each([true, false])(
    "a worker that dies while codes are made loses nothing (shared memory: %s)",
    async (sharesMemory) => {
      for (let turns = 0; turns < 12; turns += 3) {
        const index = await open({ metric }, { sharesMemory });
        await index.add(rows);
        for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setTimeout(resolve, 2));
        await crashWorker(index);
        await expectExact(index, rows, queries, 10);
        await settled(index);
        await crashWorker(index);
        await expectExact(index, rows, queries, 10);
        await settled(index);
        expect(index.stats().cpu.crashes).toBe(2);
        // Where workers have the rows, codes went with one: a search tells, and they are made again.
        await expectExact(index, rows, queries, 10);
        await settled(index);
        expect((await expectExact(index, rows, queries, 10)).scan.method).toBe("certified");
        await index.close();
      }
    },
  );

  test("filters, ties and duplicate rows among the best are the reference's", async () => {
    const index = await open({ metric });
    const doubled = Float32Array.from([...rows.subarray(0, 900 * D), ...rows.subarray(0, 900 * D)]);
    await index.add(doubled);
    await settled(index);
    await index.remove([3, 5, 907]);
    const isOpen = (row: number): boolean => row % 3 === 0 && row !== 3;
    const filter = RowSet.of(
      Array.from({ length: 1800 }, (_, r) => r).filter((r) => r % 3 === 0),
      1800,
    );
    for (const k of [1, 7, 500]) {
      const result = await index.search(queries, { k, filter });
      for (let q = 0; q < 6; q++) {
        const query = queries.subarray(q * D, (q + 1) * D);
        const wanted = reference({ metric, rows: doubled, dimensions: D, query, k, isEligible: isOpen });
        expect(result.hits(q)).toEqual(wanted);
      }
    }
    await index.close();
  });
});

test("rows of magnitudes that float32 cannot square, beside ordinary ones, are scanned apart", async () => {
  // The mean that euclidean rows are centred by is that of all of them.
  for (const magnitude of [1e18, 1e20, 1e25, 3e30]) {
    const rows = structured(2048, 5);
    for (let i = 1024 * D; i < rows.length; i++) rows[i] = (rows[i] ?? 0) * magnitude;
    const index = await open({ metric: "euclidean" });
    await index.add(rows);
    await expectExact(index, rows, structured(3, 6), 5);
    await settled(index, false);
    await expectExact(index, rows, structured(3, 6), 5);
    await index.close();
  }
});

test("queries with filters of their own, of many rows and of few, share a tile", async () => {
  const rows = structured(3000, 7);
  const queries = structured(7, 8);
  const index = await open({ metric: "cosine" });
  await index.add(rows);
  await settled(index);
  const isOpen = (q: number, row: number): boolean => (row * 2654435761) % 2 ** 32 < 2 ** 32 / (1 + q * q);
  const all = Array.from({ length: 3000 }, (_, row) => row);
  const filter = Array.from({ length: 7 }, (_, q) =>
    RowSet.of(
      all.filter((row) => isOpen(q, row)),
      3000,
    ),
  );
  const result = await index.search(queries, { k: 9, filter });
  expect(result.report.scan.method).toBe("certified");
  for (let q = 0; q < 7; q++) {
    const query = queries.subarray(q * D, (q + 1) * D);
    const isEligible = (row: number): boolean => isOpen(q, row);
    expect(result.hits(q)).toEqual(reference({ metric: "cosine", rows, dimensions: D, query, k: 9, isEligible }));
  }
  await index.close();
});

test("queries orthogonal to every direction, and rows in a plane, are answered exactly", async () => {
  const gauss = normal(9);
  const rows = new Float32Array(1500 * D);
  for (let r = 0; r < 1500; r++) for (let d = 0; d < 8; d++) rows[r * D + d] = gauss();
  const queries = new Float32Array(2 * D);
  queries[D - 1] = 1; // orthogonal to all rows: all distances tie
  queries[D] = 1;
  queries[2 * D - 1] = 1;
  const index = await open({ metric: "dot" });
  await index.add(rows);
  await settled(index);
  await expectExact(index, rows, queries, 5);
  await index.close();
});

test("Gaussian noise keeps its dimensions after learning, and a hundredth of the rows survives", async () => {
  const { rows, queries } = makeData("gaussian", "cosine", 4000, 4, D, 3);
  const index = await open({ metric: "cosine", threads: 1 });
  await index.add(rows);
  let hasLearnt = false;
  for (;;) {
    const { codes } = index.stats().cpu;
    hasLearnt ||= codes?.learning !== null && codes?.learning !== undefined;
    if (hasLearnt && codes?.learning === null && codes.codedRows === 4000) break;
    await new Promise((resolve) => setImmediate(resolve));
  }
  const before = index.stats().cpu.survivors;
  const { scan } = await expectExact(index, rows, queries, 10);
  expect(scan).toMatchObject({ method: "certified", prefixDimensions: D, rescans: 0 });
  expect(index.stats().cpu.survivors - before).toBeLessThan(0.05 * 4 * 4000);
  await index.close();
});

test("codes that rule out too little are left, and the query says so", async () => {
  const { rows, queries } = makeData("gaussian", "cosine", 20_000, 2, D, 3);
  const index = await open({ metric: "cosine" }, { cpu: { directions: 1 } });
  await index.add(rows);
  await settled(index);
  const { scan } = await expectExact(index, rows, queries, 10);
  expect(scan).toMatchObject({ method: "mixed", rescans: 2, prefixDimensions: 1 });
  expect(index.stats().cpu).toMatchObject({ rescans: 2 });
  await index.close();
});

describe("scan", () => {
  test('"auto" makes codes of a store that is worth it, and "full" of none', async () => {
    const rows = structured(6000, 4);
    const auto = await createIndex({ dimensions: D, backend: "cpu", threads: 1 });
    await auto.add(rows.subarray(0, 100 * D));
    expect((await auto.search(rows.subarray(0, D), { k: 3 })).report.scan.method).toBe("full");
    expect(auto.stats().cpu.codes).toBeNull();
    await auto.add(rows.subarray(100 * D));
    await settled(auto, false);
    expect((await auto.search(rows.subarray(0, D), { k: 3 })).report.scan.method).toBe("certified");
    await auto.close();
    for (const options of [{ scan: "full" }, { metric: "manhattan" }] as const) {
      const full = await createIndex({ dimensions: D, backend: "cpu", threads: 1, ...options });
      await full.add(rows);
      expect((await full.search(rows.subarray(0, D), { k: 3 })).report.scan).toMatchObject({
        method: "full",
        prefixDimensions: D,
      });
      expect(full.stats().cpu.codes).toBeNull();
      await full.close();
    }
  });

  test("of an i8 index goes by its own codes, whatever it is called", async () => {
    const rows = structured(3000, 4);
    for (const scan of ["auto", "full"] as const) {
      const index = await open({ precision: "i8", scan });
      await index.add(rows);
      await settled(index, false);
      const { report } = await index.search(rows.subarray(0, D), { k: 3 });
      expect(report.scan.method).toBe(scan === "full" ? "full" : "certified");
      expect(index.stats().cpu.kernels["scan_i8/wasm"]).toBeGreaterThan(0);
      await index.close();
    }
  });
});

test("rule 9: coding and certified searches on the caller's thread keep to the work budget; it learns nothing", async () => {
  const index = await open({ metric: "euclidean" }, { usesWorkers: false });
  const rows = structured(4000, 1);
  await index.add(rows);
  await settled(index, false);
  await expectExact(index, rows, rows.subarray(0, 40 * D), 3);
  const { slices, sliceBudget, cpu } = index.stats();
  expect(cpu.codes).toEqual({ directions: D, codedRows: 4000, learning: null });
  expect(slices.largest).toBeLessThanOrEqual(sliceBudget);
  expect(slices.count).toBeGreaterThan(10);
  await index.close();
});

test.each([true, false])("close ends coding and learning at any moment (workers: %s)", async (usesWorkers) => {
  for (let turns = 0; turns < 40; turns += 4) {
    const index = await open({}, { usesWorkers });
    await index.add(structured(3000, 1));
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
    await index.close();
    await expect(index.search(new Float32Array(D).fill(1), { k: 1 })).rejects.toMatchObject({ code: "CLOSED" });
  }
});
