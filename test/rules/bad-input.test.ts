/** Every kind of bad input: the right code, a message that says got, expected and remedy, and an index that stays as it was. */
import {
  createIndex,
  type IndexOptions,
  NearfieldError,
  RowSet,
  type SearchOptions,
  type VectorIndex,
  type VectorInput,
} from "nearfield";
import { withInternals } from "nearfield/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const D = 3;
const ROWS = [1, 0, 0, 0, 1, 0, 0, 0, 1];

async function rejection(work: () => Promise<unknown>): Promise<NearfieldError> {
  try {
    await work();
  } catch (error) {
    expect(error).toBeInstanceOf(NearfieldError);
    return error as NearfieldError;
  }
  throw new Error("nothing was rejected");
}

function expectMessage(error: NearfieldError): void {
  expect(error.message).toMatch(/^got .+; expected .+; .+/s);
  expect(error.message).not.toMatch(/\[object|NaN bytes/);
}

describe("createIndex", () => {
  test.each<[string, unknown, string]>([
    ["no options", undefined, "INVALID_OPTION"],
    ["dimensions missing", {}, "INVALID_DIMENSIONS"],
    ["dimensions 0", { dimensions: 0 }, "INVALID_DIMENSIONS"],
    ["dimensions 1.5", { dimensions: 1.5 }, "INVALID_DIMENSIONS"],
    ["dimensions NaN", { dimensions: Number.NaN }, "INVALID_DIMENSIONS"],
    ["dimensions as text", { dimensions: "3" }, "INVALID_DIMENSIONS"],
    ["dimensions 65,536", { dimensions: 65_536 }, "INVALID_DIMENSIONS"],
    ["an unknown metric", { dimensions: D, metric: "l2" }, "INVALID_OPTION"],
    ["an unknown precision", { dimensions: D, precision: "f64" }, "INVALID_OPTION"],
    ["hamming with f32", { dimensions: D, metric: "hamming" }, "INVALID_OPTION"],
    ["cosine with b1", { dimensions: D, metric: "cosine", precision: "b1" }, "INVALID_OPTION"],
    ["jaccard with i8", { dimensions: D, metric: "jaccard", precision: "i8" }, "INVALID_OPTION"],
    ["hamming with f16", { dimensions: D, metric: "hamming", precision: "f16" }, "INVALID_OPTION"],
    ["jaccard with f32", { dimensions: D, metric: "jaccard" }, "INVALID_OPTION"],
    ["manhattan with b1", { dimensions: D, metric: "manhattan", precision: "b1" }, "INVALID_OPTION"],
    ["a certified scan under manhattan", { dimensions: D, metric: "manhattan", scan: "certified" }, "UNSUPPORTED"],
    ["a certified scan of bits", { dimensions: D, precision: "b1", scan: "certified" }, "UNSUPPORTED"],
    [
      "a certified scan under jaccard",
      { dimensions: D, precision: "b1", metric: "jaccard", scan: "certified" },
      "UNSUPPORTED",
    ],
    ["an unknown scan", { dimensions: D, scan: "fast" }, "INVALID_OPTION"],
    ["an unknown backend", { dimensions: D, backend: "cuda" }, "INVALID_OPTION"],
    ["a device that is none", { dimensions: D, device: {} }, "INVALID_OPTION"],
    ["threads 0", { dimensions: D, threads: 0 }, "INVALID_OPTION"],
    ["threads 1.5", { dimensions: D, threads: 1.5 }, "INVALID_OPTION"],
    ["a negative memory budget", { dimensions: D, memoryBudgetBytes: -1 }, "INVALID_OPTION"],
    ["an unknown way with invalid rows", { dimensions: D, invalid: "ignore" }, "INVALID_OPTION"],
    ["a negative window", { dimensions: D, batchWindowMs: -1 }, "INVALID_OPTION"],
    ["a window of NaN", { dimensions: D, batchWindowMs: Number.NaN }, "INVALID_OPTION"],
    ["maxQueued 0", { dimensions: D, maxQueued: 0 }, "INVALID_OPTION"],
    ["a workerUrl that is none", { dimensions: D, workerUrl: 7 }, "INVALID_OPTION"],
    [
      "a wasmUrl with nothing behind it",
      { dimensions: D, backend: "cpu", wasmUrl: "/nonexistent/kernels.wasm" },
      "INVALID_OPTION",
    ],
    ["an onEvent that is no function", { dimensions: D, onEvent: true }, "INVALID_OPTION"],
  ])("%s is refused", async (_, options, code) => {
    const error = await rejection(() => createIndex(options as never));
    expect(error.code).toBe(code);
    expectMessage(error);
  });

  test("both edges of dimensions are accepted", async () => {
    for (const dimensions of [1, 65_535]) {
      const index = await createIndex({ dimensions, backend: "cpu" });
      await index.add(new Float32Array(dimensions).fill(1));
      expect((await index.search(new Float32Array(dimensions).fill(2), { k: 1 })).hits()).toEqual([
        { row: 0, distance: 0 },
      ]);
      await index.close();
    }
  });

  test("every metric is accepted with every precision that goes with it, every scan where there is a bound", async () => {
    const floats = ["cosine", "dot", "euclidean", "manhattan"] as const;
    for (const precision of ["f32", "f16", "i8", "b1"] as const) {
      for (const metric of precision === "b1" ? (["hamming", "jaccard"] as const) : floats) {
        for (const scan of ["auto", "full", "certified"] as const) {
          if (scan === "certified" && !["cosine", "dot", "euclidean"].includes(metric)) continue;
          const index = await createIndex({ dimensions: D, metric, scan, precision, backend: "cpu" });
          expect([index.precision, index.metric]).toEqual([precision, metric]);
          await index.close();
        }
      }
    }
  });

  test("metrics default to cosine, and to hamming for bits", async () => {
    for (const precision of [undefined, "f16", "i8", "b1"] as const) {
      const index = await createIndex({ dimensions: D, backend: "cpu", ...(precision ? { precision } : {}) });
      expect(index.metric).toBe(precision === "b1" ? "hamming" : "cosine");
      expect(index.precision).toBe(precision ?? "f32");
      await index.close();
    }
  });

  test('backend "gpu" with no adapter at all is BACKEND_UNAVAILABLE, and auto says why it took the CPU', async () => {
    // Its own process, without software Vulkan: on a machine with a real GPU driver Dawn is told to load none.
    const script = `
      import { createIndex } from "nearfield";
      const error = await createIndex({ dimensions: 3, backend: "gpu" }).catch((e) => e);
      const auto = await createIndex({ dimensions: 3 });
      console.log(JSON.stringify({ code: error.code, message: error.message, kind: auto.backend.kind, reason: auto.backend.reason }));
      await auto.close();`;
    const env: NodeJS.ProcessEnv = {
      ...process.env,
      VK_DRIVER_FILES: "/nonexistent.json",
      VK_ICD_FILENAMES: "/nonexistent.json",
    };
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
      env,
      cwd: process.cwd(),
    });
    const seen = JSON.parse(stdout) as { code: string; message: string; kind: string; reason: string };
    expect(seen.code).toBe("BACKEND_UNAVAILABLE");
    expect(seen.message).toMatch(/^got .+; expected .+; .+/s);
    expect(seen.kind).toBe("cpu");
    expect(seen.reason).not.toBe("");
  });
});

