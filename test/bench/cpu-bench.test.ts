/**
 * The CPU benchmarks themselves: turns and statistics, the refusal of wrong answers, recall, held-out
 * queries, the ONNX model's bytes, rates; as programs, that bench:cpu and the page run. No peer is
 * needed, and no speed is asserted anywhere.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createIndex, type SearchResult } from "nearfield";
import { build } from "vite";
import { afterAll, describe, expect, test } from "vitest";
import { runPage } from "../../bench/browser/run-page.ts";
import {
  type CaseGroup,
  caseKey,
  casesOf,
  type Contender,
  limitRows,
  onlyCases,
  QUERIES,
} from "../../bench/cases/case.ts";
import { SUITES } from "../../bench/cases/suites.ts";
import { clusteredBits, clusteredRows } from "../../bench/clustered.ts";
import { type CaseResult, compareGroup, type ContenderOutcome } from "../../bench/compare.ts";
import { comparisonLines } from "../../bench/comparison-table.ts";
import type { Found, OpenContender } from "../../bench/contender.ts";
import { kernelRates } from "../../bench/cpu/kernels.ts";
import { type Clocks, interleave, type Turns } from "../../bench/interleave.ts";
import { openNearfield } from "../../bench/nearfield-contender.ts";
import { Oracle } from "../../bench/oracle.ts";
import { scoreModel } from "../../bench/peers/onnx-model.ts";
import { type ScanCodes, scanCopiesReady } from "../../bench/scan-copies.ts";
import { round } from "../../bench/statistics.ts";
import { holdOut, type Vectors } from "../../bench/vectors.ts";
import { reference } from "../../src/core/reference.ts";
import { browserAvailable } from "../setup/browser.ts";

const folder = mkdtempSync(join(tmpdir(), "nearfield-cpu-bench-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A clock that turns move by hand. */
function handClock(): Clocks & { wall: number; cpu: number } {
  const clock = { wall: 0, cpu: 0, wallMs: () => clock.wall, cpuMs: () => clock.cpu };
  return clock;
}

describe("turns", () => {
  /** Each turn takes `ms` on the clock; what ran is added to `ran`. */
  function contender(clock: ReturnType<typeof handClock>, ran: string[], name: string, ms: number): Turns {
    return {
      name,
      run: (turn) => {
        ran.push(`${name}${turn}`);
        clock.wall += ms;
        clock.cpu += 2 * ms;
        return Promise.resolve();
      },
    };
  }

  test("every round runs all contenders, in alternating order, and the first round is not counted", async () => {
    const clock = handClock();
    const ran: string[] = [];
    const rounds: number[] = [];
    const contenders = [contender(clock, ran, "a", 1), contender(clock, ran, "b", 10)];
    const timings = await interleave(contenders, 3, clock, (turn) => rounds.push(turn));
    expect(ran).toEqual(["b0", "a0", "a0", "b0", "b1", "a1", "a2", "b2"]);
    expect(rounds).toEqual([0, 1, 2, 3]);
    expect(timings).toEqual([
      { wallMs: [1, 1, 1], cpuMs: [2, 2, 2] },
      { wallMs: [10, 10, 10], cpuMs: [20, 20, 20] },
    ]);
  });

  test("a contender has no more rounds once its turns took a minute, but one that counts", async () => {
    const clock = handClock();
    const ran: string[] = [];
    const contenders = [contender(clock, ran, "a", 20_000), contender(clock, ran, "slow", 60_001)];
    const timings = await interleave(contenders, 5, clock, () => {});
    expect(ran).toEqual(["slow0", "a0", "a0", "slow0", "a1", "a2"]);
    expect(timings.map(({ wallMs }) => wallMs.length)).toEqual([3, 1]);
  });

  test("a contender that was slow to be checked does not warm up again, and the check counts as spent", async () => {
    const clock = handClock();
    const ran: string[] = [];
    const contenders = [
      { ...contender(clock, ran, "a", 1), checkedMs: 10_000 },
      { ...contender(clock, ran, "slow", 30_000), checkedMs: 30_001 },
    ];
    const timings = await interleave(contenders, 3, clock, () => {});
    expect(ran).toEqual(["a0", "a0", "slow0", "a1", "a2"]);
    expect(timings.map(({ wallMs }) => wallMs.length)).toEqual([3, 1]);
  });

  test("where the platform has no clock of CPU time, there is none in the result", async () => {
    const clocks = { wallMs: () => 0, cpuMs: () => null };
    const [timing] = await interleave([{ name: "a", run: () => Promise.resolve() }], 1, clocks, () => {});
    expect(timing).toEqual({ wallMs: [0], cpuMs: null });
  });
});

