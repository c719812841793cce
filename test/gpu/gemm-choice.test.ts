/**
 * Which GEMMs are tried, in which order, and that one whose answers are wrong is left for the next.
 * On Dawn's null backend, which compiles all and computes nothing: every probe reads zeros.
 */
import { create } from "webgpu";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GemmChoice, type GemmChoiceOptions } from "../../src/gpu/gemm-choice.ts";
import { Pipelines } from "../../src/gpu/pipelines.ts";

// Held for the whole file: Dawn crashes when the object from create() is collected.
const held: { gpu: GPU | undefined } = { gpu: undefined };
const FEATURES = ["subgroups", "shader-f16", "chromium-experimental-subgroup-matrix"] as GPUFeatureName[];
const CONFIGS = [
  { componentType: "f16", resultType: "f32", M: 16, N: 16, K: 16 },
  { componentType: "i8", resultType: "i32", M: 16, N: 16, K: 32 },
];

let device: GPUDevice;
beforeAll(async () => {
  held.gpu = create(["backend=null", "enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia"]);
  const adapter = await held.gpu.requestAdapter();
  device = (await adapter?.requestDevice({ requiredFeatures: FEATURES })) as GPUDevice;
  expect(device).toBeDefined();
});
afterAll(() => {
  device?.destroy();
  held.gpu = undefined;
});

/** The device, with matrix units of its own telling: the null backend has the feature and no shapes. */
function withUnits(configs: readonly object[], lanes: readonly [least: number, most: number]): GPUDevice {
  const adapterInfo = { subgroupMinSize: lanes[0], subgroupMaxSize: lanes[1], subgroupMatrixConfigs: configs };
  return new Proxy(device, {
    get(target, name) {
      if (name === "adapterInfo") return adapterInfo;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

type Asked = Parameters<GemmChoice["choose"]>[0];

/** What was tried and failed, in order. */
async function tried(on: GPUDevice, asked: Asked, options: Partial<GemmChoiceOptions>): Promise<string[]> {
  const failed: string[] = [];
  const choice = new GemmChoice({
    device: on,
    pipelines: new Pipelines(device, 64, true),
    isAllowed: true,
    autotunes: false,
    firstShape: 0,
    fewestQueries: 1,
    matrix: undefined,
    onFailure: (variant) => failed.push(variant),
    onMissing: (cause) => failed.push(String(cause)),
    ...options,
  });
  expect(await choice.choose(asked, 1)).toBeUndefined();
  choice.close();
  return failed;
}

const CODES: Asked = { metric: "dot", precision: "f32", isCoded: true };
const HALVES: Asked = { metric: "cosine", precision: "f16", isCoded: false };
const CODE_GEMMS = ["64x64", "64x128", "32x64"].map((tile) => `gemm_i8 ${tile} dot f32`);
const HALF_GEMMS = ["64x128", "64x64", "32x64"].map((tile) => `gemm_f32 ${tile} cosine f16`);

describe("the GEMMs of a device", () => {
  test("matrix units come first where they are asked for, and fail over to the plain kernels", async () => {
    const units = withUnits(CONFIGS, [32, 32]);
    expect(await tried(units, CODES, { matrix: 1 })).toEqual([
      "gemm_i8_matrix 32x64 matrix 16x16x32 dot f32",
      ...CODE_GEMMS,
    ]);
    expect(await tried(units, HALVES, { matrix: 1 })).toEqual([
      "gemm_f16_matrix 32x64 matrix 16x16x16 cosine f16",
      ...HALF_GEMMS,
    ]);
  });

  test("their twins need no units", async () => {
    expect(await tried(device, CODES, { matrix: 2 })).toEqual(["gemm_i8_matrix 32x64 plain dot f32", ...CODE_GEMMS]);
    expect(await tried(device, HALVES, { matrix: 2 })).toEqual([
      "gemm_f16_matrix 32x64 plain cosine f16",
      ...HALF_GEMMS,
    ]);
  });

  test("without a result file from real hardware nobody gets them unasked", async () => {
    expect(await tried(withUnits(CONFIGS, [32, 32]), CODES, {})).toEqual(CODE_GEMMS);
    expect(await tried(withUnits(CONFIGS, [32, 32]), CODES, { matrix: 0 })).toEqual(CODE_GEMMS);
  });

  test.each([
    ["subgroups of several sizes", CONFIGS, [16, 32]],
    ["no multiplication of bytes", CONFIGS.slice(0, 1), [32, 32]],
    ["a result that is too narrow", [{ componentType: "i8", resultType: "i8", M: 16, N: 16, K: 32 }], [32, 32]],
    ["subgroups larger than a tile's workgroup", CONFIGS, [256, 256]],
  ] as const)("%s: no matrix kernel", async (_, configs, lanes) => {
    expect(await tried(withUnits(configs, lanes), CODES, { matrix: 1 })).toEqual(CODE_GEMMS);
  });

  test("only products of halves have a kernel for them", async () => {
    const units = withUnits(CONFIGS, [32, 32]);
    for (const asked of [
      { metric: "euclidean", precision: "f16", isCoded: false },
      { metric: "cosine", precision: "f32", isCoded: false },
    ] as const) {
      const names = await tried(units, asked, { matrix: 1 });
      expect(names).toHaveLength(3);
      expect(names.every((name) => name.startsWith("gemm_f32 "))).toBe(true);
    }
    expect(await tried(units, { metric: "hamming", precision: "b1", isCoded: false }, { matrix: 1 })).toEqual([]);
  });
});
