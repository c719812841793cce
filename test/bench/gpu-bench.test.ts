/**
 * The GPU benchmark itself: its arithmetic against KERNELS a.4, its cases, its records, its data
 * against the twin, its answer check against answers made wrong; and, as a program, that it refuses
 * to time a software rasteriser. No speed is asserted anywhere.
 */
import { execFile } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { create } from "webgpu";
import { type Answer, sameAnswer } from "../../bench/answers.ts";
import { clusteredRows, QUERY_BASE } from "../../bench/clustered.ts";
import { type Case, CORE_CASES, caseKey, GRID_CASES, groupByIndex, limitRows } from "../../bench/gpu/cases.ts";
import { RowGenerator } from "../../bench/gpu/data.ts";
import { type BenchDevice, openDevice } from "../../bench/gpu/device.ts";
import { matrixHeader } from "../../bench/gpu/peaks.ts";
import subgroupMatrixCode from "../../bench/gpu/peaks/subgroup_matrix.wgsl?raw";
import { doneKeys, parseRecord, readRecords, type ResultRecord } from "../../bench/gpu/record.ts";
import { type PeakRates, roofline, type Work } from "../../bench/gpu/roofline.ts";
import { ResultFile } from "../../bench/result-file.ts";
import { spreadOf } from "../../bench/statistics.ts";
import { packedHamming, roundToHalf, storedRow } from "../../bench/gpu/stored.ts";
import { findProblem } from "../../bench/gpu/verify.ts";
import { referenceDistance } from "../../src/core/reference.ts";
import { gpuAvailable } from "../setup/backends.ts";

