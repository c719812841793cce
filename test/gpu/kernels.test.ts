/**
 * The shaders one by one: every variant compiles (Dawn's null backend, in milliseconds), parameter
 * structs have the layout that the host writes, and repack and select equal their twins on a device (scan and collect: the contract table).
 */
import { create } from "webgpu";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ResourceType, WgslReflect } from "wgsl_reflect/wgsl_reflect.module.js";
import { FLOAT_METRICS, METRIC_CODE } from "../../src/core/metric.ts";
import { Commands } from "../../src/gpu/commands.ts";
import { MAP_READ, USAGE } from "../../src/gpu/flags.ts";
import { DeviceMemory } from "../../src/gpu/memory.ts";
import {
  header,
  type Kernel,
  type KernelName,
  KERNELS,
  PARAMS_BYTES,
  Pipelines,
  type Variant,
} from "../../src/gpu/pipelines.ts";
import { normal, uniform } from "../contract/random.ts";
import { gpuAvailable } from "../setup/backends.ts";
import { interleaved, keyOf, selectKth } from "./twins.ts";

const NAMES = Object.keys(KERNELS) as KernelName[];

/** Every variant that the scanner can ask for. */
function variants(name: KernelName): Variant[] {
  if (name === "scan_f32") return FLOAT_METRICS.flatMap((metric) => [1, 2, 4, 8, 16].map((qb) => ({ metric, qb })));
  if (name === "collect") return FLOAT_METRICS.map((metric) => ({ metric }));
  return [{}];
}

// Held for the whole file: Dawn crashes when the object from create() is collected.
const held: { gpu: GPU | undefined; nullGpu: GPU | undefined } = { gpu: undefined, nullGpu: undefined };

describe("every shader variant", () => {
  let device: GPUDevice;
  beforeAll(async () => {
    held.nullGpu = create(["backend=null"]);
    const adapter = await held.nullGpu.requestAdapter();
    device = (await adapter?.requestDevice()) as GPUDevice;
    expect(device).toBeDefined();
  });
  afterAll(() => {
    device?.destroy();
    held.nullGpu = undefined;
  });

  test.each(NAMES.flatMap((name) => variants(name).map((variant) => ({ name, variant }))))(
    "$name $variant compiles on default limits with its explicit layout",
    async ({ name, variant }) => {
      const module = device.createShaderModule({ code: header(variant) + KERNELS[name].code });
      expect((await module.getCompilationInfo()).messages.map((m) => `${m.lineNum}: ${m.message}`)).toEqual([]);
      const kernel = await new Pipelines(device, 64).get(name, variant);
      expect(kernel.pipeline.label).toContain(name);
    },
  );

  test("a variant that does not compile rejects with the compiler's message", async () => {
    const broken = { get: () => new Pipelines(device, 100_000).get("select_digit") };
    await expect(broken.get()).rejects.toThrow(/select_digit does not compile/);
  });
});

describe("what the host writes is what the shaders read", () => {
  const reflect = (name: KernelName): WgslReflect =>
    new WgslReflect(header(variants(name)[0] ?? {}) + KERNELS[name].code);

  test.each(NAMES)("%s: bindings in order, params struct of at most PARAMS_BYTES", (name) => {
    const groups = reflect(name).getBindGroups()[0] ?? [];
    const kinds = groups.map((g) =>
      g?.resourceType === ResourceType.Uniform ? "params" : g?.access === "read_write" ? "write" : "read",
    );
    expect(kinds).toEqual(KERNELS[name].bindings);
    expect(groups[0]?.size).toBeLessThanOrEqual(PARAMS_BYTES);
  });

  test("QueryParams is eight words in the order of scanQuery, in every shader that has it", () => {
    for (const name of ["scan_f32", "collect"] as const) {
      const struct = reflect(name).structs.find((s) => s.name === "QueryParams");
      expect(struct?.size).toBe(32);
      expect(struct?.members.map((m) => [m.name, m.offset])).toEqual(
        ["relative", "perNorm", "absolute", "floor", "ceiling", "limit", "wanted", "eligibility"].map((n, i) => [
          n,
          i * 4,
        ]),
      );
    }
  });

  test("metric codes are those that the shaders and the WASM kernels compare with", () => {
    expect(METRIC_CODE).toEqual({ cosine: 0, dot: 1, euclidean: 2, manhattan: 3, hamming: 4, jaccard: 5 });
  });
});