describe("an open index", () => {
  let index: VectorIndex;
  beforeAll(async () => {
    index = await createIndex({ dimensions: D, backend: "cpu", threads: 1, maxQueued: 4 });
    await index.add(ROWS);
  });
  afterAll(() => index.close());

  /** After each refusal: same rows, same answers. */
  async function expectUnharmed(): Promise<void> {
    expect([index.size, index.rowCount]).toEqual([3, 3]);
    expect((await index.search([1, 0.5, 0], { k: 3 })).hits().map((h) => h.row)).toEqual([0, 1, 2]);
  }

  const vectors: [string, unknown, string][] = [
    ["too short a vector", [1, 2], "INVALID_DIMENSIONS"],
    ["a length that is no multiple", new Float32Array(4).fill(1), "INVALID_DIMENSIONS"],
    [
      "ragged rows",
      [
        [1, 2, 3],
        [1, 2],
      ],
      "INVALID_DIMENSIONS",
    ],
    ["a ragged Float32Array row", [new Float32Array(3).fill(1), new Float32Array(4)], "INVALID_DIMENSIONS"],
    ["NaN", [1, Number.NaN, 0], "INVALID_VECTOR"],
    ["Infinity", [1, Infinity, 0], "INVALID_VECTOR"],
    ["−Infinity", Float32Array.of(1, -Infinity, 0), "INVALID_VECTOR"],
    ["a number beyond float32", [1, 1e300, 0], "INVALID_VECTOR"],
    ["a zero vector under cosine", [0, 0, 0], "INVALID_VECTOR"],
    ["a vector that float32 rounds to zero under cosine", [1e-60, 0, 0], "INVALID_VECTOR"],
    ["text", "123", "INVALID_VECTOR"],
    ["null", null, "INVALID_VECTOR"],
    ["undefined", undefined, "INVALID_VECTOR"],
    ["a number", 3, "INVALID_VECTOR"],
    ["an object", { length: 3 }, "INVALID_VECTOR"],
    ["numbers as text", ["1", "2", "3"], "INVALID_VECTOR"],
    ["a hole", [1, undefined, 3], "INVALID_VECTOR"],
    ["a Float64Array", new Float64Array(3).fill(1), "INVALID_VECTOR"],
    ["packed bits", new Uint8Array(3).fill(1), "INVALID_VECTOR"],
    ["an ArrayBuffer", new ArrayBuffer(12), "INVALID_VECTOR"],
    ["rows that are no rows", [[1, 2, 3], 4], "INVALID_VECTOR"],
  ];

  test.each(vectors)("add of %s is refused and adds nothing", async (_, input, code) => {
    const error = await rejection(() => index.add(input as VectorInput));
    expect(error.code).toBe(code);
    expectMessage(error);
    await expectUnharmed();
  });

  test.each(vectors)("search for %s is refused", async (_, input, code) => {
    const error = await rejection(() => index.search(input as VectorInput, { k: 1 }));
    expect(error.code).toBe(code);
    expectMessage(error);
    await expectUnharmed();
  });

  // Two rows, whatever they are, are one too many for replace.
  test.each(vectors.filter(([name]) => name !== "rows that are no rows"))(
    "replace by %s is refused and changes nothing",
    async (_, input, code) => {
      const error = await rejection(() => index.replace(1, input as VectorInput));
      expect(error.code).toBe(code);
      expectMessage(error);
      await expectUnharmed();
    },
  );

  test.each<[string, unknown, string]>([
    ["no options", undefined, "INVALID_OPTION"],
    ["k missing", {}, "INVALID_K"],
    ["k 0", { k: 0 }, "INVALID_K"],
    ["k −1", { k: -1 }, "INVALID_K"],
    ["k 1.5", { k: 1.5 }, "INVALID_K"],
    ["k NaN", { k: Number.NaN }, "INVALID_K"],
    ["k Infinity", { k: Infinity }, "INVALID_K"],
    ["k as text", { k: "3" }, "INVALID_K"],
    ["a filter too small", { k: 1, filter: RowSet.of([0], 2) }, "INVALID_FILTER_SIZE"],
    ["a filter too large", { k: 1, filter: RowSet.of([0], 4) }, "INVALID_FILTER_SIZE"],
    ["two filters for one query", { k: 1, filter: [RowSet.of([0], 3), RowSet.of([1], 3)] }, "INVALID_FILTER_SIZE"],
    ["no filters for one query", { k: 1, filter: [] }, "INVALID_FILTER_SIZE"],
    ["a filter that is none", { k: 1, filter: { has: () => true } }, "INVALID_FILTER"],
    ["a filter of row numbers", { k: 1, filter: [0] }, "INVALID_FILTER"],
    ["maxDistance NaN", { k: 1, maxDistance: Number.NaN }, "INVALID_OPTION"],
    ["maxDistance as text", { k: 1, maxDistance: "1" }, "INVALID_OPTION"],
    ["a signal aborted before", { k: 1, signal: AbortSignal.abort("no") }, "ABORTED"],
    ["a signal that is none", { k: 1, signal: {} }, "INVALID_OPTION"],
  ])("search with %s is refused", async (_, options, code) => {
    const error = await rejection(() => index.search([1, 0, 0], options as SearchOptions));
    expect(error.code).toBe(code);
    expectMessage(error);
    await expectUnharmed();
  });

  test.each<[string, () => Promise<unknown>, string]>([
    ["get of a row beyond the end", () => index.get([3]), "INVALID_ROW"],
    ["get of half a row", () => index.get([0.5]), "INVALID_ROW"],
    ["get of a number", () => index.get(1 as unknown as number[]), "INVALID_ROW"],
    ["remove of a row beyond the end", () => index.remove([0, 3]), "INVALID_ROW"],
    ["remove of −1", () => index.remove([-1]), "INVALID_ROW"],
    ["remove of a number", () => index.remove(1 as unknown as number[]), "INVALID_ROW"],
    ["replace of a row beyond the end", () => index.replace(3, [1, 2, 3]), "INVALID_ROW"],
    ["replace by two vectors", () => index.replace(0, [1, 2, 3, 4, 5, 6]), "INVALID_DIMENSIONS"],
    ["replace by no vector", () => index.replace(0, []), "INVALID_DIMENSIONS"],
    ["add with a signal aborted before", () => index.add([1, 2, 3], { signal: AbortSignal.abort("no") }), "ABORTED"],
    ["add with null for options", () => index.add([1, 2, 3], null as never), "INVALID_OPTION"],
    ["add with a signal that is none", () => index.add([1, 2, 3], { signal: 5 as never }), "INVALID_OPTION"],
    [
      "add with an onProgress that is no function",
      () => index.add([1, 2, 3], { onProgress: 5 as never }),
      "INVALID_OPTION",
    ],
    [
      "add of one bad row among good ones",
      () =>
        index.add([
          [1, 2, 3],
          [0, 0, 0],
        ]),
      "INVALID_VECTOR",
    ],
  ])("%s is refused", async (_, act, code) => {
    const error = await rejection(act);
    expect(error.code).toBe(code);
    expectMessage(error);
    await expectUnharmed();
  });

  test("more queued searches than maxQueued are refused with BUSY, the others answered", async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 9 }, () => index.search([1, 0, 0], { k: 1 })));
    const refused = outcomes.filter((o) => o.status === "rejected");
    expect(refused).toHaveLength(5);
    for (const o of refused) expect(o.reason).toMatchObject({ code: "BUSY" });
    await expectUnharmed();
  });

  test("nothing given is nothing added and nothing found, not an error", async () => {
    for (const empty of [[], new Float32Array(0)]) {
      expect(await index.add(empty)).toEqual({ first: 3, count: 0, skipped: [] });
      const result = await index.search(empty, { k: 2 });
      expect([result.queries, result.rows.length, result.counts.length]).toEqual([0, 0, 0]);
    }
    await expectUnharmed();
  });

  test("an exception in onEvent reaches the process, not the engine", async () => {
    const thrown: unknown[] = [];
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", (error) => thrown.push(error));
    try {
      const other = await createIndex({
        dimensions: 1,
        backend: "cpu",
        onEvent: () => {
          throw new Error("mine");
        },
      });
      await other.close();
      expect(thrown).toEqual([new Error("mine")]);
    } finally {
      process.removeAllListeners("uncaughtException");
      for (const listener of listeners) process.on("uncaughtException", listener);
    }
  });
});