describe("the cases", () => {
  test.each(Object.entries(SUITES))(
    "%s: no key twice, a base that takes part, batches that the held-out queries fill",
    (_, groups) => {
      const keys = groups.flatMap((group) => casesOf(group).map(caseKey));
      expect(new Set(keys).size).toBe(keys.length);
      for (const { base, contenders, searches } of groups) {
        const names = contenders.map(({ name }) => name);
        expect(new Set(names).size).toBe(names.length);
        if (base !== undefined) expect(names).toContain(base);
        for (const [batch] of searches) expect(QUERIES % batch).toBe(0);
      }
    },
  );

  test("only some, and fewer rows", () => {
    const some = onlyCases(SUITES.cpu, "gaussian-100000x384-cosine-b256");
    expect(some.flatMap(casesOf).map(caseKey)).toEqual([
      "gaussian-100000x384-cosine-b256-k10",
      "gaussian-100000x384-cosine-b256-k1000",
    ]);
    expect(limitRows(some, 500).flatMap(casesOf).map(caseKey)).toEqual([
      "gaussian-500x384-cosine-b256-k10",
      "gaussian-500x384-cosine-b256-k500",
    ]);
  });
});

describe("held-out queries", () => {
  test("are spread over the whole set, and none of them stays in the base", () => {
    const all = Float32Array.from({ length: 1000 * 2 }, (_, i) => Math.floor(i / 2));
    const { rows, queries } = holdOut(all, 2, 1000 - QUERIES);
    const numbers = (values: ArrayLike<number>): number[] => Array.from(values).filter((_, i) => i % 2 === 0);
    expect([...numbers(rows), ...numbers(queries)].sort((a, b) => a - b)).toEqual(numbers(all));
    expect(numbers(queries)[0]).toBeLessThan(1000 / QUERIES);
    expect(numbers(queries).at(-1)).toBeGreaterThan(1000 - 1000 / QUERIES - 1);
  });

  test("too few vectors are refused", () => {
    expect(() => holdOut(new Float32Array(300), 1, 45)).toThrow(/too few/);
  });
});

const D = 16;
const VECTORS: Vectors = {
  dimensions: D,
  rows: clusteredRows(D, 0, 300),
  queries: clusteredRows(D, 5000, QUERIES),
};

describe("the oracle", () => {
  test("is the reference for float rows, and for rows as i8 stores them it is what an i8 index answers", async () => {
    const oracle = new Oracle(VECTORS, "euclidean");
    const query = VECTORS.queries.subarray(3 * D, 4 * D) as Float32Array;
    const rows = VECTORS.rows as Float32Array;
    expect(oracle.nearest(3, "f32", 7)).toEqual(reference({ metric: "euclidean", rows, dimensions: D, query, k: 7 }));
    const index = await createIndex({
      dimensions: D,
      metric: "euclidean",
      precision: "i8",
      backend: "cpu",
      threads: 1,
    });
    await index.add(rows);
    expect(oracle.nearest(3, "i8", 7)).toEqual((await index.search(query, { k: 7 })).hits());
    await index.close();
  });

  test("counts bits as the reference does", () => {
    const bits: Vectors = { dimensions: 64, rows: clusteredBits(64, 0, 50), queries: clusteredBits(64, 900, QUERIES) };
    const oracle = new Oracle(bits, "hamming");
    const hits = oracle.nearest(2, "b1", 50);
    expect(hits).toHaveLength(50);
    for (const { row, distance } of hits) expect(distance).toBe(oracle.distance(2, row));
    expect(hits.map(({ distance }) => distance)).toEqual(hits.map(({ distance }) => distance).sort((a, b) => a - b));
  });
});