const folder = mkdtempSync(join(tmpdir(), "nearfield-bench-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the roofline", () => {
  /** An H200 as KERNELS a.4 assumes it; matrix units apart. */
  const h200: PeakRates = {
    readBytes: 4.3e12,
    copyBytes: 4.3e12,
    fmaF32Flops: 66.9e12,
    dotI8Ops: 134e12,
    popcountBits: 134e12,
    matrixF16Flops: null,
    matrixI8Ops: null,
  };
  const withMatrix: PeakRates = { ...h200, matrixF16Flops: 788e12, matrixI8Ops: 1577e12 };
  const work = (over: Partial<Work>): Work => ({
    rows: 1e6,
    dimensions: 128,
    batch: 1,
    precision: "f32",
    scan: "full",
    ...over,
  });

  test.each<[Partial<Work>, PeakRates, number, "memory" | "compute"]>([
    [{}, h200, 0.119, "memory"],
    [{ batch: 32 }, h200, 0.122, "compute"],
    [{ batch: 1024 }, withMatrix, 3.92, "compute"],
    [{ dimensions: 768 }, h200, 0.714, "memory"],
    [{ dimensions: 768, batch: 1024 }, h200, 23.5, "compute"],
    [{ rows: 1e7 }, h200, 1.19, "memory"],
    [{ precision: "f16" }, h200, 0.06, "memory"],
    [{ precision: "f16", batch: 1024 }, h200, 3.92, "compute"],
    [{ precision: "f16", batch: 1024 }, withMatrix, 0.333, "compute"],
    [{ precision: "f16", batch: 32 }, withMatrix, 0.06, "memory"],
    [{ precision: "i8" }, h200, 0.03, "memory"],
    [{ precision: "i8", batch: 1024 }, h200, 1.96, "compute"],
    [{ precision: "i8", batch: 1024 }, withMatrix, 0.166, "compute"],
    [{ precision: "i8", batch: 1024, dimensions: 768 }, withMatrix, 1.0, "compute"],
    [{ precision: "b1" }, h200, 0.0037, "memory"],
    [{ precision: "b1", batch: 32 }, h200, 0.031, "compute"],
    [{ precision: "b1", batch: 1024, dimensions: 768 }, h200, 5.87, "compute"],
  ])("%o: the cell of KERNELS a.4", (over, peaks, ms, bound) => {
    const { floorMs, bound: found } = roofline(work(over), peaks);
    // The table has two or three digits.
    expect(Math.abs(floorMs - ms)).toBeLessThanOrEqual(ms * 0.01 + 5e-4);
    expect(found).toBe(bound);
  });

  test("a certified scan reads int8 codes of the prefix and eight bytes a row", () => {
    const { bytes, operations, unit } = roofline(
      work({ scan: "certified", prefixDimensions: 48, batch: 3 }),
      withMatrix,
    );
    expect({ bytes, operations, unit }).toEqual({ bytes: 56e6, operations: 2 * 48e6 * 3, unit: "matrix_i8" });
  });
});

describe("the cases", () => {
  test("core: at most forty, the commonest first, those of an index together, no key twice", () => {
    expect(CORE_CASES.length).toBeLessThanOrEqual(40);
    expect(caseKey(CORE_CASES[0] as Case)).toBe("1000000x128-f32-full-cosine-b1-k10");
    expect(groupByIndex(CORE_CASES).flat()).toEqual(CORE_CASES);
    expect(new Set(CORE_CASES.map(caseKey)).size).toBe(CORE_CASES.length);
    expect(new Set(CORE_CASES.map((c) => `${c.precision} ${c.scan}`)).size).toBe(5);
  });

  test("the grid: every combination once, the core in it", () => {
    const keys = GRID_CASES.map(caseKey);
    expect(keys.length).toBe(2 * 3 * 6 * 4 * 3);
    expect(new Set(keys).size).toBe(keys.length);
    expect(CORE_CASES.map(caseKey).filter((key) => !keys.includes(key))).toEqual([]);
  });

  test("fewer rows: no case twice, k no larger than the rows", () => {
    const limited = limitRows(CORE_CASES, 500);
    expect(new Set(limited.map(caseKey)).size).toBe(limited.length);
    expect(Math.max(...limited.map((c) => c.rows))).toBe(500);
    expect(Math.max(...limited.map((c) => c.k))).toBe(500);
  });
});

describe("the records", () => {
  const record = (over: object): ResultRecord =>
    ({
      schema: 1,
      type: "case",
      commit: "abc",
      smoke: false,
      flags: ["a flag"],
      adapter: { vendor: "nvidia", architecture: "hopper", device: "", description: "" },
      key: "a",
      status: "ok",
      ...over,
    }) as unknown as ResultRecord;

  test("each append is one whole line; a line cut short by a crash spoils no other", () => {
    const path = join(folder, "deep", "results.jsonl");
    const first = new ResultFile(path);
    first.append(record({ key: "a" }));
    first.append(record({ key: "b" }));
    expect(readFileSync(path, "utf8").split("\n")).toHaveLength(3);
    first.close();
    appendFileSync(path, JSON.stringify(record({ key: "cut" })).slice(0, 50));
    const second = new ResultFile(path);
    second.append(record({ key: "c" }));
    second.close();
    expect(readRecords(path).map((r) => (r.type === "case" ? r.key : r.type))).toEqual(["a", "b", "c"]);
  });

  test("other schemas, nonsense and missing files are no records", () => {
    expect(parseRecord('{"schema":0}')).toBeUndefined();
    expect(parseRecord("null")).toBeUndefined();
    expect(parseRecord("")).toBeUndefined();
    expect(readRecords(join(folder, "none.jsonl"))).toEqual([]);
    writeFileSync(join(folder, "empty.jsonl"), "");
    new ResultFile(join(folder, "empty.jsonl")).close();
    expect(readFileSync(join(folder, "empty.jsonl"), "utf8")).toBe("");
  });

  test("done is what was measured, wrong or unsupported on this commit, adapter and flags; failures are tried again", () => {
    const run = record({}) as never;
    const done = doneKeys(
      [
        record({ key: "ok" }),
        record({ key: "wrong", status: "wrong" }),
        record({ key: "unsupported", status: "unsupported" }),
        record({ key: "failed", status: "failed" }),
        record({ key: "smoke", smoke: true }),
        record({ key: "older", commit: "abb" }),
        record({ key: "otherwise", flags: ["a flag", "nearfield:matrix"] }),
        record({ key: "elsewhere", adapter: { vendor: "amd", architecture: "", device: "", description: "" } }),
        record({ key: "peaks", type: "peaks" }),
      ],
      run,
    );
    expect([...done].sort()).toEqual(["ok", "unsupported", "wrong"]);
  });

  test("median and p95 are values that occurred", () => {
    expect(spreadOf([3, 1, 2, 4])).toEqual({ median: 2, p95: 4, least: 1, most: 4, count: 4 });
    const hundred = Array.from({ length: 100 }, (_, i) => i + 1);
    expect(spreadOf(hundred)).toMatchObject({ median: 50, p95: 95 });
  });
});

describe("what the check takes for stored", () => {
  test("f16: nearest, ties to even, subnormals", () => {
    expect(roundToHalf(1 + 2 ** -11)).toBe(1);
    expect(roundToHalf(1 + 3 * 2 ** -11)).toBe(1 + 2 ** -9);
    expect(roundToHalf(-65504)).toBe(-65504);
    expect(roundToHalf(2 ** -25)).toBe(0);
    expect(roundToHalf(3 * 2 ** -25)).toBe(2 ** -23);
    fc.assert(
      fc.property(fc.float({ min: -60_000, max: 60_000, noNaN: true }), (x) => {
        expect(Math.abs(roundToHalf(x) - x)).toBeLessThanOrEqual(Math.max(Math.abs(x) * 2 ** -11, 2 ** -25));
      }),
    );
  });

  test("i8: the scale in float32, codes half to even; a zero row stays zero", () => {
    const scale = 1; // 127 / 127
    const row = Float32Array.of(127, 2.5, -2.5, 3.5, 0.4);
    expect([...Array.from(storedRow("i8", row))]).toEqual([127, 2, -2, 4, 0].map((code) => scale * code));
    expect(Array.from(storedRow("i8", new Float32Array(3)))).toEqual([0, 0, 0]);
  });
});

describe("matrix units", () => {
  test.each([
    { componentType: "f16", resultType: "f32", M: 16, N: 16, K: 16 },
    { componentType: "i8", resultType: "i32", M: 16, N: 16, K: 32 },
  ])("the shader compiles for $componentType, without a warning", async (config) => {
    const held: { gpu: GPU | undefined } = {
      gpu: create(["backend=null", "enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia"]),
    };
    const adapter = await held.gpu?.requestAdapter();
    const requiredFeatures = ["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"] as GPUFeatureName[];
    const device = (await adapter?.requestDevice({ requiredFeatures })) as GPUDevice;
    const module = device.createShaderModule({ code: matrixHeader(config, 128) + subgroupMatrixCode });
    expect((await module.getCompilationInfo()).messages.map((m) => `${m.lineNum}: ${m.message}`)).toEqual([]);
    device.destroy();
    held.gpu = undefined;
  });
});

describe.skipIf(!gpuAvailable())("on a device", () => {
  let bench: BenchDevice;
  beforeAll(async () => {
    const opened = await openDevice();
    if ("missing" in opened) throw new Error(opened.missing);
    bench = opened;
  });
  afterAll(() => bench?.close());

  test.each([48, 100, 7])("rows of %i elements equal their twin, bit for bit, and have a norm near 1", async (d) => {
    const generator = await RowGenerator.open(bench.device, d);
    const rows: number[] = [];
    for await (const piece of generator.pieces(70)) rows.push(...piece);
    for (const number of [0, 1, 33, 69]) {
      const row = rows.slice(number * d, (number + 1) * d);
      expect(row).toEqual([...clusteredRows(d, number, 1)]);
      expect(Math.abs(Math.hypot(...row) - 1)).toBeLessThan(0.9);
    }
    expect([...(await generator.rows([69, 1]))]).toEqual([...rows.slice(69 * d), ...rows.slice(d, 2 * d)]);
    expect([...(await generator.queries(1))]).toEqual([...clusteredRows(d, QUERY_BASE, 1)]);
    generator.close();
  });

  test.each<Case["precision"]>(["f32", "f16", "i8", "b1"])(
    "%s: a right answer passes the check, and one wrong in any way does not",
    async (precision) => {
      const d = 48;
      const c: Case = {
        rows: 150,
        dimensions: d,
        metric: precision === "b1" ? "hamming" : "cosine",
        precision,
        scan: "full",
        batch: 5,
        k: 10,
      };
      const generator = await RowGenerator.open(bench.device, d);
      const queries = await generator.queries(c.batch);
      const right = answerOf(c, queries);
      expect(await findProblem(generator, c, queries, right)).toBeUndefined();
      expect(sameAnswer(right, answerOf(c, queries))).toBe(true);

      const { rows, distances } = right;
      const altered = async (at: number, row: number, distance: number): Promise<string | undefined> => {
        const wrong = { ...right, rows: rows.slice(), distances: distances.slice() };
        wrong.rows[at] = row;
        wrong.distances[at] = distance;
        expect(sameAnswer(right, wrong)).toBe(false);
        return findProblem(generator, c, queries, wrong);
      };
      const last = c.batch * c.k - 1;
      const ranked = rankedRows(c, queries, c.batch - 1);
      const next = ranked[c.k] ?? { row: 0, distance: 0 };
      // The nearest left out and the rest moved up; the last replaced by the next; a distance one ulp off.
      const shifted = { ...right, rows: rows.slice(), distances: distances.slice() };
      ranked.slice(1, c.k + 1).forEach(({ row, distance }, i) => {
        shifted.rows[last - c.k + 1 + i] = row;
        shifted.distances[last - c.k + 1 + i] = distance;
      });
      expect(await findProblem(generator, c, queries, shifted)).toMatch(/query 4, hit 0/);
      expect(await altered(last, next.row, next.distance)).toMatch(/query 4, hit 9/);
      expect(await altered(last, rows[last] ?? 0, (distances[last] ?? 0) + 2 ** -16)).toMatch(/query 4, hit 9/);
      expect(await altered(1, rows[0] ?? 0, distances[1] ?? 0)).toMatch(/returned twice/);
      expect(await altered(0, rows[0] ?? 0, 1000)).toMatch(/out of order/);
      generator.close();
    },
  );

  const run = (...args: string[]): Promise<{ code: number; output: string }> =>
    new Promise((resolve) => {
      execFile(process.execPath, [join("build", "bench-gpu-test", "main.js"), ...args], (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ code, output: stdout + stderr });
      });
    });

  test.skipIf(process.env["NEARFIELD_SYSTEM_GPU"] === "1")(
    "as a program: it refuses to time a software rasteriser; --smoke checks answers, records no time, and resumes",
    async () => {
      // Two folders below the package, like the real one: there `nearfield` resolves to this package.
      await build({
        configFile: "bench/gpu/vite.config.ts",
        logLevel: "warn",
        build: { outDir: join(process.cwd(), "build", "bench-gpu-test") },
      });
      const refused = await run("--core", "--out", join(folder, "refused.jsonl"));
      expect(refused.code).toBe(1);
      expect(refused.output).toMatch(/software rasteriser: its speed means nothing/);
      expect(readRecords(join(folder, "refused.jsonl"))).toEqual([]);

      const out = join(folder, "smoke.jsonl");
      const smoke = await run("--smoke", "--out", out);
      expect(smoke.output).not.toMatch(/wrong|failed/);
      expect(smoke.code).toBe(0);
      const records = readRecords(out);
      const cases = records.flatMap((r) => (r.type === "case" ? [r] : []));
      expect(records.length - cases.length).toBe(1);
      expect(cases.every((r) => r.smoke && r.peaks === null)).toBe(true);
      expect(cases.find((r) => r.key === "500x48-f32-full-cosine-b5-k10")).toMatchObject({
        status: "ok",
        verified: true,
        times: null,
        rates: null,
      });
      const again = await run("--smoke", "--out", join(folder, "again.jsonl"), "--resume", out);
      expect(again.output).toContain(`${cases.length} cases stand in the results already`);
    },
  );
});

interface Ranked {
  readonly row: number;
  readonly distance: number;
}

/** All rows by (canonical distance, row), from the twin. */
function rankedRows({ rows, precision, dimensions }: Case, queries: Float32Array, q: number): Ranked[] {
  const query = queries.subarray(q * dimensions, (q + 1) * dimensions);
  const ranked = Array.from({ length: rows }, (_, row): Ranked => {
    const vector = clusteredRows(dimensions, row, 1);
    const distance =
      precision === "b1"
        ? packedHamming(query, vector)
        : referenceDistance("cosine", query, storedRow(precision, vector));
    return { row, distance };
  });
  return ranked.sort((a, b) => a.distance - b.distance || a.row - b.row);
}

function answerOf(c: Case, queries: Float32Array): Answer {
  const hits = Array.from({ length: c.batch }, (_, q) => rankedRows(c, queries, q).slice(0, c.k)).flat();
  return {
    queries: c.batch,
    k: c.k,
    rows: Uint32Array.from(hits, (hit) => hit.row),
    distances: Float32Array.from(hits, (hit) => hit.distance),
    counts: new Uint32Array(c.batch).fill(c.k),
    report: { exact: true, degraded: [] },
  };
}
