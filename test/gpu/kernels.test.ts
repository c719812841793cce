/**
 * The shaders one by one: every variant compiles (Dawn's null backend, in milliseconds), structs
 * have the layout that the host writes, and kernels equal their twins on a device. What collect,
 * refine, rank_ties and compact name is held by the contract table.
 */
import { create } from "webgpu";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ResourceType, WgslReflect } from "wgsl_reflect/wgsl_reflect.module.js";
import { floatToHalf, halfToFloat } from "../../src/core/half.ts";
import { METRIC_CODE } from "../../src/core/metric.ts";
import { bindingsOf, PARAMS_BYTES, Pipelines, sourceOf } from "../../src/gpu/pipelines.ts";
import { matrixShapeFor } from "../../src/gpu/matrix-units.ts";
import { GEMM_KERNELS } from "../../src/gpu/gemm-shaders.ts";
import { SHAPES } from "../../src/gpu/gemm-variants.ts";
import { QUERY_PARAM_WORDS } from "../../src/gpu/query.ts";
import type { KernelName } from "../../src/gpu/shaders.ts";
import { normal, uniform } from "../contract/random.ts";
import { gpuAvailable } from "../setup/backends.ts";
import { KernelBench } from "./kernel-bench.ts";
import { interleaved, keyOf, selectBin, selectKth, valueOf } from "./twins.ts";
import { matrixVariants, SOURCES, variants } from "./variants.ts";

const NAMES = Object.keys(SOURCES) as KernelName[];

// Held for the whole file: Dawn crashes when the object from create() is collected.
const held: { nullGpu: GPU | undefined; unsafeGpu: GPU | undefined } = { nullGpu: undefined, unsafeGpu: undefined };

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

  test.each(NAMES)("%s: all variants compile on default limits with their explicit layouts", async (name) => {
    const pipelines = new Pipelines(device, 64, true);
    pipelines.add(GEMM_KERNELS);
    const list = variants(name);
    expect(list.length).toBeGreaterThan(0);
    for (const variant of list) {
      const module = device.createShaderModule({ code: sourceOf(SOURCES[name], variant) });
      expect((await module.getCompilationInfo()).messages.map((m) => `${m.lineNum}: ${m.message}`)).toEqual([]);
      expect((await pipelines.get(name, variant)).name).toBe(name);
    }
  });

  test("a kernel whose code was not added is no kernel", async () => {
    await expect(new Pipelines(device, 64, true).get("gemm_f32")).rejects.toThrow(/^bug: .*gemm_f32.*before/);
  });

  test("a variant that does not compile rejects with the compiler's message", async () => {
    await expect(new Pipelines(device, 100_000, true).get("select_bin")).rejects.toThrow(
      /select_bin .*does not compile/,
    );
  });
});

describe("every variant for matrix units", () => {
  let device: GPUDevice;
  beforeAll(async () => {
    held.unsafeGpu = create(["backend=null", "enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia"]);
    const adapter = await held.unsafeGpu.requestAdapter();
    const requiredFeatures = ["subgroups", "shader-f16", "chromium-experimental-subgroup-matrix"] as GPUFeatureName[];
    device = (await adapter?.requestDevice({ requiredFeatures })) as GPUDevice;
    expect(device).toBeDefined();
  });
  afterAll(() => {
    device?.destroy();
    held.unsafeGpu = undefined;
  });

  // No device of CI executes them: their twins in plain WGSL, of the same template, run in codes.test.ts and in the contract table.
  test.each(["gemm_i8_matrix", "gemm_f16_matrix"] as const)(
    "%s compiles, as a pipeline where its tile is within the default limits",
    async (name) => {
      const pipelines = new Pipelines(device, 64, true);
      pipelines.add(GEMM_KERNELS);
      let within = 0;
      for (const variant of matrixVariants(name)) {
        const module = device.createShaderModule({ code: sourceOf(SOURCES[name], variant) });
        expect((await module.getCompilationInfo()).messages.map((m) => `${m.lineNum}: ${m.message}`)).toEqual([]);
        if (variant.tile !== SHAPES[name].at(-1)) continue;
        expect((await pipelines.get(name, variant)).name).toBe(name);
        within++;
      }
      expect(within).toBeGreaterThan(0);
    },
  );

  test.each([
    ["bytes", { component: "i8", m: 16, n: 16, k: 32, lanes: 32 }, 32],
    ["halves", { component: "f16", m: 16, n: 16, k: 16, lanes: 32 }, 32],
    ["narrow subgroups", { component: "f16", m: 8, n: 8, k: 8, lanes: 16 }, 16],
    ["subgroups larger than the workgroup", undefined, 256],
  ] as const)("of a device's multiplications the largest that cuts the tile up is taken: %s", (_, wanted, lanes) => {
    const config = (componentType: string, resultType: string, M: number, N: number, K: number) => ({
      componentType,
      resultType,
      M,
      N,
      K,
    });
    const units = {
      lanes,
      hasHalves: true,
      configs: [
        config("i8", "i32", 16, 8, 32),
        config("i8", "i32", 16, 16, 32),
        config("i8", "i32", 16, 16, 128),
        config("u8", "u32", 16, 16, 64),
        config("f16", "f16", 64, 64, 16),
        config("f16", "f32", 8, 8, 8),
        ...(lanes === 32 ? [config("f16", "f32", 16, 16, 16)] : [config("f16", "f32", 24, 24, 16)]),
      ],
    };
    const [tile] = SHAPES.gemm_i8_matrix.slice(-1);
    expect(tile && matrixShapeFor(units, wanted?.component ?? "i8", tile)).toEqual(wanted);
    expect(tile && matrixShapeFor({ ...units, hasHalves: false }, "f16", tile)).toBeUndefined();
  });
});