describe("the comparison", () => {
  const OWN: Contender = { name: "nearfield", engine: "nearfield", precision: "f32", threads: 1 };
  const PEER: Contender = { name: "peer", engine: "usearch", precision: "f32", threads: 1 };

  const group = (...contenders: Contender[]): CaseGroup => ({
    data: { source: "clustered", rows: 300, dimensions: D },
    metric: "euclidean",
    searches: [
      [1, 5],
      [64, 5],
    ],
    contenders,
    base: "peer",
  });

  async function compare(
    contenders: readonly Contender[],
    open: (contender: Contender) => Promise<OpenContender>,
    clocks = handClock(),
  ): Promise<CaseResult[]> {
    const results: CaseResult[] = [];
    const ticking = { ...clocks, wallMs: () => (clocks.wall += 2) };
    const options = { rounds: 3, clocks: ticking, open, onProgress: () => {} };
    for await (const result of compareGroup(group(...contenders), VECTORS, options)) results.push(result);
    return results;
  }

  /** nearfield's answers, changed in one way. */
  async function tampered(
    contender: Contender,
    change: (found: SearchResult, run: number) => SearchResult,
  ): Promise<OpenContender> {
    const own = await openNearfield(OWN, "euclidean", VECTORS);
    return {
      contender,
      close: () => own.close(),
      prepare: (queries, k) => {
        const search = own.prepare(queries, k);
        let runs = 0;
        return {
          run: async (): Promise<Found> => {
            const { exact } = await search.run();
            if (exact === undefined) throw new Error("nearfield gave no answer");
            const changed = change(exact, runs++);
            return contender.engine === "nearfield"
              ? { rows: () => changed.rows, exact: changed }
              : { rows: () => changed.rows };
          },
        };
      },
    };
  }

  const replaceFirst = ({ rows, ...rest }: SearchResult, row: number): SearchResult => {
    const changed = rows.slice();
    changed[0] = row;
    return { ...rest, rows: changed };
  };
  const outcomes = (results: readonly CaseResult[]): ContenderOutcome[] =>
    results.flatMap(({ contenders }) => contenders);

  test("right answers get times, a ratio to the base round by round, recall, and lines to read", async () => {
    const results = await compare([OWN, PEER], (contender) =>
      contender === OWN ? openNearfield(OWN, "euclidean", VECTORS) : tampered(contender, (found) => found),
    );
    expect(results.map((result) => caseKey(result.case))).toEqual([
      "clustered-300x16-euclidean-b1-k5",
      "clustered-300x16-euclidean-b64-k5",
    ]);
    for (const outcome of outcomes(results)) {
      expect(outcome).toMatchObject({ status: "ok", recall: 1, speedup: { median: 1, count: 3 } });
    }
    // The clock moves by 2 ms a reading; 64 single queries are one turn.
    expect(results[0]?.contenders[0]).toMatchObject({ wallMs: { median: 2 / 64 }, cpuMs: { median: 0 } });
    expect(results[1]?.contenders[0]).toMatchObject({ wallMs: { median: 2 / 64 } });
    const lines = results.flatMap((result) => comparisonLines(result, "peer")).join("\n");
    expect(lines).toMatch(/nearfield .* 1\.00 × .* 1\.0000 +full/);
  });

  test("a wrong row, and an answer that changes while timed, get no times and say why", async () => {
    const wrong = await compare([OWN], (c) => tampered(c, (found) => replaceFirst(found, 299)));
    for (const outcome of outcomes(wrong)) {
      expect(outcome).toMatchObject({ status: "wrong", reason: expect.stringMatching(/query 0, hit 0: row 299/) });
    }
    const wavering = await compare([OWN], (c) =>
      tampered(c, (found, run) => (run === 0 ? found : replaceFirst(found, 299))),
    );
    for (const outcome of outcomes(wavering)) {
      expect(outcome).toMatchObject({ status: "wrong", reason: expect.stringMatching(/after timing differs/) });
    }
  });

  /** The first hit of each search becomes one that is not among the nearest. */
  const missFirst = (found: SearchResult): SearchResult => {
    const own = new Set(found.rows);
    return replaceFirst(found, Array.from({ length: 300 }, (_, row) => row).find((row) => !own.has(row)) ?? 0);
  };

  test("of an approximate engine the recall is told, and one that fails spoils no other", async () => {
    const broken: Contender = { name: "broken", engine: "onnxruntime", precision: "f32", threads: 1 };
    const approximate: Contender = { ...PEER, isApproximate: true };
    const results = await compare([OWN, approximate, broken], (contender) => {
      if (contender === OWN) return openNearfield(OWN, "euclidean", VECTORS);
      if (contender === broken) return Promise.reject(new Error("no such engine"));
      return tampered(contender, missFirst);
    });
    expect(results[0]?.contenders.map(({ status }) => status)).toEqual(["ok", "ok", "failed"]);
    expect(results[0]?.contenders[1]).toMatchObject({ recall: 0.8 }); // 4 of 5 in each single query
    expect(results[1]?.contenders[1]).toMatchObject({ recall: round(319 / 320) });
    expect(results[0]?.contenders[2]).toMatchObject({ reason: "no such engine" });
  });

  test("an engine that promises exactness and misses more than a hundredth is wrong, and gets no times", async () => {
    const results = await compare([OWN, PEER], (contender) =>
      contender === OWN ? openNearfield(OWN, "euclidean", VECTORS) : tampered(contender, missFirst),
    );
    expect(results[0]?.contenders[1]).toMatchObject({ status: "wrong", reason: "recall 0.8 of an exact search" });
    // One of 320 hits may be rounding.
    expect(results[1]?.contenders[1]).toMatchObject({ status: "ok", recall: round(319 / 320) });
  });

  test("a row that is returned twice is found once, and a place without a row is not found", async () => {
    const results = await compare([OWN, { ...PEER, isApproximate: true }], (contender) =>
      contender === OWN
        ? openNearfield(OWN, "euclidean", VECTORS)
        : tampered(contender, ({ rows, ...rest }) => ({
            ...rest,
            // Of each query's five: the second is the first again, and the third is none.
            rows: rows.map((row, i) => [row, rows[i - 1] ?? 0, 0xffff_ffff, row, row][i % 5] ?? row),
          })),
    );
    for (const { contenders } of results) expect(contenders[1]).toMatchObject({ status: "ok", recall: 0.6 });
  });

  test("a slow engine's ratios pair the rounds that it had", async () => {
    const clock = handClock();
    const open = (contender: Contender): Promise<OpenContender> =>
      tampered(contender, (found) => {
        if (contender === PEER) clock.wall += 60_001;
        return found;
      });
    const results = await compare([OWN, PEER], open, clock);
    for (const { contenders } of results) {
      expect(contenders[0]).toMatchObject({ wallMs: { count: 3 }, speedup: { count: 1 } });
      expect(contenders[1]).toMatchObject({ wallMs: { count: 1 }, speedup: { median: 1, count: 1 } });
    }
  });
});

