/**
 * Faults at every await point of the GPU backend: a scripted history of changes and searches runs
 * again and again, each time with another asynchronous step of the device failing. Whatever
 * happens, every answer is the reference's, says so when the CPU had to help, and later searches
 * are on the GPU again. Devices are real; what fails, and when, is decided in faulty-device.ts.
 */
import { create } from "webgpu";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Clock, nextTurn, systemClock } from "../../src/core/clock.ts";
import type { EngineEvent } from "../../src/core/events.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { reference } from "../../src/core/reference.ts";
import { nodeSpawner } from "../../src/cpu/spawn-node.ts";
import { createIndexOn, type Internals, withInternals } from "../../src/engine/create-index.ts";
import type { IndexOptions } from "../../src/engine/contract.ts";
import type { SearchResult } from "../../src/engine/result.ts";
import type { Index } from "../../src/engine/vector-index.ts";
import { platformOf } from "../../src/platform.ts";
import { makeData } from "../contract/data.ts";
import { gpuAvailable } from "../setup/backends.ts";
import { FakeClock } from "../unit/fake-clock.ts";
import {
  type CountingProvider,
  countingProvider,
  type Fault,
  faulty,
  type FaultyDevice,
  GPUValidationError,
  over,
  type Step,
  STEPS,
} from "./faulty-device.ts";

const D = 8;
const ROWS = 300;
const MORE = 200;

/** Small limits, so that the history appends, tightens and waits for its uploads. */
const TUNING = { sampleRows: 32, appendFrom: 16, expectedCandidates: 64, uploadBytesInFlight: 4096 };