describe.skipIf(!gpuAvailable())("on a device", () => {
  let device: GPUDevice;
  let memory: DeviceMemory;
  let commands: Commands;
  let pipelines: Pipelines;
  beforeAll(async () => {
    held.gpu = create([]);
    device = (await (await held.gpu.requestAdapter())?.requestDevice()) as GPUDevice;
    memory = new DeviceMemory(device);
    commands = new Commands(memory, { submits: 0, dispatches: 0, kernels: {} });
    pipelines = new Pipelines(device, 64);
  });
  afterAll(() => {
    memory?.destroyAll();
    device?.destroy();
    held.gpu = undefined;
  });

  const upload = (data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): GPUBuffer => {
    const buffer = memory.create("test", data.byteLength, USAGE.storage | USAGE.copyDst | USAGE.copySrc);
    memory.write(buffer, 0, data);
    return buffer;
  };
  const download = async (buffer: GPUBuffer, bytes: number): Promise<ArrayBuffer> => {
    const target = memory.create("test", bytes, USAGE.mapRead | USAGE.copyDst);
    commands.copy(buffer, 0, target, 0, bytes);
    commands.submit();
    await target.mapAsync(MAP_READ);
    const copy = target.getMappedRange().slice(0, bytes);
    memory.destroy(target);
    await memory.errors.settle();
    return copy;
  };

  test.each([1, 31, 32, 33, 65])(
    "repack_f32 interleaves %i rows, in pieces, and leaves the rest alone",
    async (count) => {
      const stride = 12;
      const gauss = normal(count);
      const rows = Float32Array.from({ length: count * stride }, gauss);
      const expected = interleaved(rows, count, stride);
      const poison = new Float32Array(expected.length).fill(-1234.5);
      const target = upload(poison);
      const kernel = await pipelines.get("repack_f32");
      const cut = count >> 1;
      for (const [first, n] of [
        [0, cut],
        [cut, count - cut],
      ] as const) {
        if (n === 0) continue;
        const staged = upload(rows.slice(first * stride, (first + n) * stride));
        commands.dispatch({ kernel, params: [first, n, 3, 64 * 64], buffers: [staged, target], grid: { x: 64, y: 1 } });
        commands.submit();
      }
      const got = new Float32Array(await download(target, expected.byteLength));
      for (let i = 0; i < got.length; i++) {
        const row = ((i >> 2) & 31) + Math.floor(i / (stride * 32)) * 32;
        expect(got[i]).toBe(row < count ? expected[i] : -1234.5);
      }
    },
  );

  const select = async (
    lists: readonly number[][],
    ranks: readonly number[],
    kernels: readonly [Kernel, Kernel],
  ): Promise<number[]> => {
    const width = Math.max(...lists.map((l) => l.length));
    const keys = new Uint32Array(lists.length * width).fill(0xffffffff);
    lists.forEach((l, q) => keys.set(l, q * width));
    const selections = upload(Uint32Array.from(ranks.flatMap((rank) => [0, rank])));
    const histograms = upload(new Uint32Array(lists.length * 256));
    const buffer = upload(keys);
    for (const shift of [24, 16, 8, 0]) {
      commands.dispatch({
        kernel: kernels[0],
        params: [width, width, shift],
        buffers: [buffer, selections, histograms],
        grid: { x: 3, y: lists.length },
      });
      commands.dispatch({
        kernel: kernels[1],
        params: [lists.length],
        buffers: [selections, histograms],
        grid: { x: 1, y: 1 },
      });
    }
    const words = new Uint32Array(await download(selections, lists.length * 8));
    return lists.map((_, q) => words[q * 2] ?? 0);
  };

  test("select_count and select_digit find the key of any rank, with ties, negative values and ineligible rows", async () => {
    const kernels = [await pipelines.get("select_count"), await pipelines.get("select_digit")] as const;
    const gauss = normal(5);
    const draw = uniform(6);
    const lists = [
      Array.from({ length: 1000 }, () => keyOf(Math.fround(gauss()))),
      Array.from({ length: 1000 }, () => keyOf(Math.fround(Math.round(gauss())))),
      Array.from({ length: 700 }, () => (draw() < 0.5 ? 0xffffffff : keyOf(Math.fround(gauss() * 1e-30)))),
      Array.from({ length: 1000 }, () => keyOf(2.5)),
      [keyOf(-1)],
    ];
    for (const ranks of [
      [1, 1, 1, 1, 1],
      [10, 500, 100, 999, 1],
      [1000, 1000, 300, 1000, 1],
    ]) {
      expect(await select(lists, ranks, kernels)).toEqual(lists.map((list, q) => selectKth(list, ranks[q] ?? 1)));
    }
  });
});