describe("waiting for the scan copies", () => {
  const index = (
    ...states: (ScanCodes | null)[]
  ): { polls: number; rowCount: number; stats(): { cpu: { codes: ScanCodes | null } } } => {
    const watched = {
      polls: 0,
      rowCount: 100,
      stats: () => ({ cpu: { codes: states[Math.min(watched.polls++, states.length - 1)] ?? null } }),
    };
    return watched;
  };
  const ready = { directions: 16, codedRows: 100, learning: null };

  test("ends when all rows have codes and nothing is being learnt, and stays so", async () => {
    const learning = { ...ready, learning: 0.5 };
    const watched = index({ ...ready, codedRows: 50 }, ready, learning, ready, ready, ready);
    expect(await scanCopiesReady(watched)).toEqual(ready);
    expect(watched.polls).toBe(6);
  });

  test("an index that scans in full is ready", async () => {
    expect(await scanCopiesReady(index(null))).toBeNull();
  });

  test("gives up after the time-out and says how far it came", async () => {
    await expect(scanCopiesReady(index({ ...ready, codedRows: 7 }), 0)).rejects.toThrow(/7 of 100 rows coded/);
  });
});

/** A protobuf message by field number: integers, bytes of strings and messages, 32-bit words. */
function decode(bytes: Uint8Array): Map<number, (number | Uint8Array)[]> {
  const fields = new Map<number, (number | Uint8Array)[]>();
  let at = 0;
  const varint = (): number => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++] ?? 0;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const wire = key & 7;
    const length = wire === 2 ? varint() : 4;
    const value = wire === 0 ? varint() : bytes.subarray(at, (at += length));
    fields.set(key >> 3, [...(fields.get(key >> 3) ?? []), value]);
  }
  return fields;
}