describe.skipIf(!gpuAvailable())("a GPU at fault", () => {
  let gpu: GPU;
  let adapter: GPUAdapter;
  /** Where faults do not harm the device all runs share one: Dawn compiles each kernel once. */
  let shared: GPUDevice;
  /** Devices that recovery gets: all on one, which nobody destroys. */
  let spare: FaultyDevice;

  const requestReal = async (): Promise<GPUDevice> => {
    const fresh = await gpu.requestAdapter();
    if (fresh === null) throw new Error("no adapter, although the set-up found one");
    return fresh.requestDevice();
  };

  beforeAll(async () => {
    gpu = create([]);
    const found = await gpu.requestAdapter();
    if (found === null) throw new Error("no adapter, although the set-up found one");
    adapter = found;
    shared = await requestReal();
    spare = faulty(await requestReal(), { mayDestroy: false });
  });
  afterAll(() => {
    shared.destroy();
    expect(gpu).toBeDefined(); // held until here: Dawn crashes when it is collected earlier
  });

  /** A device that is lost when told to. */
  function losable(): FaultyDevice & { readonly lose: () => void } {
    let lose: () => void = () => {};
    const lost = new Promise<GPUDeviceLostInfo>((resolve) => {
      lose = () => resolve({ reason: "unknown", message: "driver reset" } as GPUDeviceLostInfo);
    });
    return { ...faulty(over(shared, { lost }), { mayDestroy: false }), lose };
  }

  interface Opened {
    readonly index: Index;
    readonly events: EngineEvent[];
    readonly provider: CountingProvider;
  }

  async function open(
    device: GPUDevice | undefined,
    options: Partial<IndexOptions> = {},
    internals: Internals = {},
    provider = countingProvider(adapter, () => spare.device),
  ): Promise<Opened> {
    const events: EngineEvent[] = [];
    const all = withInternals(
      {
        dimensions: D,
        metric: "euclidean" as const,
        backend: "gpu" as const,
        onEvent: (event: EngineEvent) => events.push(event),
        ...options,
        ...(device === undefined ? {} : { device }),
      },
      { usesWorkers: false, recoveryDelaysMs: [0, 1, 1], ...internals, gpu: { ...TUNING, ...internals.gpu } },
    );
    const index = await createIndexOn(platformOf(nodeSpawner, provider), all);
    return { index, events, provider };
  }

  const codes = (events: readonly EngineEvent[], code: EngineEvent["code"]): EngineEvent[] =>
    events.filter((event) => event.code === code);

  async function until(isReached: () => boolean): Promise<void> {
    for (let turn = 0; turn < 20_000 && !isReached(); turn++) {
      await new Promise((resolve) => {
        systemClock.after(turn < 1000 ? 0 : 1, () => resolve(undefined));
      });
    }
    expect(isReached()).toBe(true);
  }

  async function turns(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn++) await nextTurn(systemClock);
  }

  function expectExact(
    result: SearchResult,
    rows: Float32Array,
    queries: Float32Array,
    k: number,
    metric = "euclidean",
  ): void {
    expect(result.report.exact).toBe(true);
    for (let q = 0; q < result.queries; q++) {
      const query = queries.subarray(q * D, (q + 1) * D);
      expect(result.hits(q)).toEqual(reference({ metric: metric as "euclidean", rows, dimensions: D, query, k }));
    }
  }

  /** Distances that the CPU computed by scanning, not by settling what the GPU proposed. */
  const scannedOnCpu = (index: Index): number => {
    const { cpu } = index.stats();
    return cpu.rowsScannedInPage + cpu.rowsScannedInWorkers;
  };

  /** Searches at once; each exact, and degraded exactly when the CPU scanned for it. */
  async function searchAll(
    index: Index,
    rows: Float32Array,
    batches: readonly Float32Array[],
    k: number,
  ): Promise<void> {
    const before = scannedOnCpu(index);
    const searches: Promise<SearchResult>[] = [];
    for (const queries of batches) {
      searches.push(index.search(queries, { k }));
      await turns(2); // so that they are batches of their own, one recorded while another comes back
    }
    const results = await Promise.all(searches);
    results.forEach((result, i) => expectExact(result, rows, batches[i] ?? new Float32Array(), k, index.metric));
    const degraded = results.filter(({ report }) => report.degraded.length > 0);
    expect(degraded.length > 0).toBe(scannedOnCpu(index) > before);
    for (const { report } of results) expect(report.backend).toBe(report.degraded.length > 0 ? "cpu" : "gpu");
  }

  /** The scripted history; `between` runs after each of its steps. Leaves the rows as they are at the end. */
  async function history(index: Index): Promise<{ rows: Float32Array; queries: Float32Array }> {
    const { rows: all, queries } = makeData("gaussian", index.metric, ROWS + MORE, 17, D, 11);
    const first = all.slice(0, ROWS * D);
    const one = queries.subarray(0, D);
    await index.add(first);
    await searchAll(index, first, [one], 3);
    await searchAll(index, first, [queries], 5);
    await index.add(all.subarray(ROWS * D));
    await searchAll(index, all, [one, queries.subarray(D, 4 * D), queries.subarray(4 * D, 6 * D)], 4);
    await index.replace(7, one);
    all.set(one, 7 * D);
    await searchAll(index, all, [queries], 3);
    return { rows: all, queries };
  }

  /** Runs the history with one fault; then all must be well again, and nothing be left behind. */
  async function runWith(
    real: GPUDevice,
    fault: Fault,
    step: Step,
    n: number,
    options: Partial<IndexOptions>,
  ): Promise<boolean> {
    let wasHit = false;
    let isOver = false; // the search that finds all well again is not part of the history
    const faults = faulty(real, {
      onStep: (kind, at) => {
        if (kind !== step || at !== n || isOver) return undefined;
        wasHit = true;
        return fault;
      },
    });
    const { index, events, provider } = await open(faults.device, options);
    const { rows, queries } = await history(index);
    isOver = true;
    const isLost = wasHit && fault === "lose";
    if (isLost) await until(() => codes(events, "device-recovered").length > 0);
    expect(codes(events, "device-lost")).toHaveLength(isLost ? 1 : 0);
    expect(provider.asked).toBe(isLost ? 1 : 0);
    expect(codes(events, "device-abandoned")).toEqual([]);
    if (fault === "lose") expect(codes(events, "gpu-failed")).toEqual([]);
    const last = await index.search(queries, { k: 3 });
    expectExact(last, rows, queries, 3, index.metric);
    expect(last.report).toMatchObject({ backend: "gpu", degraded: [] });
    await index.close();
    expect(index.stats().gpu?.bytesAllocated).toBe(0);
    expect([...faults.live, ...spare.live].map(({ label }) => label)).toEqual([]);
    expect(provider.leases).toBe(0);
    return wasHit;
  }

  /** How often the history takes each kind of step, when nothing fails. */
  async function stepsOf(options: Partial<IndexOptions>): Promise<Readonly<Record<Step, number>>> {
    const { device, taken } = faulty(shared);
    const { index } = await open(device, options);
    await history(index);
    await index.close();
    return taken;
  }

  const SETTINGS: readonly [string, Partial<IndexOptions>][] = [
    ["a full scan", { scan: "full" }],
    ["a certified scan", { scan: "certified", metric: "cosine" }],
  ];

  /** Steps of a history to fail at: evenly spread, the first and the last among them, and one beyond. */
  function spread(count: number, runs: number): number[] {
    const stride = Math.max(1, Math.ceil((count - 1) / Math.max(1, runs - 1)));
    const at = [...new Set([1, ...Array.from({ length: runs }, (_, i) => 1 + i * stride), count])];
    return [...at.filter((n) => n <= count), count + 1_000_000];
  }

  describe.each(SETTINGS)("during %s", (_, options) => {
    test.each([
      ["lose", STEPS, options.scan === "full" ? 4 : 2],
      ["reject", STEPS, 6],
      ["out-of-memory", ["pop"], 24],
    ] as const)(
      "%s at any step: every answer is exact and says who gave it",
      { timeout: 300_000 },
      async (fault, steps, runs) => {
        const taken = await stepsOf(options);
        const hit = new Set<Step>();
        for (const step of steps) {
          for (const n of spread(taken[step], runs)) {
            const real = fault === "lose" ? await requestReal() : shared;
            const wasHit = await runWith(real, fault, step, n, options);
            if (wasHit) hit.add(step);
            else expect(n).toBeGreaterThan(taken[step] / 2); // a run that fails early may take fewer steps
            if (fault === "lose") real.destroy();
          }
        }
        expect([...hit].sort()).toEqual([...steps].sort());
      },
    );
  });

  describe("without memory", () => {
    const COUNT = 20_000;
    const BASE = { leastScoreBytes: 1 << 14, leastBudgetBytes: 1 << 14, scoreBytes: 1 << 20, maxBindingBytes: 1 << 20 };
    const rowsAlone = Math.ceil(COUNT / 32) * 32 * (D * 4 + 4);
    let rows: Float32Array;
    let queries: Float32Array;
    /** Without a cap: the most bytes at once, those of the rows, those that an index cannot do without. */
    let free: { peak: number; resident: number; least: number; selections: number };

    async function searchUnder(cap: number): Promise<{
      result: SearchResult;
      stats: NonNullable<ReturnType<Index["stats"]>["gpu"]>;
      peak: number;
      events: EngineEvent[];
    }> {
      let isOpen = false;
      const faults = faulty(shared, { capBytes: () => (isOpen ? cap : Infinity) });
      const { index, events } = await open(faults.device, { scan: "full" }, { gpu: BASE });
      isOpen = true;
      await index.add(rows);
      const result = await index.search(queries, { k: 5 });
      expectExact(result, rows, queries, 5);
      const { gpu: stats } = index.stats();
      if (stats === null) throw new Error("no GPU");
      // Whatever it took, the next search finds the way open.
      const again = await index.search(queries, { k: 5 });
      expectExact(again, rows, queries, 5);
      expect(again.report.degraded).toEqual(result.report.degraded);
      await index.close();
      expect([...faults.live]).toEqual([]);
      expect(index.stats().gpu?.bytesAllocated).toBe(0);
      return { result, stats, peak: faults.peakBytes, events };
    }

    beforeAll(async () => {
      ({ rows, queries } = makeData("gaussian", "euclidean", COUNT, 8, D, 21));
      const { stats, peak } = await searchUnder(Infinity);
      const staging = LIMITS.stagingBuffers * 2 ** 20;
      const params = 1 << 16;
      const least = staging + params;
      free = { peak, resident: stats.residentBytes, least, selections: stats.kernels["select_k"] ?? 0 };
    });

    test("enough: nothing is given up", async () => {
      const { result, stats, events } = await searchUnder(free.peak);
      expect(result.report).toMatchObject({ backend: "gpu", degraded: [] });
      expect(stats).toMatchObject({ streamedRows: 0, residentBytes: free.resident });
      expect(stats.kernels["select_k"]).toBe(free.selections);
      expect(codes(events, "gpu-failed")).toEqual([]);
    });

    test("a little less: smaller tiles, all rows resident", async () => {
      const { result, stats } = await searchUnder(free.peak - 4096);
      expect(result.report).toMatchObject({ backend: "gpu", degraded: [] });
      expect(stats).toMatchObject({ streamedRows: 0, residentBytes: free.resident });
      expect(stats.kernels["select_k"]).toBeGreaterThan(free.selections);
    });

    test("less than the rows with room to grow: they are sent anew and take what they must", async () => {
      const { result, stats } = await searchUnder(free.least + free.resident);
      expect(result.report).toMatchObject({ backend: "gpu", degraded: [] });
      expect(stats).toMatchObject({ streamedRows: 0, residentBytes: rowsAlone });
    });

    test("less than the rows: those beyond are streamed", async () => {
      const { result, stats } = await searchUnder(free.least + rowsAlone * 0.7);
      expect(result.report).toMatchObject({ backend: "gpu", degraded: [] });
      expect(stats.streamedRows).toBeGreaterThan(0);
      expect(stats.residentBytes).toBeLessThanOrEqual(rowsAlone / 2);
    });

    test.each([0, 1 << 16])("next to nothing (%i bytes): the CPU, and the report says why", async (cap) => {
      const { result, events } = await searchUnder(cap);
      expect(result.report).toMatchObject({ backend: "cpu", degraded: ["gpu-out-of-memory:finished-on-cpu"] });
      expect(codes(events, "gpu-failed").at(-1)?.message).toMatch(/OUT_OF_MEMORY|no device memory/);
    });

    test("a shortage never raises what a search may take", async () => {
      let cap = Infinity;
      const faults = faulty(shared, { capBytes: () => cap });
      const budget = 64 * 1024;
      const { index } = await open(
        faults.device,
        { scan: "full", memoryBudgetBytes: budget },
        { gpu: { scoreBytes: 1 } },
      );
      await index.add(rows);
      await index.search(queries, { k: 5 });
      cap = 0;
      expect((await index.search(queries, { k: 9 })).report.degraded).toEqual(["gpu-out-of-memory:finished-on-cpu"]);
      cap = Infinity;
      const result = await index.search(queries, { k: 5 });
      expectExact(result, rows, queries, 5);
      expect(result.report).toMatchObject({ backend: "gpu", degraded: [] });
      expect(index.stats().gpu?.residentBytes).toBeLessThanOrEqual(budget);
      expect(index.stats().gpu?.peakResidentBytes).toBeLessThanOrEqual(budget);
      await index.close();
    });
  });

  describe("closing", () => {
    /** No buffer on the device, none accounted for, and silence, now and some turns later. */
    async function expectNothingLeft({ index, events }: Opened, devices: readonly FaultyDevice[]): Promise<void> {
      const said = events.length;
      const { count: stretches } = index.stats().slices;
      for (let round = 0; round < 2; round++) {
        expect(index.stats().gpu?.bytesAllocated).toBe(0);
        expect(devices.flatMap(({ live }) => [...live].map(({ label }) => label))).toEqual([]);
        await turns(50);
      }
      expect(index.stats().slices.count).toBe(stretches);
      expect(events.slice(said)).toEqual([]);
    }

    const { rows, queries } = makeData("gaussian", "cosine", 6000, 17, 32, 31);

    test.each([0, 1, 3, 10])("while rows are sent (%i turns later)", async (passed) => {
      const faults = faulty(shared);
      const opened = await open(faults.device, { dimensions: 32, metric: "cosine" });
      await opened.index.add(rows);
      await opened.index.add(rows.subarray(0, 320));
      await turns(passed);
      await opened.index.close();
      await expectNothingLeft(opened, [faults]);
    });

    test.each([0, 1, 3, 10])(
      "while a search is under way (%i turns later): it is answered or refused",
      async (passed) => {
        const faults = faulty(shared);
        const opened = await open(faults.device, { dimensions: 32, metric: "cosine" });
        await opened.index.add(rows);
        const search = opened.index.search(queries, { k: 3 }).then(
          ({ report }) => report.exact,
          (error: unknown) => Reflect.get(error as object, "code"),
        );
        await turns(passed);
        await opened.index.close();
        expect([true, "CLOSED"]).toContain(await search);
        await expectNothingLeft(opened, [faults]);
      },
    );

    test.each([0, 2, 20])(
      "while directions are learnt (%i turns later): learning ends there, silently",
      async (passed) => {
        const faults = faulty(shared);
        const opened = await open(
          faults.device,
          { dimensions: 32, metric: "cosine", scan: "certified" },
          { usesWorkers: true, gpu: { learnRows: 64 } }, // which learn
        );
        await opened.index.add(rows);
        await opened.index.search(queries, { k: 3 });
        await turns(passed);
        await opened.index.close();
        await expectNothingLeft(opened, [faults]);
      },
    );

    test("while directions of a compacted-away store are learnt", async () => {
      const faults = faulty(shared);
      const opened = await open(
        faults.device,
        { dimensions: 32, metric: "cosine", scan: "certified" },
        { usesWorkers: true, gpu: { learnRows: 64 } }, // which learn
      );
      await opened.index.add(rows);
      await opened.index.search(queries, { k: 3 });
      await opened.index.remove([0, 1, 2]);
      await opened.index.compact();
      const result = await opened.index.search(queries.subarray(0, 32), { k: 3 });
      const wanted = reference({
        metric: "cosine",
        rows: rows.subarray(96),
        dimensions: 32,
        query: queries.subarray(0, 32),
        k: 3,
      });
      expect(result.hits()).toEqual(wanted);
      await opened.index.close();
      await expectNothingLeft(opened, [faults]);
    });

    test("while a device is lost", async () => {
      const faults = faulty(await requestReal());
      const opened = await open(faults.device, { dimensions: 32, metric: "cosine" });
      await opened.index.add(rows);
      const search = opened.index.search(queries, { k: 3 });
      search.catch(() => {});
      faults.device.destroy();
      await opened.index.close();
      expect(opened.provider.leases).toBe(0);
      await expectNothingLeft(opened, [faults, spare]);
    });

    test("while another device is being requested: it is let go of when it comes", async () => {
      let give: (device: GPUDevice) => void = () => {};
      let destroyed = 0;
      const provider = countingProvider(adapter, () => new Promise((resolve) => (give = resolve)));
      const faults = losable();
      const opened = await open(faults.device, {}, {}, provider);
      faults.lose();
      await until(() => provider.asked === 1);
      await opened.index.close();
      const late = faulty(shared, { mayDestroy: false });
      give(over(late.device, { destroy: () => void destroyed++ }));
      await turns(5);
      expect({ destroyed, leases: provider.leases }).toEqual({ destroyed: 1, leases: 0 });
      await expectNothingLeft(opened, [faults, late]);
    });
  });

  describe("recovery", () => {
    /** Turns of the event loop are real; delays pass when the test says so. */
    class HandClock implements Clock {
      readonly fake = new FakeClock();
      now(): number {
        return this.fake.now();
      }
      after(ms: number, task: () => void): () => void {
        return ms > 0 ? this.fake.after(ms, task) : systemClock.after(0, task);
      }
    }

    const { rows, queries } = makeData("gaussian", "euclidean", ROWS, 3, D, 41);

    test("backs off, one request at a time; the CPU answers meanwhile, the GPU afterwards", async () => {
      const clock = new HandClock();
      const { device, lose } = losable();
      const provider = countingProvider(adapter, (n) => (n < 3 ? null : spare.device));
      const { index, events } = await open(device, {}, { clock, recoveryDelaysMs: [10, 100, 1000] }, provider);
      await index.add(rows);
      expect((await index.search(queries, { k: 3 })).report).toMatchObject({ backend: "gpu", degraded: [] });
      lose();
      await until(() => codes(events, "device-lost").length === 1);
      for (const [delay, asked] of [
        [9, 0],
        [1, 1],
        [99, 1],
        [1, 2],
        [999, 2],
      ] as const) {
        await clock.fake.advance(delay);
        await turns(5);
        expect(provider.asked).toBe(asked);
        const during = await Promise.all([0, 1, 2].map(() => index.search(queries, { k: 3 })));
        for (const result of during) {
          expectExact(result, rows, queries, 3);
          expect(result.report).toMatchObject({ backend: "cpu", degraded: ["device-lost:finished-on-cpu"] });
        }
      }
      await clock.fake.advance(1);
      await until(() => codes(events, "device-recovered").length === 1);
      expect(provider).toMatchObject({ asked: 3, mostAtOnce: 1 });
      const after = await index.search(queries, { k: 3 });
      expectExact(after, rows, queries, 3);
      expect(after.report).toMatchObject({ backend: "gpu", degraded: [] });
      expect(index.stats().deviceLosses).toBe(1);
      await index.close();
    });

    test("gives up after the last delay: the CPU serves, every report says so", async () => {
      const { device, lose } = losable();
      const provider = countingProvider(adapter, () => null);
      const { index, events } = await open(device, {}, {}, provider);
      await index.add(rows);
      lose();
      await until(() => codes(events, "device-abandoned").length === 1);
      expect(provider).toMatchObject({ asked: 3, mostAtOnce: 1, leases: 0 });
      const result = await index.search(queries, { k: 3 });
      expectExact(result, rows, queries, 3);
      expect(result.report).toMatchObject({ backend: "cpu", degraded: ["device-lost:finished-on-cpu"] });
      expect(index.backend.kind).toBe("cpu");
      await index.close();
    });

    test("devices that are lost as soon as they come use the attempts up, too", async () => {
      const { device, lose } = losable();
      const provider = countingProvider(adapter, () => {
        const next = losable();
        next.lose();
        return next.device;
      });
      const { index, events } = await open(device, {}, { recoveryDelaysMs: [0, 0, 0] }, provider);
      await index.add(rows);
      lose();
      await until(() => codes(events, "device-abandoned").length === 1);
      expect(provider).toMatchObject({ asked: 3, mostAtOnce: 1, leases: 0 });
      expectExact(await index.search(queries, { k: 3 }), rows, queries, 3);
      await index.close();
    });

    test("a device that answered has earned all attempts anew", async () => {
      const first = losable();
      const devices: ReturnType<typeof losable>[] = [];
      const provider = countingProvider(adapter, () => {
        const next = losable();
        devices.push(next);
        return next.device;
      });
      const { index, events } = await open(first.device, {}, { recoveryDelaysMs: [0, 0] }, provider);
      await index.add(rows);
      first.lose();
      for (let loss = 1; loss <= 4; loss++) {
        await until(() => codes(events, "device-recovered").length === loss);
        expect((await index.search(queries, { k: 3 })).report).toMatchObject({ backend: "gpu", degraded: [] });
        devices.at(-1)?.lose();
      }
      await until(() => codes(events, "device-recovered").length === 5);
      expect(codes(events, "device-abandoned")).toEqual([]);
      await index.close();
    });

    test("a GPU that fails without being lost is given up after some batches, whose answers are the CPU's", async () => {
      let isFailing = false;
      const faults = faulty(shared);
      const device = over(faults.device, {
        popErrorScope: async () => {
          await faults.device.popErrorScope();
          return isFailing ? new GPUValidationError("not like this") : null;
        },
      });
      const opened = await open(device);
      const { index, events } = opened;
      await index.add(rows);
      await index.search(queries, { k: 3 });
      isFailing = true;
      for (let batch = 1; batch <= LIMITS.gpuFailures + 1; batch++) {
        const result = await index.search(queries, { k: 3 });
        expectExact(result, rows, queries, 3);
        const reason = batch > LIMITS.gpuFailures ? "gpu-abandoned" : "gpu-failed";
        expect(result.report).toMatchObject({ backend: "cpu", degraded: [`${reason}:finished-on-cpu`] });
      }
      expect(codes(events, "device-abandoned")).toHaveLength(1);
      await index.close();
      expect([...faults.live]).toEqual([]);
    });
  });
});
