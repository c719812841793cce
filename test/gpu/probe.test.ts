/** The known-answer probe of GEMM variants: it passes what is right, finds what is wrong, and a variant that fails is left out once and for all. */
import { create } from "webgpu";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { EngineEvent } from "../../src/core/events.ts";
import type { Metric, Precision } from "../../src/core/metric.ts";
import { reference } from "../../src/core/reference.ts";
import { nodeSpawner } from "../../src/cpu/spawn-node.ts";
import { createIndexOn, withInternals } from "../../src/engine/create-index.ts";
import { GemmChoice } from "../../src/gpu/gemm-choice.ts";
import { GEMM_KERNELS } from "../../src/gpu/gemm-shaders.ts";
import { SHAPES } from "../../src/gpu/gemm-variants.ts";
import { DeviceMemory } from "../../src/gpu/memory.ts";
import { type Kernel, Pipelines, type Variant } from "../../src/gpu/pipelines.ts";
import { Probe } from "../../src/gpu/probe.ts";
import type { GemmKernel, KernelName } from "../../src/gpu/shaders.ts";
import { platformOf } from "../../src/platform.ts";
import { makeData } from "../contract/data.ts";
import { gpuAvailable } from "../setup/backends.ts";
import { countingProvider, faulty, GPUValidationError, over } from "./faulty-device.ts";

/** Hands out another kernel than it is asked for. */
class OtherPipelines extends Pipelines {
  readonly #exchange: (variant: Variant) => Variant;
  readonly asked: Variant[] = [];

  constructor(device: GPUDevice, exchange: (variant: Variant) => Variant) {
    super(device, 64);
    this.add(GEMM_KERNELS);
    this.#exchange = exchange;
  }