describe("the ONNX model", () => {
  const rows = Float32Array.of(1, 2, 3, 4, 5, 6);
  const all = (fields: Map<number, (number | Uint8Array)[]>, field: number): Map<number, (number | Uint8Array)[]>[] =>
    (fields.get(field) ?? []).map((value) => decode(value as Uint8Array));
  const texts = (fields: Map<number, (number | Uint8Array)[]>, field: number): string[] =>
    (fields.get(field) ?? []).map((value) => new TextDecoder().decode(value as Uint8Array));
  const floats = (value: number | Uint8Array | undefined): number[] => [
    ...new Float32Array((value as Uint8Array).slice().buffer),
  ];

  test("decodes to a product with the rows inside, then the highest k", () => {
    const model = decode(scoreModel({ dimensions: 2, rows, bias: Float32Array.of(-5, -25, -61), alpha: 2 }));
    expect(model.get(1)).toEqual([8]);
    expect(all(model, 8)[0]?.get(2)).toEqual([13]);
    const [graph] = all(model, 7);
    if (graph === undefined) throw new Error("the model has no graph");
    const nodes = all(graph, 1);
    expect(nodes.map((node) => [texts(node, 4), texts(node, 1), texts(node, 2)])).toEqual([
      [["Gemm"], ["queries", "vectors", "bias"], ["products"]],
      [["TopK"], ["products", "k"], ["scores", "rows"]],
    ]);
    const attributes = nodes.map((node) => Object.fromEntries(all(node, 5).map((a) => [texts(a, 1)[0], a])));
    expect(floats(attributes[0]?.["alpha"]?.get(2)?.[0])).toEqual([2]);
    expect(attributes[0]?.["transB"]?.get(3)).toEqual([1]);
    expect(attributes[1]?.["axis"]?.get(3)).toEqual([-1]);
    const tensors = all(graph, 5);
    expect(
      tensors.map((tensor) => [texts(tensor, 8)[0], tensor.get(1), tensor.get(2), floats(tensor.get(9)?.[0])]),
    ).toEqual([
      ["vectors", [3, 2], [1], [...rows]],
      ["bias", [3], [1], [-5, -25, -61]],
    ]);
    expect([...all(graph, 11), ...all(graph, 12)].map((info) => texts(info, 1)[0])).toEqual([
      "queries",
      "k",
      "scores",
      "rows",
    ]);
  });

  test("without a bias has none", () => {
    const [graph] = all(decode(scoreModel({ dimensions: 2, rows, alpha: 1 })), 7);
    if (graph === undefined) throw new Error("the model has no graph");
    expect(all(graph, 1).map((node) => texts(node, 1))).toEqual([
      ["queries", "vectors"],
      ["products", "k"],
    ]);
    expect(all(graph, 5)).toHaveLength(1);
  });
});

