/** The GPU backend beyond the contract: limits made small, device loss, memory, budgets. Answers always against the oracle. */
import { createIndex, type EngineEvent, type IndexOptions, type SearchResult, type VectorIndex } from "nearfield";
import { type Internals, loseDevice, withInternals } from "nearfield/testing";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { create } from "webgpu";
import { describe, expect, test } from "vitest";
import { reference } from "../../src/core/reference.ts";
import type { FloatMetric } from "../../src/core/metric.ts";
import { makeData } from "../contract/data.ts";
import { gpuAvailable } from "../setup/backends.ts";

const D = 20;

interface Setup {
  readonly index: VectorIndex;
  readonly rows: Float32Array;
  readonly queries: Float32Array;
  readonly events: EngineEvent[];
}

async function open(internals: Internals, options: Partial<IndexOptions> = {}, rowCount = 3000): Promise<Setup> {
  const events: EngineEvent[] = [];
  const metric = options.metric ?? "euclidean";
  const index = await createIndex(
    withInternals(
      { dimensions: D, metric, backend: "gpu", threads: 2, onEvent: (e: EngineEvent) => events.push(e), ...options },
      internals,
    ),
  );
  const { rows, queries } = makeData("gaussian", metric, rowCount, 20, D, 3);
  await index.add(rows);
  return { index, rows, queries, events };
}

function expectExact(
  result: SearchResult,
  rows: Float32Array,
  queries: Float32Array,
  k: number,
  metric: FloatMetric = "euclidean",
): void {
  for (let q = 0; q < result.queries; q++) {
    const wanted = reference({ metric, rows, dimensions: D, query: queries.subarray(q * D, (q + 1) * D), k });
    expect(result.hits(q)).toEqual(wanted);
  }
}