  override get(name: KernelName, variant: Variant = {}): Promise<Kernel> {
    this.asked.push(variant);
    return Promise.resolve().then(() => super.get(name, this.#exchange(variant)));
  }
}

describe.skipIf(!gpuAvailable())("the probe of a GEMM variant", { timeout: 120_000 }, () => {
  let gpu: GPU;
  let device: GPUDevice;
  let memory: DeviceMemory;
  let pipelines: Pipelines;

  beforeAll(async () => {
    gpu = create([]);
    const found = await (await gpu.requestAdapter())?.requestDevice();
    if (found === undefined) throw new Error("no device, although the set-up found one");
    device = found;
    memory = new DeviceMemory(device);
    pipelines = new Pipelines(device, 64);
    pipelines.add(GEMM_KERNELS);
  });
  afterEach(() => {
    expect(memory.bytesAllocated).toBe(0); // a probe leaves nothing behind, however it ends
    expect(memory.errors.take()).toEqual([]);
  });
  afterAll(() => {
    device.destroy();
    expect(gpu).toBeDefined(); // held until here: Dawn crashes when it is collected earlier
  });

  const smallest = (kernel: GemmKernel) => {
    const shape = SHAPES[kernel].at(-1);
    if (shape === undefined) throw new Error("no shape");
    return shape;
  };
  const probe = (from: Pipelines, kernel: GemmKernel, metric: Metric, precision: Precision): Promise<void> =>
    new Probe(memory, from, { kernel, shape: { tile: smallest(kernel) } }, metric, precision).run();

  test.each<[GemmKernel, Metric, Precision]>([
    ["gemm_f32", "cosine", "f32"],
    ["gemm_f32", "dot", "f16"],
    ["gemm_f32", "euclidean", "i8"],
    ["gemm_i8", "cosine", "f32"],
    ["gemm_i8", "euclidean", "f32"],
  ])("passes %s, %s over %s, on this device", async (kernel, metric, precision) => {
    await probe(pipelines, kernel, metric, precision);
  });

  test.each<[string, (variant: Variant) => Variant]>([
    ["another metric", (variant) => ({ ...variant, metric: "cosine" })],
    ["another metric in one of its epilogues", (v) => (v.emit === "candidates" ? { ...v, metric: "cosine" } : v)],
    [
      "a tile of half the rows",
      ({ tile, ...variant }) => ({
        ...variant,
        ...(tile === undefined ? {} : { tile: { ...tile, rows: tile.rows / 2 } }),
      }),
    ],
    [
      "a tile of half the queries",
      ({ tile, ...variant }) => ({
        ...variant,
        ...(tile === undefined ? {} : { tile: { ...tile, queries: tile.queries / 2 } }),
      }),
    ],
    ["rows read as halves", (variant) => ({ ...variant, precision: "f16" })],
    ["facts of two words", (variant) => ({ ...variant, metric: "cosine", facts: 2 })],
  ])("finds %s", async (_, exchange) => {
    await expect(probe(new OtherPipelines(device, exchange), "gemm_f32", "dot", "f32")).rejects.toThrow(/^probe: /);
  });

  test("finds certificates without their error, and those of another metric", async () => {
    await expect(
      probe(new OtherPipelines(device, (v) => ({ ...v, rounding: 0.5 })), "gemm_i8", "cosine", "f32"),
    ).rejects.toThrow(/^probe: /);
    await expect(
      probe(new OtherPipelines(device, (v) => ({ ...v, metric: "dot", facts: 2 })), "gemm_i8", "cosine", "f32"),
    ).rejects.toThrow(/^probe: /);
  });

  describe("the choice of a variant", () => {
    const choose = (from: Pipelines, on: GPUDevice = device): { choice: GemmChoice; failures: string[] } => {
      const failures: string[] = [];
      const choice = new GemmChoice({
        device: on,
        pipelines: from,
        isAllowed: true,
        autotunes: false,
        firstShape: 0,
        fewestQueries: undefined,
        matrix: undefined,
        onFailure: (variant) => failures.push(variant),
        onMissing: (cause) => failures.push(String(cause)),
      });
      return { choice, failures };
    };
    const ROWS = { metric: "cosine", precision: "f32", isCoded: false } as const;
    const isSmallest = ({ tile }: Variant): boolean => tile?.queries === smallest("gemm_f32").queries;
    const doesNotCompile = (variant: Variant): never => {
      throw new Error(`${JSON.stringify(variant)} does not compile`);
    };

    test("falls to the next that passes, and tells of each failure once", async () => {
      const others = new OtherPipelines(device, (variant) => (isSmallest(variant) ? variant : doesNotCompile(variant)));
      const { choice, failures } = choose(others);
      for (let i = 0; i < 3; i++) {
        expect((await choice.choose(ROWS, 64))?.shape.tile).toEqual(smallest("gemm_f32"));
      }
      expect(failures).toEqual(["gemm_f32 64x128 cosine f32", "gemm_f32 64x64 cosine f32"]);
      expect(others.asked.filter((variant) => !isSmallest(variant))).toHaveLength(2);
      expect(await choice.choose(ROWS, 1)).toBeUndefined(); // not worth a tile
      choice.close();
    });

    test("leaves GEMMs alone when none passes", async () => {
      const others = new OtherPipelines(device, (variant) =>
        isSmallest(variant) ? { ...variant, metric: "dot" } : doesNotCompile(variant),
      );
      const { choice, failures } = choose(others);
      for (let i = 0; i < 3; i++) expect(await choice.choose(ROWS, 64)).toBeUndefined();
      expect(failures).toHaveLength(SHAPES.gemm_f32.length);
      choice.close();
    });

    test("does not blame a variant for the errors of the one before it", async () => {
      // Until its read-back fails, and with it the first probe, every call is reported as invalid.
      let isFirst = true;
      const { device: rejecting } = faulty(device, {
        onStep: (step) => {
          if (step !== "map" || !isFirst) return undefined;
          isFirst = false;
          return "reject";
        },
      });
      const odd = over(rejecting, {
        popErrorScope: async () => {
          const isOdd = isFirst;
          const reported = await device.popErrorScope();
          return isOdd ? new GPUValidationError("of the first variant") : reported;
        },
      });
      const others = new OtherPipelines(device, (variant) => {
        if (variant.tile?.rows === 128) return { ...variant, tile: smallest("gemm_f32") };
        return isSmallest(variant) ? variant : doesNotCompile(variant);
      });
      const { choice, failures } = choose(others, odd);
      const chosen = await choice.choose(ROWS, 64);
      expect(failures).toEqual(["gemm_f32 64x128 cosine f32", "gemm_f32 64x64 cosine f32"]);
      expect(chosen?.shape.tile).toEqual(smallest("gemm_f32"));
      choice.close();
    });
  });

  describe("in an index", () => {
    const D = 12;
    const { rows, queries } = makeData("gaussian", "cosine", 700, 40, D, 51);

    async function search(rejects: (label: string) => boolean, tuning: Readonly<Record<string, number>>) {
      const events: EngineEvent[] = [];
      const odd = over(device, {
        createComputePipelineAsync: (descriptor: GPUComputePipelineDescriptor) =>
          rejects(descriptor.label ?? "")
            ? Promise.reject(new Error("this compiler cannot"))
            : device.createComputePipelineAsync(descriptor),
      });
      const adapter = await gpu.requestAdapter();
      if (adapter === null) throw new Error("no adapter");
      const index = await createIndexOn(
        platformOf(
          nodeSpawner,
          countingProvider(adapter, () => null),
        ),
        withInternals(
          { dimensions: D, backend: "gpu", scan: "full", device: odd, onEvent: (event) => events.push(event) },
          { usesWorkers: false, gpu: { gemm: 1, autotune: 0, sampleRows: 64, ...tuning } },
        ),
      );
      await index.add(rows);
      for (let i = 0; i < 2; i++) {
        const result = await index.search(queries, { k: 4 });
        expect(result.report).toMatchObject({ backend: "gpu", exact: true, degraded: [] });
        for (let q = 0; q < 40; q++) {
          const query = queries.subarray(q * D, (q + 1) * D);
          expect(result.hits(q)).toEqual(reference({ metric: "cosine", rows, dimensions: D, query, k: 4 }));
        }
      }
      const kernels = index.stats().gpu?.kernels ?? {};
      await index.close();
      return {
        failed: events.filter(({ code }) => code === "gpu-variant-failed").map(({ message }) => message),
        kernels,
      };
    }

    test("a variant that does not compile is told of once; the next one finds the same rows", async () => {
      const { failed, kernels } = await search(
        (label) => label.includes("gemm_f32") && label.includes('"queries":64'),
        { gemmShape: 1 },
      );
      expect(failed).toEqual([expect.stringMatching(/gemm_f32 64x64 cosine f32.*not used.*does not compile/s)]);
      expect(kernels["gemm_f32"]).toBeGreaterThan(0);
      expect(kernels["scan_f32"] ?? 0).toBe(0);
    });

    test("where none compiles the barrier-free scan finds the same rows", async () => {
      const { failed, kernels } = await search((label) => label.includes("gemm_f32"), {});
      expect(failed).toHaveLength(SHAPES.gemm_f32.length);
      expect(kernels["gemm_f32"] ?? 0).toBe(0);
      expect(kernels["scan_f32"]).toBeGreaterThan(0);
    });
  });
});