describe("the rates of a scan", () => {
  const peak = { threads: 1, readBytes: 20e9, f32Flops: 50e9, i8Macs: 100e9 };
  const spread = (median: number): { median: number; p95: number; least: number; most: number; count: number } => ({
    median,
    p95: median,
    least: median,
    most: median,
    count: 1,
  });
  const scan = { prefixDimensions: 100, survivors: 0, rescans: 0 };
  const rate = (
    over: Partial<ContenderOutcome & { status: "ok" }>,
    batch: number,
    simd: "simd128" | "relaxed-simd",
  ) => {
    const outcome: ContenderOutcome = {
      contender: { name: "x", engine: "nearfield", precision: "f32", threads: 1 },
      status: "ok",
      wallMs: spread(2),
      cpuMs: null,
      speedup: null,
      cpuSpeedup: null,
      recall: 1,
      scan: { ...scan, method: "full" },
      codes: null,
      ...over,
    };
    const result: CaseResult = {
      case: { data: { source: "clustered", rows: 1000, dimensions: 100 }, metric: "cosine", batch, k: 10 },
      rounds: 1,
      queriesPerTurn: batch,
      contenders: [outcome],
    };
    return kernelRates(result, { simd, one: peak, all: peak })[0];
  };

  test("a full scan reads the rows and multiplies floats", () => {
    expect(rate({}, 1, "simd128")).toMatchObject({
      ms: 2,
      bytesPerSecond: 200e6,
      ofBandwidth: 0.01,
      macsPerSecond: 50e6,
      ofPeak: 0.002,
    });
    expect(rate({}, 10, "simd128")).toMatchObject({ ms: 20, bytesPerSecond: 20e6, macsPerSecond: 50e6 });
  });

  test.each([
    ["simd128", 16],
    ["relaxed-simd", 20],
  ] as const)("a certified scan with %s reads codes in blocks of 16 and %i bytes of facts", (simd, facts) => {
    const codes = { directions: 40, codedRows: 1000, learning: null };
    expect(rate({ scan: { ...scan, method: "certified" }, codes }, 1, simd)).toMatchObject({
      bytesPerSecond: (1000 * (48 + facts)) / 0.002,
      macsPerSecond: 20e6,
      ofPeak: 0.0002,
    });
  });

  test("bits are counted, not multiplied", () => {
    const contender: Contender = { name: "b1", engine: "nearfield", precision: "b1", threads: 1 };
    expect(rate({ contender }, 1, "simd128")).toMatchObject({
      bytesPerSecond: 6.25e6,
      macsPerSecond: null,
      ofPeak: null,
    });
  });
});

test("bench:cpu as a program: every part runs, and records say that it was a smoke run", {
  timeout: 180_000,
}, async () => {
  // Two folders below the package, like the real one: there `nearfield` resolves to this package.
  await build({
    configFile: "bench/cpu/vite.config.ts",
    logLevel: "warn",
    build: { outDir: join(process.cwd(), "build", "bench-cpu-test") },
  });
  const out = join(folder, "cpu.jsonl");
  const program = join("build", "bench-cpu-test", "main.js");
  const { stdout } = await promisify(execFile)(process.execPath, [program, "--smoke", "--rounds", "1", "--out", out]);
  expect(stdout).not.toMatch(/wrong|failed/);
  const records = readFileSync(out, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { part: string; smoke: boolean; commit: string; runtime: object });
  expect(new Set(records.map(({ part }) => part))).toEqual(new Set(["peaks", "kernels", "loop", "calls"]));
  expect(records.filter(({ part }) => part === "peaks")).toHaveLength(1);
  for (const record of records) expect(record).toMatchObject({ smoke: true, runtime: { node: process.version } });
});

describe.skipIf(!browserAvailable())("the page", () => {
  test("compares in Web Workers without cross-origin isolation, and its answers are right", {
    timeout: 180_000,
  }, async () => {
    const page = join(folder, "page");
    await build({ configFile: "bench/browser/page.vite.config.ts", logLevel: "warn", build: { outDir: page } });
    const parameters = { rows: "600", rounds: "1", threads: "2", only: "b64" };
    const { setting, results } = await runPage({ folder: page, parameters });
    expect(setting).toMatchObject({ isIsolated: false, threads: 2 });
    expect(results.map((result) => caseKey(result.case))).toEqual([
      "clustered-600x128-euclidean-b64-k10",
      "bits-600x1024-hamming-b64-k10",
    ]);
    for (const outcome of outcomesOf(results)) expect(outcome).toMatchObject({ status: "ok", cpuMs: null });
  });
});

function outcomesOf(results: readonly CaseResult[]): ContenderOutcome[] {
  return results.flatMap(({ contenders }) => [...contenders]);
}