describe.skipIf(!gpuAvailable())("the GPU backend", () => {
  test.each<[string, Internals, Partial<IndexOptions>]>([
    ["rows sharded over many buffers", { gpu: { maxBindingBytes: 64 * 1024 } }, {}],
    ["tiles of one query", { gpu: { scoreBytes: 1 } }, {}],
    ["two workgroups in a dimension", { gpu: { maxWorkgroupsPerDimension: 7 } }, {}],
    ["no room to spare in the read-back", { gpu: { marginRows: 0 } }, { metric: "cosine" }],
    ["submits of a few dozen rows", { gpu: { submitWork: 50_000, gemm: 0 } }, {}],
    ["rows beyond the memory budget", {}, { memoryBudgetBytes: 48 * 1024 }],
    ["a budget below a single block", {}, { memoryBudgetBytes: 1 }],
    [
      "shards and streaming together",
      { gpu: { maxBindingBytes: 16 * 1024 } },
      { memoryBudgetBytes: 100 * 1024, metric: "dot" },
    ],
  ])("rule 8: %s: still the reference", async (_, internals, options) => {
    const { index, rows, queries } = await open(internals, options);
    const result = await index.search(queries, { k: 10 });
    expectExact(result, rows, queries, 10, (options.metric ?? "euclidean") as FloatMetric);
    expect(result.report).toMatchObject({ backend: "gpu", exact: true, degraded: [] });
    const { gpu } = index.stats();
    if (internals.gpu?.["maxBindingBytes"] !== undefined) expect(gpu?.shards).toBeGreaterThan(3);
    if (internals.gpu?.["submitWork"] !== undefined) expect(gpu?.submits).toBeGreaterThan(5);
    if (options.memoryBudgetBytes !== undefined) {
      expect(gpu?.streamedRows).toBeGreaterThan(0);
      // The least that streaming takes: two buffers of 32 rows and their terms.
      expect(gpu?.peakResidentBytes).toBeLessThanOrEqual(Math.max(options.memoryBudgetBytes, 2 * 32 * (D + 1) * 4));
    } else {
      expect(gpu?.streamedRows).toBe(0);
    }
    await index.close();
  });

  test("in the steady state a batch is one submit, and no buffer and no bind group is created", async () => {
    for (const [gpu, scan, queryCount] of [
      [{}, "full", 1],
      [{ appendFrom: 1, sampleRows: 256 }, "full", 20],
      [{ learnRows: 1e9 }, "certified", 4],
    ] as const) {
      const { index, rows, queries } = await open({ gpu }, { scan, metric: "cosine" });
      const asked = queries.subarray(0, queryCount * D);
      await index.search(asked, { k: 10 });
      const before = index.stats().gpu;
      for (let i = 0; i < 4; i++) expectExact(await index.search(asked, { k: 10 }), rows, asked, 10, "cosine");
      const after = index.stats().gpu;
      expect((after?.submits ?? 0) - (before?.submits ?? 0)).toBe(4);
      expect(after?.buffersCreated).toBe(before?.buffersCreated);
      expect(after?.bindGroupsCreated).toBe(before?.bindGroupsCreated);
      await index.close();
    }
  });

  test("batches overlap: the next is recorded while the results of the one before are on their way, and settled", async () => {
    const { index, rows, queries } = await open({}, { metric: "cosine" });
    await index.search(queries, { k: 5 });
    const one = (q: number): Promise<SearchResult> => index.search(queries.subarray(q * D, (q + 1) * D), { k: 5 });
    const first = one(0);
    // Later turns of the event loop: these are batches of their own.
    const later: Promise<SearchResult>[] = [];
    for (let q = 1; q < 4; q++) {
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      later.push(one(q));
    }
    const results = [await first, ...(await Promise.all(later))];
    results.forEach((result, q) => expectExact(result, rows, queries.subarray(q * D, (q + 1) * D), 5, "cosine"));
    // Three are under way at once, so at most three read-back buffers were ever made.
    expect(index.stats().gpu?.buffersCreated).toBeLessThan(40);
    await index.close();
  });

  test("survivors beyond the read-back are counted rescans, and beyond gathering are finished on the CPU, named", async () => {
    const rowCount = 2000;
    for (const [rescanRows, finishedBy] of [
      [4000, "gpu"],
      [100, "cpu"],
    ] as const) {
      const { index } = await open({ gpu: { rescanRows } }, {}, 0);
      await index.add(new Float32Array(rowCount * D).fill(1));
      const result = await index.search(new Float32Array(D), { k: 5 });
      expect([...result.rows]).toEqual([0, 1, 2, 3, 4]);
      expect(result.report.scan.rescans).toBe(1);
      expect(result.report.backend).toBe(finishedBy);
      expect(result.report.degraded).toEqual(finishedBy === "gpu" ? [] : ["survivors-overflow:finished-on-cpu"]);
      expect(result.report.exact).toBe(true);
      await index.close();
    }
  });

  test("a euclidean query astronomically larger than the rows is answered exactly, and says how", async () => {
    const { index, rows } = await open({});
    const query = new Float32Array(D).fill(1e30);
    const result = await index.search(query, { k: 4 });
    expectExact(result, rows, query, 4);
    expect(result.report.degraded).toEqual(["gpu-unsuited:finished-on-cpu"]);
    await index.close();
  });

  test("rows of a new magnitude re-scale the copies, and rows replaced or added reach the GPU", async () => {
    const { index, rows, queries } = await open({}, {}, 500);
    await index.search(queries, { k: 3 });
    const extra = Float32Array.from({ length: 3 * D }, (_, i) => (i % 7) * 1e25);
    await index.add(extra);
    await index.replace(7, queries.subarray(0, D));
    const all = new Float32Array([...rows, ...extra]);
    all.set(queries.subarray(0, D), 7 * D);
    expectExact(await index.search(queries, { k: 3 }), all, queries, 3);
    expectExact(await index.search(extra.subarray(0, D), { k: 3 }), all, extra.subarray(0, D), 3);
    await index.close();
  });

  test("reads back at most 8 bytes × (k + margin) a query, and uploads each row once", async () => {
    const { index, queries } = await open({}, { metric: "cosine" });
    await index.search(queries.subarray(0, D), { k: 10 });
    const before = index.stats().gpu;
    for (let i = 0; i < 5; i++) await index.search(queries, { k: 10 });
    const after = index.stats().gpu;
    const read = (after?.readBackBytes ?? 0) - (before?.readBackBytes ?? 0);
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThanOrEqual(5 * 20 * 8 * (10 + 16));
    expect(after?.candidates).toBeLessThan(5 * 20 * 3000 * 0.2 + (before?.candidates ?? 0));
    expect(after?.uploadedBytes).toBe(before?.uploadedBytes);
    expect((after?.submits ?? 0) - (before?.submits ?? 0)).toBe(5);
    await index.close();
  });

  test("grows shards as rows come, and compact lets go of the old copies", async () => {
    const { index, rows, queries } = await open({}, {}, 100);
    for (let i = 0; i < 5; i++) {
      await index.add(makeData("gaussian", "euclidean", 400, 1, D, 50 + i).rows);
      await index.search(queries.subarray(0, D), { k: 1 });
    }
    const kept = Array.from({ length: 100 }, (_, row) => row);
    await index.remove(Array.from({ length: 2000 }, (_, i) => 100 + i));
    const mapping = await index.compact();
    expect([...mapping.slice(0, 101)]).toEqual([...kept, 0xffffffff]);
    expectExact(await index.search(queries, { k: 5 }), rows, queries, 5);
    expect(index.stats().gpu?.shards).toBe(1);
    expect(index.stats().gpu?.residentBytes).toBeLessThan(2100 * D * 4);
    await index.close();
  });

  test("leaves no buffer behind on the caller's device, though uploads were under way at close", async () => {
    const gpu = create([]);
    const device = await (await gpu.requestAdapter())?.requestDevice();
    if (device === undefined) throw new Error("no device");
    const live = new Set<GPUBuffer>();
    const createBuffer = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      const buffer = createBuffer(descriptor);
      const destroy = buffer.destroy.bind(buffer);
      live.add(buffer);
      buffer.destroy = () => {
        live.delete(buffer);
        return destroy();
      };
      return buffer;
    };
    const { index } = await open({}, { device }, 0);
    await index.add(makeData("gaussian", "euclidean", 60_000, 1, D, 5).rows);
    await index.add(makeData("gaussian", "euclidean", 1, 1, D, 6).rows);
    expect(live.size).toBeGreaterThan(0);
    await index.close();
    for (let turn = 0; turn < 50; turn++) {
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    expect([...live].map((buffer) => buffer.label)).toEqual([]);
    device.destroy();
  });

  test("a closed index is collected, rows and all, though the caller's device lives on", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const gpu = create([]);
    const device = await (await gpu.requestAdapter())?.requestDevice();
    if (device === undefined) throw new Error("no device");
    const use = async (): Promise<WeakRef<VectorIndex>> => {
      const { index, queries } = await open({}, { device, scan: "certified" }, 200);
      await index.search(queries, { k: 1 });
      await index.close();
      return new WeakRef(index);
    };
    const index = await use();
    for (let turn = 0; turn < 20 && index.deref() !== undefined; turn++) {
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      collect();
    }
    expect(index.deref()).toBeUndefined();
    device.destroy();
    expect(gpu).toBeDefined(); // held until here
  });

  test("leaves no buffer behind on close", async () => {
    const { index, queries } = await open({});
    await index.search(queries, { k: 10 });
    expect(index.stats().gpu?.bytesAllocated).toBeGreaterThan(0);
    await index.close();
    expect(index.stats().gpu?.bytesAllocated).toBe(0);
  });

  test("rule 7: a software adapter is taken for backend gpu, said so, and refused by auto with the reason", async () => {
    const { index, events } = await open({}, {}, 1);
    expect(index.backend.kind).toBe("gpu");
    expect(index.backend.name).not.toBe("");
    if (index.backend.software) expect(events.map((e) => e.code)).toContain("backend-software");
    await index.close();
    const auto = await createIndex({ dimensions: D });
    if (index.backend.software) {
      expect(auto.backend.kind).toBe("cpu");
      expect(auto.backend.reason).toMatch(/software/);
    } else {
      expect(auto.backend.kind).toBe("gpu");
    }
    await auto.close();
  });

  test("a device of the caller is used, and not destroyed by close", async () => {
    const gpu = create([]);
    const device = await (await gpu.requestAdapter())?.requestDevice();
    if (device === undefined) throw new Error("no device");
    const { index, rows, queries } = await open({}, { device, backend: "auto" });
    expect(index.backend.reason).toMatch(/caller/);
    expectExact(await index.search(queries, { k: 4 }), rows, queries, 4);
    await index.close();
    let isLost = false;
    void device.lost.then(() => (isLost = true));
    await device.queue.onSubmittedWorkDone();
    expect(isLost).toBe(false);
    device.destroy();
  });
});