describe("an index of another precision", () => {
  test.each<[string, Partial<IndexOptions>, unknown, string]>([
    ["f16: a number beyond its range", { precision: "f16" }, [1, 65520, 0], "INVALID_VECTOR"],
    [
      "f16: a negative one",
      { precision: "f16", metric: "dot" },
      [[1, 1, 1], Float32Array.of(0, 0, -7e4)],
      "INVALID_VECTOR",
    ],
    ["f16: zero under cosine", { precision: "f16" }, [0, 0, 0], "INVALID_VECTOR"],
    ["f16: zero after rounding, under cosine", { precision: "f16" }, [1e-10, 0, -1e-10], "INVALID_VECTOR"],
    ["f16: packed bits", { precision: "f16" }, new Uint8Array(3).fill(1), "INVALID_VECTOR"],
    ["i8: zero after rounding, under cosine", { precision: "i8" }, [1e-45, 0, 0], "INVALID_VECTOR"],
    ["i8: NaN", { precision: "i8", metric: "dot" }, [1, Number.NaN, 0], "INVALID_VECTOR"],
    ["i8: packed bits", { precision: "i8" }, new Uint8Array(3).fill(1), "INVALID_VECTOR"],
    ["b1: NaN", { precision: "b1" }, [1, Number.NaN, 0], "INVALID_VECTOR"],
    ["b1: Infinity", { precision: "b1" }, [1, Infinity, 0], "INVALID_VECTOR"],
    ["b1: too few floats", { precision: "b1" }, [1, 2], "INVALID_DIMENSIONS"],
    ["b1: bytes that are no whole rows", { precision: "b1", dimensions: 9 }, new Uint8Array(3), "INVALID_DIMENSIONS"],
    ["b1: rows of bytes", { precision: "b1" }, [Uint8Array.of(1)], "INVALID_VECTOR"],
  ])("%s is refused and adds nothing", async (_, options, input, code) => {
    const index = await createIndex({ dimensions: D, backend: "cpu", threads: 1, ...options });
    const error = await rejection(() => index.add(input as VectorInput));
    expect(error.code).toBe(code);
    expectMessage(error);
    expect(index.rowCount).toBe(0);
    await index.close();
  });

  test("the position of the first bad row is told", async () => {
    const index = await createIndex({ dimensions: 2, precision: "f16", metric: "dot", backend: "cpu", threads: 1 });
    const error = await rejection(() => index.add([1, 2, 3, 4, 5, 1e5, 1e5, 6]));
    expect(error.details).toEqual({ position: 2 });
    expect(error.message).toContain("65504");
    await index.close();
  });

  test("queries are never stored, so f16 searches beyond its range, and rows may be zero where a query may not", async () => {
    const index = await createIndex({ dimensions: 2, precision: "f16", metric: "dot", backend: "cpu", threads: 1 });
    await index.add([1e-10, 0, 2, 0]);
    expect((await index.search([1e6, 0], { k: 2 })).hits()).toEqual([
      { row: 1, distance: -2e6 },
      { row: 0, distance: 0 },
    ]);
    expect((await rejection(() => index.search([Infinity, 0], { k: 1 }))).code).toBe("INVALID_VECTOR");
    await index.close();
  });
});

describe("a closed index", () => {
  test("refuses everything with CLOSED, and closing again is fine", async () => {
    const index = await createIndex(withInternals({ dimensions: D, backend: "cpu", threads: 1 }, {}));
    await index.add(ROWS);
    await index.close();
    await index.close();
    const calls: (() => Promise<unknown>)[] = [
      () => index.add(ROWS),
      () => index.search([1, 0, 0], { k: 1 }),
      () => index.get([0]),
      () => index.replace(0, [1, 0, 0]),
      () => index.remove([0]),
      () => index.compact(),
    ];
    for (const call of calls) {
      const error = await rejection(call);
      expect(error.code).toBe("CLOSED");
      expectMessage(error);
    }
  });
});