describe("what the host writes is what the shaders read", () => {
  const reflect = (name: KernelName): WgslReflect => new WgslReflect(sourceOf(SOURCES[name], variants(name)[0] ?? {}));

  test.each(NAMES)("%s: bindings in order, params struct of at most PARAMS_BYTES", (name) => {
    const groups = reflect(name).getBindGroups()[0] ?? [];
    const wanted = bindingsOf(SOURCES[name], variants(name)[0] ?? {});
    const kinds = wanted.map((_, binding) => {
      const group = groups.find((g) => g?.binding === binding);
      if (group === undefined) return "none";
      return group.resourceType === ResourceType.Uniform ? "params" : group.access === "read_write" ? "write" : "read";
    });
    expect(kinds).toEqual(wanted);
    expect(groups[0]?.size).toBeLessThanOrEqual(PARAMS_BYTES);
    const storage = wanted.filter((binding) => binding === "read" || binding === "write");
    expect(storage.length).toBeLessThanOrEqual(8); // the default limit
  });

  const members = (name: KernelName, struct: string): [string, number][] | undefined =>
    reflect(name)
      .structs.find((s) => s.name === struct)
      ?.members.map((m) => [m.name, m.offset / 4]);

  test("QueryParams has the words that tile-search writes, in every shader that has it", () => {
    const names = [
      "relative",
      "perNorm",
      "absolute",
      "floor",
      "ceiling",
      "limit",
      "wanted",
      "eligibility",
      "norm",
      "coarse",
    ];
    for (const name of NAMES) {
      const found = members(name, "QueryParams");
      if (found === undefined) continue;
      expect(found.slice(0, names.length)).toEqual(names.map((n, i) => [n, i]));
      expect(found).toHaveLength(QUERY_PARAM_WORDS);
    }
    expect(members("scan_f32", "QueryParams")).toBeDefined();
  });

  test("QueryState is the same four words in every shader that has it", () => {
    const found = NAMES.map((name) => members(name, "QueryState")).filter((m) => m !== undefined);
    expect(found.length).toBeGreaterThan(5);
    for (const words of found)
      expect(words).toEqual([
        ["threshold", 0],
        ["pick", 1],
        ["count", 2],
        ["refined", 3],
      ]);
  });

  test("QueryFacts and the parameters of scans and encoders are in the order that the host writes", () => {
    expect(
      members("scan_i8", "QueryFacts")
        ?.map(([n]) => n)
        .slice(0, 6),
    ).toEqual(["scale", "perError", "perCode", "perResidual", "norm2", "unit"]);
    expect(members("scan_i8", "QueryFacts")).toHaveLength(8);
    expect(members("scan_f32", "ScanParams")?.map(([n]) => n)).toEqual([
      "rows",
      "chunks",
      "queries",
      "width",
      "firstRow",
      "step",
      "shardRow",
      "words",
      "firstQuery",
      "keyStride",
      "keyOffset",
      "delegateStride",
      "delegateShift",
      "capacity",
      "unused0",
      "unused1",
    ]);
    expect(members("encode_i8", "EncodeParams")?.map(([n]) => n)).toEqual([
      "vectors",
      "first",
      "chunks",
      "codeChunks",
      "dimensions",
      "directions",
      "width",
      "unit",
      "errorSlack",
      "residualSlack",
      "codeSlack",
      "normSlack",
      "defect",
    ]);
  });

  test("metric codes are those that the shaders and the WASM kernels compare with", () => {
    expect(METRIC_CODE).toEqual({ cosine: 0, dot: 1, euclidean: 2, manhattan: 3, hamming: 4, jaccard: 5 });
  });
});