describe.skipIf(!gpuAvailable())("a GPU that fails without being lost", () => {
  /** A device whose error scopes report `error` as long as `isFailing` says so. */
  async function failingDevice(error: GPUError, isFailing: () => boolean): Promise<{ device: GPUDevice; gpu: GPU }> {
    const gpu = create([]);
    const device = await (await gpu.requestAdapter())?.requestDevice();
    if (device === undefined) throw new Error("no device");
    const pop = device.popErrorScope.bind(device);
    device.popErrorScope = async () => {
      const reported = await pop();
      return isFailing() ? error : reported;
    };
    return { device, gpu };
  }

  // In Node WebGPU's error classes are no globals; the engine goes by their names.
  class GPUOutOfMemoryError extends Error {}
  class GPUValidationError extends Error {}

  test.each([
    [new GPUOutOfMemoryError("too much"), "gpu-out-of-memory:finished-on-cpu", /OUT_OF_MEMORY|no device memory/],
    [new GPUValidationError("not like this"), "gpu-failed:finished-on-cpu", /not like this/],
  ])(
    "%s: the batch finishes on the CPU, named, and the next one sends the rows again",
    async (error, degraded, told) => {
      let isFailing = false;
      const { device, gpu } = await failingDevice(error, () => isFailing);
      const { index, rows, queries, events } = await open({}, { device });
      await index.search(queries, { k: 3 });
      const uploaded = index.stats().gpu?.uploadedBytes ?? 0;
      isFailing = true;
      const during = await index.search(queries, { k: 5 });
      isFailing = false;
      expectExact(during, rows, queries, 5);
      expect(during.report).toMatchObject({ backend: "cpu", exact: true, degraded: [degraded] });
      expect(events.filter((e) => e.code === "gpu-failed").map((e) => e.message)).toEqual([
        expect.stringMatching(told),
      ]);
      const after = await index.search(queries, { k: 5 });
      expectExact(after, rows, queries, 5);
      expect(after.report).toMatchObject({ backend: "gpu", degraded: [] });
      expect(index.stats().gpu?.uploadedBytes).toBeGreaterThanOrEqual(uploaded + rows.byteLength);
      await index.close();
      device.destroy();
      expect(gpu).toBeDefined(); // held until here
    },
  );

  test("three failures in a row, and the GPU is given up with an event", async () => {
    const { device, gpu } = await failingDevice(new GPUValidationError("never"), () => true);
    const { index, rows, queries, events } = await open({}, { device });
    for (let i = 0; i < 4; i++) expectExact(await index.search(queries, { k: 2 }), rows, queries, 2);
    expect(events.map((e) => e.code)).toContain("device-abandoned");
    expect(index.backend.kind).toBe("cpu");
    await index.close();
    device.destroy();
    expect(gpu).toBeDefined(); // held until here
  });
});

