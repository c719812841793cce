/** DESIGN rules 1–10, each by a test that names its number, on the CPU backend and, where present, the GPU. */
import { createIndex, type EngineEvent, type IndexOptions, NearfieldError, RowSet, type VectorIndex } from "nearfield";
import { type Internals, withInternals } from "nearfield/testing";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import type { Metric, Precision } from "../../src/core/metric.ts";
import { reference, storedRow } from "../../src/core/reference.ts";
import { makeData } from "../contract/data.ts";
import { gpuAvailable } from "../setup/backends.ts";

const BACKENDS = [
  { name: "WASM workers", backend: "cpu", internals: {}, isHere: true },
  { name: "WASM workers with copies", backend: "cpu", internals: { sharesMemory: false }, isHere: true },
  { name: "plain JS in the page", backend: "cpu", internals: { kernels: "js", usesWorkers: false }, isHere: true },
  { name: "GPU", backend: "gpu", internals: {}, isHere: gpuAvailable() },
] as const;

const D = 12;
const opened: VectorIndex[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((index) => index.close()));
});

describe.each(BACKENDS)("on $name", ({ backend, internals, isHere }) => {
  const rule = test.skipIf(!isHere);

  async function open(options: Partial<IndexOptions> = {}, extra: Internals = {}): Promise<VectorIndex> {
    const index = await createIndex(
      withInternals(
        { dimensions: D, metric: "euclidean", backend, threads: 2, ...options },
        { ...internals, ...extra },
      ),
    );
    opened.push(index);
    return index;
  }

  function truth(rows: Float32Array, query: Float32Array, k: number, isEligible?: (row: number) => boolean): number[] {
    return reference({ metric: "euclidean", rows, dimensions: D, query, k, ...(isEligible ? { isEligible } : {}) }).map(
      (h) => h.row,
    );
  }

  const { rows, queries } = makeData("gaussian", "euclidean", 2000, 40, D, 9);
  /** A batch that takes long enough to be caught in the act. */
  const longBatch = new Float32Array(queries.length * 25);
  for (let i = 0; i < 25; i++) longBatch.set(queries, i * queries.length);
  const query = (q: number): Float32Array => queries.subarray(q * D, (q + 1) * D);

  rule(
    "rule 1: equal distances come in the order of rows, whatever the order of adding, batching and asking",
    async () => {
      const index = await open();
      const tied = new Float32Array(600 * D).fill(0.25);
      await index.add(tied.subarray(0, 100 * D));
      await index.add(tied.subarray(100 * D));
      const result = await index.search(query(0), { k: 7, filter: RowSet.of([500, 3, 77, 599, 100, 99, 98, 4], 600) });
      expect([...result.rows]).toEqual([3, 4, 77, 98, 99, 100, 500]);
      expect(new Set(result.distances).size).toBe(1);
    },
  );

  rule("rule 3: above k = 256 the answer is still the whole reference", async () => {
    const index = await open();
    await index.add(rows);
    const result = await index.search(query(1), { k: 700 });
    expect([...result.rows]).toEqual(truth(rows, query(1), 700));
    expect(result.report).toMatchObject({ exact: true, degraded: [] });
  });

  rule("rule 4: stored f32 rows come back bit for bit, −0, subnormals and extremes included", async () => {
    const index = await open({ metric: "dot" });
    const odd = Float32Array.from([
      -0,
      1e-45,
      -1e-45,
      3.4028234663852886e38,
      -3.4028234663852886e38,
      1 / 3,
      0,
      1,
      2,
      3,
      4,
      5,
    ]);
    await index.add(odd);
    const got = await index.get([0]);
    expect(new Uint32Array(got.buffer)).toEqual(new Uint32Array(odd.buffer));
  });

  rule("rule 5: a search sees the adds that resolved before it and none that come after", async () => {
    const index = await open();
    await index.add(rows.subarray(0, 100 * D));
    const before = index.search(query(0), { k: 5 });
    const adding = index.add(rows.subarray(100 * D));
    expect([...(await before).rows]).toEqual(truth(rows.subarray(0, 100 * D), query(0), 5));
    await adding;
    expect([...(await index.search(query(0), { k: 5 })).rows]).toEqual(truth(rows, query(0), 5));
  });

  rule("rows added after a search, far enough to grow the memory, are found by the next one", async () => {
    const index = await open({}, backend === "cpu" ? { kernels: "js" } : {});
    await index.add(rows.subarray(0, 50 * D));
    for (let end = 50; end < 2000; end += 650) {
      expect([...(await index.search(query(5), { k: 4 })).rows]).toEqual(truth(rows.subarray(0, end * D), query(5), 4));
      await index.add(rows.subarray(end * D, (end + 650) * D));
    }
    expect([...(await index.search(query(5), { k: 4 })).rows]).toEqual(truth(rows, query(5), 4));
  });

  rule("rule 5: a search sees the removes that resolved before it and none that come after", async () => {
    const index = await open();
    await index.add(rows);
    const nearest = truth(rows, query(2), 3);
    const before = index.search(query(2), { k: 3 });
    await index.remove(nearest);
    const after = await index.search(query(2), { k: 3 });
    expect([...(await before).rows]).toEqual(nearest);
    expect([...after.rows]).toEqual(truth(rows, query(2), 3, (row) => !nearest.includes(row)));
  });

  rule("rule 5: a search called before a replace does not see it, one called after it does", async () => {
    const index = await open();
    await index.add(rows);
    const nearest = truth(rows, query(3), 2);
    const before = index.search(query(3), { k: 2 });
    const replacing = index.replace(nearest[0] ?? 0, new Float32Array(D).fill(1000));
    await replacing;
    expect([...(await before).rows]).toEqual(nearest);
    const after = await index.search(query(3), { k: 2 });
    expect([...after.rows]).toEqual(truth(rows, query(3), 2, (row) => row !== nearest[0]));
  });

  rule("rule 5: the filter is taken at the call", async () => {
    const index = await open();
    await index.add(rows);
    const filter = RowSet.of([5, 6, 7], 2000);
    const searching = index.search(query(0), { k: 10, filter });
    filter.delete(5).delete(6).add(1500);
    expect([...(await searching).rows.slice(0, 3)].sort((a, b) => a - b)).toEqual([5, 6, 7]);
    const again = await index.search(query(0), { k: 10, filter });
    expect([...again.rows.slice(0, again.counts[0])].sort((a, b) => a - b)).toEqual([7, 1500]);
  });

  rule("rule 5: adds are ordered by their calls, and the buffers given are neither changed nor detached", async () => {
    const index = await open();
    const parts = [300, 1, 50, 1649].map((count) => count);
    let at = 0;
    const slices = parts.map((count) => rows.slice(at * D, (at += count) * D));
    const results = await Promise.all(slices.map((slice) => index.add(slice)));
    expect(results.map((r) => [r.first, r.count])).toEqual([
      [0, 300],
      [300, 1],
      [301, 50],
      [351, 1649],
    ]);
    expect(await index.get(Array.from({ length: 2000 }, (_, i) => i))).toEqual(rows);
    at = 0;
    for (const [i, count] of parts.entries()) expect(slices[i]).toEqual(rows.slice(at * D, (at += count) * D));
  });

  rule(
    "rule 5: an add that is aborted or rejected hands out no rows, and the index goes on as if it had not been",
    async () => {
      const index = await open();
      await index.add(rows.subarray(0, 10 * D));
      const controller = new AbortController();
      const large = new Float32Array(D * 300_000).fill(0.5);
      const aborted = index.add(large, {
        signal: controller.signal,
        onProgress: ({ done }) => done > 0 && controller.abort("enough"),
      });
      await expect(aborted).rejects.toMatchObject({ code: "ABORTED", cause: "enough" });
      const bad = rows.slice(0, 5 * D);
      bad[4 * D + 3] = Number.NaN;
      await expect(index.add(bad)).rejects.toMatchObject({ code: "INVALID_VECTOR", details: { position: 4 } });
      expect(index.rowCount).toBe(10);
      expect(await index.add(rows.subarray(10 * D, 20 * D))).toEqual({ first: 10, count: 10, skipped: [] });
      expect([...(await index.search(query(0), { k: 20 })).rows]).toEqual(
        truth(rows.subarray(0, 20 * D), query(0), 20),
      );
    },
  );

  rule("rule 6: skipped rows, fewer hits than k and empty answers all show", async () => {
    const events: EngineEvent[] = [];
    const index = await open({ metric: "cosine", invalid: "skip", onEvent: (e) => events.push(e) });
    const dirty = rows.slice(0, 8 * D);
    dirty.fill(0, 2 * D, 3 * D);
    dirty[5 * D] = Infinity;
    expect(await index.add(dirty)).toEqual({ first: 0, count: 6, skipped: [2, 5] });
    expect(events.map((e) => e.code)).toContain("rows-skipped");
    const all = await index.search(query(0), { k: 100 });
    expect(all.k).toBe(6);
    expect([...all.counts]).toEqual([6]);
    const limited = await index.search(query(0), { k: 4, maxDistance: -1 });
    expect([...limited.counts]).toEqual([0]);
    expect([...limited.rows]).toEqual([0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff]);
    expect([...limited.distances]).toEqual([Infinity, Infinity, Infinity, Infinity]);
    expect(limited.hits()).toEqual([]);
    const none = await index.search(query(0), { k: 4, filter: RowSet.of([], 6) });
    expect(none.report).toMatchObject({ exact: true, scanned: 0, total: 0 });
  });

  rule("rule 7: the index says which backend serves it, and why", async () => {
    const index = await open();
    expect(index.backend.kind).toBe(backend);
    expect(index.backend.reason).toContain(`"${backend}" was asked for`);
    if (backend === "cpu") expect(index.backend.threads).toBeGreaterThan(0);
  });

  rule("rule 8: queries × k beyond 2^28 is TOO_LARGE, before any work", async () => {
    const index = await open({ dimensions: 1 });
    await index.add(new Float32Array(20_000));
    const many = new Float32Array(2 ** 28 / 16_384 + 1);
    await expect(index.search(many, { k: 16_384 })).rejects.toMatchObject({ code: "TOO_LARGE" });
    expect(index.stats().batches).toBe(0);
  });

  rule("rule 9: no synchronous stretch of add, get, search or compact exceeds the work budget", async () => {
    const wide = await open({ dimensions: 700 }); // a whole block of these rows is more than a slice
    await wide.add(new Float32Array(700 * 1500).fill(0.5));
    await wide.search(new Float32Array(700 * 9), { k: 3 });
    expect(wide.stats().slices.largest).toBeLessThanOrEqual(wide.stats().sliceBudget);
    const index = await open({ dimensions: 64 });
    const large = new Float32Array(64 * 60_000).fill(0.5);
    await index.add(large);
    await index.get(Array.from({ length: 50_000 }, (_, i) => i));
    await index.search(large.subarray(0, 64 * 40), { k: 3 });
    await index.search(large.subarray(0, 64), { k: 60_000 });
    await index.remove(Array.from({ length: 40_000 }, (_, i) => i));
    await index.compact();
    const { slices, sliceBudget } = index.stats();
    expect(slices.count).toBeGreaterThan(8);
    expect(slices.largest).toBeLessThanOrEqual(sliceBudget);
  });

  rule("rule 10: removing again is ignored, out of range is INVALID_ROW and removes nothing", async () => {
    const index = await open();
    await index.add(rows);
    expect(await index.remove([3, 4, 3])).toBe(2);
    expect(await index.remove(new Set([3, 5]))).toBe(1);
    await expect(index.remove([8, 2000])).rejects.toMatchObject({ code: "INVALID_ROW" });
    expect(index.size).toBe(1997);
    expect(index.rowCount).toBe(2000);
    await expect(index.get([3])).rejects.toMatchObject({ code: "INVALID_ROW" });
    await expect(index.replace(3, query(0))).rejects.toMatchObject({ code: "INVALID_ROW" });
    const mapping = await index.compact();
    expect(mapping).toHaveLength(2000);
    expect([...mapping.slice(0, 8)]).toEqual([0, 1, 2, 0xffffffff, 0xffffffff, 0xffffffff, 3, 4]);
    expect([index.size, index.rowCount]).toEqual([1997, 1997]);
    const wanted = truth(rows, query(4), 9, (row) => ![3, 4, 5].includes(row)).map((row) => mapping[row]);
    expect([...(await index.search(query(4), { k: 9 })).rows]).toEqual(wanted);
  });

  /** Waits, turn by turn, until a batch is under way. */
  async function batchBegins(index: VectorIndex, before = 0): Promise<void> {
    while (index.stats().batches === before) {
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
  }

  rule("rule 10: close lets running searches finish, refuses queued ones with CLOSED, and is idempotent", async () => {
    const index = await open();
    await index.add(rows);
    const running = index.search(queries, { k: 3 });
    await batchBegins(index);
    const more = Array.from({ length: 30 }, (_, q) => index.search(query(q), { k: 3 }));
    const closing = index.close();
    expect(index.close()).toBe(closing);
    const outcomes = await Promise.allSettled(more);
    await closing;
    const result = await running;
    for (let q = 0; q < 40; q++) expect(result.hits(q).map((h) => h.row)).toEqual(truth(rows, query(q), 3));
    for (const [q, outcome] of outcomes.entries()) {
      if (outcome.status === "fulfilled") expect([...outcome.value.rows]).toEqual(truth(rows, query(q), 3));
      else expect(outcome.reason).toMatchObject({ code: "CLOSED" });
    }
    expect(outcomes.some((o) => o.status === "rejected")).toBe(true);
    await expect(index.search(query(0), { k: 1 })).rejects.toMatchObject({ code: "CLOSED" });
  });

  rule(
    "rule 10: an abort during a search rejects it at once with the reason as cause, and the index goes on",
    async () => {
      const index = await open();
      await index.add(rows);
      const controller = new AbortController();
      const searching = expect(index.search(longBatch, { k: 300, signal: controller.signal })).rejects.toMatchObject({
        code: "ABORTED",
        cause: new Error("gone"),
      });
      await batchBegins(index);
      controller.abort(new Error("gone"));
      await searching;
      expect([...(await index.search(query(0), { k: 3 })).rows]).toEqual(truth(rows, query(0), 3));
    },
  );

  rule(
    "rule 5: an aborted search that still runs holds replace and compact back, so that no copy goes stale",
    async () => {
      const index = await open();
      await index.add(rows);
      for (let round = 0; round < 3; round++) {
        const controller = new AbortController();
        const { batches } = index.stats();
        const searching = expect(index.search(longBatch, { k: 300, signal: controller.signal })).rejects.toMatchObject({
          code: "ABORTED",
        });
        await batchBegins(index, batches);
        controller.abort();
        await index.replace(1999 - round, query(round));
        await searching;
        expect((await index.search(query(round), { k: 1 })).hits()).toEqual([{ row: 1999 - round, distance: 0 }]);
      }
      const controller = new AbortController();
      const { batches } = index.stats();
      const searching = expect(index.search(longBatch, { k: 300, signal: controller.signal })).rejects.toMatchObject({
        code: "ABORTED",
      });
      await batchBegins(index, batches);
      controller.abort();
      await index.remove([0]);
      await index.compact();
      await searching;
      expect((await index.search(query(2), { k: 1 })).hits()).toEqual([{ row: 1996, distance: 0 }]);
    },
  );

  rule("an add that was refused leaves no trace in how later searches are done", async () => {
    const index = await open();
    await index.add(rows);
    const before = (await index.search(query(0), { k: 3 })).report.scan;
    const bad = new Float32Array(3 * D).fill(1e30);
    bad[2 * D] = Number.NaN;
    await expect(index.add(bad)).rejects.toMatchObject({ code: "INVALID_VECTOR" });
    await index.add(rows.subarray(0, D));
    const after = (await index.search(query(0), { k: 3 })).report.scan;
    expect(after.survivors).toBeLessThanOrEqual(before.survivors + 1);
    expect(after.rescans).toBe(0);
  });

  rule("64 concurrent single searches need at most two batches, and each gets its own answer", async () => {
    const index = await open();
    await index.add(rows);
    const results = await Promise.all(
      Array.from({ length: 64 }, (_, i) => index.search(query(i % 40), { k: 1 + (i % 5) })),
    );
    expect(index.stats().batches).toBeLessThanOrEqual(2);
    for (const [i, result] of results.entries()) {
      expect([...result.rows]).toEqual(truth(rows, query(i % 40), 1 + (i % 5)));
      expect(result.report.batch).toBeGreaterThan(1);
    }
  });

  rule("metamorphic: a batch equals its queries one by one, and permuted rows give the same vectors", async () => {
    const index = await open();
    await index.add(rows);
    const batch = await index.search(queries, { k: 6 });
    for (let q = 0; q < 40; q += 13) {
      const one = await index.search(query(q), { k: 6 });
      expect(one.hits()).toEqual(batch.hits(q));
    }
    const permuted = await open();
    const order = Array.from({ length: 2000 }, (_, i) => (i * 1117) % 2000);
    await permuted.add(order.map((row) => rows.subarray(row * D, (row + 1) * D)));
    const again = await permuted.search(queries, { k: 6 });
    expect([...again.distances]).toEqual([...batch.distances]);
    expect([...again.rows].map((row) => order[row])).toEqual([...batch.rows]);
  });
});

test("any history of adds, replaces, removes, compactions and searches equals the model", async () => {
  const d = 3;
  const vector = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: d, maxLength: d });
  const step = fc.oneof(
    fc.record({ kind: fc.constant("add" as const), vectors: fc.array(vector, { maxLength: 40 }) }),
    fc.record({ kind: fc.constant("remove" as const), picks: fc.array(fc.nat(), { maxLength: 10 }) }),
    fc.record({ kind: fc.constant("replace" as const), pick: fc.nat(), vector }),
    fc.record({ kind: fc.constant("compact" as const) }),
    fc.record({ kind: fc.constant("search" as const), vector, k: fc.integer({ min: 1, max: 12 }) }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<readonly [Precision, Metric]>(
        ["f32", "dot"],
        ["f32", "euclidean"],
        ["f32", "manhattan"],
        ["f16", "euclidean"],
        ["i8", "dot"],
        ["i8", "manhattan"],
        ["b1", "hamming"],
        ["b1", "jaccard"],
      ),
      fc.boolean(),
      fc.array(step, { maxLength: 25 }),
      async ([precision, metric], sharesMemory, steps) => {
        const index = await createIndex(
          withInternals({ dimensions: d, precision, metric, backend: "cpu", threads: 2 }, { sharesMemory }),
        );
        let model: (number[] | undefined)[] = [];
        const live = (): number[] => [...model.keys()].filter((row) => model[row] !== undefined);
        for (const s of steps) {
          const rows = live();
          if (s.kind === "add") {
            expect((await index.add(s.vectors)).first).toBe(model.length);
            model.push(...s.vectors);
          } else if (s.kind === "remove") {
            const picked = new Set(
              s.picks.map((p) => rows[p % Math.max(1, rows.length)]).filter((row) => row !== undefined),
            );
            expect(await index.remove(picked)).toBe(picked.size);
            for (const row of picked) model[row] = undefined;
          } else if (s.kind === "replace" && rows.length > 0) {
            const row = rows[s.pick % rows.length] ?? 0;
            await index.replace(row, s.vector);
            model[row] = s.vector;
          } else if (s.kind === "compact") {
            await index.compact();
            model = model.filter((v) => v !== undefined);
          } else if (s.kind === "search") {
            const flat = Float64Array.from(model.flatMap((v) => [...storedRow(precision, v ?? [0, 0, 0])]));
            const wanted = reference({
              metric,
              rows: flat,
              dimensions: d,
              query: precision === "b1" ? storedRow("b1", s.vector) : s.vector,
              k: s.k,
              isEligible: (row) => model[row] !== undefined,
            });
            expect((await index.search(s.vector, { k: s.k })).hits()).toEqual(wanted);
          }
          expect([index.size, index.rowCount]).toEqual([live().length, model.length]);
        }
        await index.close();
      },
    ),
    { numRuns: 80 },
  );
}, 120_000);

test("dispose closes, where the runtime has the symbol", async () => {
  const index = await createIndex({ dimensions: 2, backend: "cpu" });
  expect(typeof Symbol.asyncDispose).toBe("symbol");
  await index[Symbol.asyncDispose]();
  await expect(index.add([1, 2])).rejects.toBeInstanceOf(NearfieldError);
});
