/** Code of the GPU backend that is loaded when it is needed, and cannot be: searches do without, and it is tried again. */
import { create } from "webgpu";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { EngineEvent } from "../../src/core/events.ts";
import { reference } from "../../src/core/reference.ts";
import { nodeSpawner } from "../../src/cpu/spawn-node.ts";
import type { IndexOptions, VectorIndex } from "../../src/engine/contract.ts";
import { createIndexOn, withInternals } from "../../src/engine/create-index.ts";
import type { GpuProvider } from "../../src/gpu/device.ts";
import { platformOf } from "../../src/platform.ts";
import { makeData } from "../contract/data.ts";
import { normal } from "../contract/random.ts";
import { gpuAvailable } from "../setup/backends.ts";
import { type CountingProvider, countingProvider, over } from "./faulty-device.ts";

const offline = (): never => {
  throw new TypeError("Failed to fetch dynamically imported module");
};
afterEach(() => {
  vi.doUnmock("../../src/gpu/scanner.ts");
  vi.doUnmock("../../src/gpu/gemm-variants.ts");
});

const D = 12;
const QUERIES = 40;
const K = 4;
const { rows, queries } = makeData("gaussian", "cosine", 700, QUERIES, D, 51);

interface Opened {
  readonly index: VectorIndex;
  readonly events: EngineEvent[];
  /** Messages of the events about code, or kernels, of the GPU. */
  readonly failures: () => string[];
}

async function open(
  provider: GpuProvider,
  options: Partial<IndexOptions>,
  gpu: Readonly<Record<string, number>> = {},
  added: Float32Array = rows,
  usesWorkers = false,
): Promise<Opened> {
  const events: EngineEvent[] = [];
  const index = await createIndexOn(
    platformOf(nodeSpawner, provider),
    withInternals(
      { dimensions: D, scan: "full", onEvent: (event) => events.push(event), ...options },
      { usesWorkers, gpu },
    ),
  );
  await index.add(added);
  const failures = (): string[] =>
    events.filter(({ code }) => code === "gpu-variant-failed").map(({ message }) => message);
  return { index, events, failures };
}

/** Searches for all queries, and requires the reference's answers of this backend. */
async function searchesRight(index: VectorIndex, backend: "gpu" | "cpu"): Promise<void> {
  const result = await index.search(queries, { k: K });
  expect(result.report).toMatchObject({ backend, exact: true, degraded: [] });
  for (let q = 0; q < QUERIES; q++) {
    const query = queries.subarray(q * D, (q + 1) * D);
    expect(result.hits(q)).toEqual(reference({ metric: "cosine", rows, dimensions: D, query, k: K }));
  }
}

// Held for the whole file: Dawn crashes when the object from create() is collected.
const held: { nothing?: GPU; gpu?: GPU } = {};
afterAll(() => {
  delete held.nothing;
  delete held.gpu;
});
const realGpu: GpuProvider = {
  acquire: () => Promise.resolve({ gpu: (held.gpu ??= create([])), release: () => {} }),
};

describe("without the GPU backend's code", () => {
  let provider: CountingProvider;
  let device: GPUDevice;
  beforeAll(async () => {
    held.nothing = create(["backend=null"]);
    const adapter = await held.nothing.requestAdapter();
    device = (await adapter?.requestDevice()) as GPUDevice;
    expect(device).toBeDefined();
    const info = { vendor: "", architecture: "", device: "", description: "a GPU", isFallbackAdapter: false };
    provider = countingProvider(over(adapter as GPUAdapter, { info }), () => device);
  });
  test('"auto" takes the CPU, says why, and lets go of the device', async () => {
    vi.doMock("../../src/gpu/scanner.ts", offline);
    const { index, events } = await open(provider, { backend: "auto" });
    expect(index.backend).toMatchObject({ kind: "cpu", reason: expect.stringMatching(/code could not be loaded/) });
    expect(events.find(({ code }) => code === "backend-selected")?.message).toMatch(/code could not be loaded/);
    expect(provider.asked).toBe(1);
    expect(provider.leases).toBe(0);
    expect((await device.lost).reason).toBe("destroyed");
    await searchesRight(index, "cpu");
    await index.close();
  });

  test('"gpu" is refused', async () => {
    vi.doMock("../../src/gpu/scanner.ts", offline);
    await expect(open(provider, { backend: "gpu" })).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
    expect(provider.leases).toBe(0);
  });
});

describe.skipIf(!gpuAvailable())("without the code for large batches", () => {
  test("the barrier-free scan answers, one event says so, and a later batch has it again", async () => {
    vi.doMock("../../src/gpu/gemm-variants.ts", offline);
    const { index, failures } = await open(realGpu, { backend: "gpu" }, { gemm: 1, autotune: 0, sampleRows: 64 });
    const dispatches = (kernel: string): number => index.stats().gpu?.kernels[kernel] ?? 0;
    for (let i = 0; i < 2; i++) await searchesRight(index, "gpu");
    expect(failures()).toEqual([expect.stringMatching(/large batches.*could not be loaded.*tried again/)]);
    expect(dispatches("gemm_f32")).toBe(0);
    expect(dispatches("scan_f32")).toBeGreaterThan(0);

    vi.doUnmock("../../src/gpu/gemm-variants.ts");
    const before = dispatches("scan_f32");
    await searchesRight(index, "gpu");
    expect(dispatches("gemm_f32")).toBeGreaterThan(0);
    expect(dispatches("scan_f32")).toBe(before);
    expect(failures()).toHaveLength(1);
    await index.close();
  });

  test("small batches never ask for it", async () => {
    let asked = 0;
    vi.doMock("../../src/gpu/gemm-variants.ts", () => {
      asked++;
      return offline();
    });
    const { index, failures } = await open(realGpu, { backend: "gpu" }, { gemm: 1, autotune: 0 });
    await index.search(queries.subarray(0, 7 * D), { k: K });
    expect(asked).toBe(0);
    await index.search(queries.subarray(0, 8 * D), { k: K });
    expect(asked).toBe(1);
    expect(failures()).toHaveLength(1);
    await index.close();
  });
});

describe.skipIf(!gpuAvailable())("without workers, which have the code that learns directions", () => {
  test("the rows' own codes serve, silently, where with one the directions come", async () => {
    // A few directions hold nearly all there is of these rows.
    const dimensions = 64;
    const gauss = normal(3);
    const decaying = Float32Array.from({ length: 2000 * dimensions }, (_, i) => gauss() / 2 ** (i % dimensions));
    const options = { backend: "gpu", scan: "certified", dimensions } as const;
    const alone = await open(realGpu, options, { learnRows: 64 }, decaying);
    const helped = await open(realGpu, options, { learnRows: 64 }, decaying, true);
    const directions = async ({ index }: Opened): Promise<number> =>
      (await index.search(decaying.subarray(0, dimensions), { k: K })).report.scan.prefixDimensions;
    await vi.waitFor(async () => expect(await directions(helped)).toBeLessThan(dimensions), { timeout: 20_000 });
    for (let i = 0; i < 3; i++) expect(await directions(alone)).toBe(dimensions);
    for (const { index, failures } of [alone, helped]) {
      expect(failures()).toEqual([]);
      await index.close();
    }
  });
});