describe.skipIf(!gpuAvailable())("on a device", () => {
  let bench: KernelBench;
  beforeAll(async () => {
    bench = await KernelBench.open();
  });
  afterAll(() => bench?.close());

  const repack = async (
    target: GPUBuffer,
    staged: Uint32Array<ArrayBuffer>,
    first: number,
    count: number,
    exponent: number,
  ) => {
    bench.commands.dispatch({
      kernel: await bench.pipelines.get("repack"),
      params: [first, count, 3, 256 * 64, exponent],
      buffers: [bench.upload(staged), target],
      grid: { x: 256, y: 1 },
    });
  };

  test.each([1, 31, 32, 33, 65])("repack interleaves %i rows, in pieces, and leaves the rest alone", async (count) => {
    const stride = 12;
    const draw = uniform(count);
    const rows = Uint32Array.from({ length: count * stride }, () => draw() * 2 ** 32);
    const expected = interleaved(rows, count, stride);
    const target = bench.upload(new Uint32Array(expected.length).fill(0xbaadf00d));
    const cut = count >> 1;
    if (cut > 0) await repack(target, rows.slice(0, cut * stride), 0, cut, 0);
    await repack(target, rows.slice(cut * stride), cut, count - cut, 0);
    const got = await bench.download(target, expected.byteLength);
    for (let i = 0; i < got.length; i++) {
      const row = ((i >> 2) & 31) + Math.floor(i / (stride * 32)) * 32;
      expect(got[i]).toBe(row < count ? expected[i] : 0xbaadf00d);
    }
  });

  test.each([1, 4, 10])("repack multiplies every half that stays finite by 2^%i, exactly", async (exponent) => {
    const halves = Uint16Array.from({ length: 65_536 }, (_, h) => h).filter(
      (h) => Math.abs(halfToFloat(h)) * 2 ** exponent <= 65_504,
    );
    const stride = 12;
    const count = Math.floor(halves.length / (2 * stride));
    const words = new Uint32Array(halves.slice(0, count * 2 * stride).buffer);
    const target = bench.upload(new Uint32Array(Math.ceil(count / 32) * 32 * stride));
    await repack(target, words, 0, count, exponent);
    const scaled = Uint16Array.from(halves.slice(0, count * 2 * stride), (h) => {
      const value = halfToFloat(h) * 2 ** exponent;
      return value === 0 ? h : floatToHalf(value);
    });
    expect(await bench.download(target)).toEqual(interleaved(new Uint32Array(scaled.buffer), count, stride));
  });

  const queryParams = (wanted: readonly number[], floor = -(2 ** 125), ceiling = 2 ** 125): GPUBuffer => {
    const words = new Uint32Array(wanted.length * QUERY_PARAM_WORDS);
    const floats = new Float32Array(words.buffer);
    wanted.forEach((rank, q) => {
      floats[q * QUERY_PARAM_WORDS + 3] = floor;
      floats[q * QUERY_PARAM_WORDS + 4] = ceiling;
      words[q * QUERY_PARAM_WORDS + 6] = rank;
    });
    return bench.upload(words);
  };

  const GAUSS = normal(5);
  const DRAW = uniform(6);
  const LISTS = [
    Array.from({ length: 1000 }, () => keyOf(Math.fround(GAUSS()))),
    Array.from({ length: 1000 }, () => keyOf(Math.fround(Math.round(GAUSS())))),
    Array.from({ length: 1000 }, () => (DRAW() < 0.5 ? 0xffffffff : keyOf(Math.fround(GAUSS() * 1e-30)))),
    Array.from({ length: 1000 }, () => keyOf(2.5)),
    [keyOf(-1), ...Array.from({ length: 999 }, () => 0xffffffff)],
  ];

  test.each([
    [[1, 1, 1, 1, 1], false],
    [[10, 500, 100, 999, 1], true],
    [[1000, 1000, 300, 1000, 1], false],
    [[7, 1001, 999, 5, 2], true],
  ])(
    "select_k finds the keys of ranks %j, with ties, negative values and entries of no row (inverted: %s)",
    async (ranks, isInverted) => {
      const invert = isInverted ? 0xffffffff : 0;
      const keys = Uint32Array.from(LISTS.flat(), (key) => (key ^ invert) >>> 0);
      const states = bench.upload(new Uint32Array(LISTS.length * 4));
      bench.commands.dispatch({
        kernel: await bench.pipelines.get("select_k"),
        params: [1000, 1000, 1, invert, 0, 0],
        buffers: [bench.upload(keys), queryParams(ranks), states],
        grid: { x: LISTS.length, y: 1 },
      });
      const words = await bench.download(states);
      // A rank beyond the list is that of its last entry.
      expect(LISTS.map((_, q) => words[q * 4 + 1])).toEqual(
        LISTS.map((l, q) => selectKth(l, Math.min(1000, ranks[q] ?? 1))),
      );
    },
  );

  test("select_k makes the value of the rank the threshold, raised, lifted off, and never looser than before", async () => {
    const run = async (wanted: number, count: number, before: number, floor?: number, ceiling?: number) => {
      const list = Uint32Array.from([5, -3, 2, 9], keyOf);
      const state = new Uint32Array(4);
      new Float32Array(state.buffer)[0] = before;
      state[2] = count;
      const states = bench.upload(state);
      bench.commands.dispatch({
        kernel: await bench.pipelines.get("select_k"),
        params: [0, 4, 1, 0, 1, 0],
        buffers: [bench.upload(list), queryParams([wanted], floor, ceiling), states],
        grid: { x: 1, y: 1 },
      });
      const words = await bench.download(states);
      return [new Float32Array(words.buffer)[0], words[2], words[3]];
    };
    expect(await run(2, 4, 100)).toEqual([2, 4, 4]);
    expect(await run(2, 4, 1)).toEqual([1, 4, 4]);
    expect(await run(2, 3, 100)).toEqual([2, 3, 3]); // 9 is not among the first three
    expect(await run(4, 3, 100)).toEqual([100, 3, 3]); // fewer than wanted: nothing is out
    expect(await run(1, 4, 100, 0)).toEqual([0, 4, 4]);
    expect(await run(4, 4, 2 ** 126, -10, 9)).toEqual([2 ** 126, 4, 4]);
    expect(await run(4, 77, 100)).toEqual([9, 77, 4]); // an overflowed list: its four entries count
  });

  test("select_bin finds the distance of the rank", async () => {
    const histograms = [
      [0, 3, 0, 5],
      [4, 0, 0, 0],
      [0, 0, 0, 1],
      [1, 1, 1, 1],
    ];
    const wanted = [4, 4, 2, 3];
    const states = new Float32Array(16).fill(0);
    for (let q = 0; q < 4; q++) states[q * 4] = 2 ** 126;
    const stateBuffer = bench.upload(states);
    bench.commands.dispatch({
      kernel: await bench.pipelines.get("select_bin"),
      params: [4, 4],
      buffers: [bench.upload(Uint32Array.from(histograms.flat())), queryParams(wanted), stateBuffer],
      grid: { x: 1, y: 1 },
    });
    const found = new Float32Array((await bench.download(stateBuffer)).buffer);
    histograms.forEach((h, q) => expect(found[q * 4]).toBe(selectBin(h, wanted[q] ?? 0) ?? 2 ** 126));
  });

  test("keys and values are each other's inverse and keep the order", () => {
    const values = [-3.4e38, -1, -1e-38, 0, 1e-38, 2.5, 3.4e38].map(Math.fround);
    expect(values.map((v) => valueOf(keyOf(v)))).toEqual(values);
    expect(values.map(keyOf)).toEqual([...values.map(keyOf)].sort((a, b) => a - b));
  });
});