describe.skipIf(!gpuAvailable())("device loss", () => {
  async function recovered(events: readonly EngineEvent[], code: string): Promise<void> {
    for (let i = 0; i < 400 && !events.some((e) => e.code === code); i++) {
      await new Promise((resolve) => {
        setTimeout(resolve, 10);
      });
    }
    expect(events.map((e) => e.code)).toContain(code);
  }

  test("queries in flight finish on the CPU and say so; later ones are on the GPU again with nothing amiss", async () => {
    const { index, rows, queries, events } = await open({ recoveryDelaysMs: [50, 50] });
    await index.search(queries, { k: 5 });
    const during = Promise.all(
      Array.from({ length: 8 }, (_, q) => index.search(queries.subarray(q * D, (q + 1) * D), { k: 5 })),
    );
    await loseDevice(index);
    const results = await during;
    results.forEach((result, q) => expectExact(result, rows, queries.subarray(q * D, (q + 1) * D), 5));
    expect(results.flatMap((r) => r.report.degraded)).toContain("device-lost:finished-on-cpu");
    expect(results.every((r) => r.report.exact)).toBe(true);
    await recovered(events, "device-recovered");
    const after = await index.search(queries, { k: 5 });
    expectExact(after, rows, queries, 5);
    expect(after.report).toMatchObject({ backend: "gpu", degraded: [] });
    expect(index.stats().deviceLosses).toBe(1);
    await index.close();
  });

  test("a device that goes away while it works on a batch: that batch too", async () => {
    const { index, rows, queries, events } = await open({ recoveryDelaysMs: [10] });
    // A fast GPU may be done before the loss: then again, with the device that came back.
    for (let attempt = 1; ; attempt++) {
      await index.search(queries, { k: 5 });
      const before = index.stats().gpu?.submits ?? 0;
      const during = index.search(queries, { k: 5 });
      while ((index.stats().gpu?.submits ?? 0) === before) {
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
      }
      await loseDevice(index);
      const result = await during;
      expectExact(result, rows, queries, 5);
      await recovered(events, "device-recovered");
      if (result.report.backend === "gpu" && attempt < 20) {
        events.length = 0;
        continue;
      }
      expect(result.report).toMatchObject({ backend: "cpu", exact: true, degraded: ["device-lost:finished-on-cpu"] });
      break;
    }
    expect(events.map((e) => e.code)).not.toContain("gpu-failed");
    await index.close();
  });

  test("when no device comes back the CPU takes over for good, and every report says so", async () => {
    const { index, rows, queries, events } = await open({ recoveryDelaysMs: [] });
    await loseDevice(index);
    await recovered(events, "device-abandoned");
    const result = await index.search(queries, { k: 5 });
    expectExact(result, rows, queries, 5);
    expect(result.report).toMatchObject({ backend: "cpu", degraded: ["device-lost:finished-on-cpu"] });
    expect(index.backend).toMatchObject({ kind: "cpu" });
    await index.close();
  });

  test("the caller's device once lost is replaced by one of ours", async () => {
    const gpu = create([]);
    const device = await (await gpu.requestAdapter())?.requestDevice();
    if (device === undefined) throw new Error("no device");
    const { index, rows, queries, events } = await open({ recoveryDelaysMs: [0, 10] }, { device });
    device.destroy();
    await recovered(events, "device-recovered");
    const result = await index.search(queries, { k: 5 });
    expectExact(result, rows, queries, 5);
    expect(result.report.degraded).toEqual([]);
    await index.close();
  });

  test("losing the device while rows are being added loses no row", async () => {
    const { index, rows, queries } = await open({ recoveryDelaysMs: [0] }, {}, 0);
    const { rows: data } = makeData("gaussian", "euclidean", 2000, 1, D, 77);
    const adding = index.add(data);
    await loseDevice(index);
    await adding;
    expect(rows).toHaveLength(0);
    expectExact(await index.search(queries, { k: 5 }), data, queries, 5);
    await index.close();
  });
});
