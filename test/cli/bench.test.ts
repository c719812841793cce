/** bench, run as a user would: what it tells is right, what it cannot measure is refused. No word about times. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkAnswers, truthOfFirst } from "../../src/cli/answer-check.ts";
import { queriesAt } from "../../src/cli/asked-queries.ts";
import { indexOfFile } from "../../src/cli/base-index.ts";
import { queriesFor, timeRounds } from "../../src/cli/bench-rounds.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { uniform } from "../../src/core/random.ts";
import { bytesOf, npyBytes } from "../io/files.ts";
import { gpuAvailable } from "../setup/backends.ts";
import { nearfield } from "./run.ts";

const [N, Q, D] = [3000, 40, 9];
const draw = uniform(23);
const rows = Float32Array.from({ length: N * D }, () => draw() - 0.5);
rows.copyWithin(D * 2000, 0, D); // the same row twice, in two of the oracle's batches
const asked = Float32Array.from({ length: Q * D }, () => draw() - 0.5);
asked.set(rows.subarray(0, D)); // and the first query

let folder = "";
let base = "";
let queries = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "nearfield-bench-"));
  base = join(folder, "base.npy");
  queries = join(folder, "queries.npy");
  await writeFile(base, npyBytes("<f4", [N, D], bytesOf(rows)));
  await writeFile(queries, npyBytes("<f4", [Q, D], bytesOf(asked)));
  await writeFile(join(folder, "wide.npy"), npyBytes("<f4", [1, D + 1], bytesOf(new Float32Array(D + 1))));
  await writeFile(join(folder, "none.npy"), npyBytes("<f4", [0, D], new Uint8Array(0)));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const bench = (...args: string[]): ReturnType<typeof nearfield> =>
  nearfield(["bench", "--base", base, "--queries", queries, "--rounds", "2", ...args]);

const SILENT: Terminal = {
  out: () => Promise.resolve(),
  tell: () => {},
  isWatched: false,
  interrupted: new AbortController().signal,
};

describe("bench", () => {
  it.each(["f32", "f16", "i8"])(
    "measures each batch size of %s rows, with answers that are right",
    async (precision) => {
      const ended = await bench(
        "--json",
        "--backend",
        "cpu",
        "--threads",
        "1",
        "--batch",
        "16,1",
        "--precision",
        precision,
      );
      expect(ended).toMatchObject({ code: 0, stderr: "" });
      const time = expect.any(Number) as unknown;
      const result = {
        medianMs: time,
        p95Ms: time,
        leastMs: time,
        queriesPerSecond: time,
        exact: true,
        survivorsPerQuery: time,
        rescansPerQuery: 0,
        degraded: [],
      };
      expect(JSON.parse(ended.stdout)).toMatchObject({
        base,
        rows: N,
        dimensions: D,
        metric: "cosine",
        precision,
        k: 10,
        rounds: 2,
        queries: { file: queries, count: Q, repeat: true },
        machine: { node: process.version },
        backend: { kind: "cpu", reason: 'backend "cpu" was asked for', threads: 1 },
        bytesPerRow: { cpu: time },
        start: { importMs: time, firstAnswerMs: time },
        checkedQueries: 8,
        results: [
          { batch: 16, searches: 2, ...result },
          { batch: 1, searches: 32, ...result },
        ],
      });
    },
  );

  it("tells people the same in a table", async () => {
    const { code, stdout, stderr } = await bench("--metric", "euclidean", "--backend", "cpu", "-k", "3");
    expect([code, stderr]).toEqual([0, ""]);
    const lines = stdout.trimEnd().split("\n");
    expect(lines[0]).toBe(`base     ${base}: 3,000 × 9, euclidean, f32`);
    expect(stdout).toMatch(/^backend {2}cpu: .*asked for$/m);
    expect(stdout).toMatch(/^answers {2}8 queries equal the float64 oracle on the rows as stored, before and after/m);
    const table = lines.slice(lines.indexOf("") + 2);
    expect(table[0]).toMatch(/^at once +median ms +p95 ms +least ms +queries\/s +exact +survivors +rescans +scan$/);
    expect(table.slice(1).map((line) => /^ *(\d+) .* yes /.exec(line)?.[1])).toEqual(["1", "16", "256"]);
    expect(new Set(table.map(({ length }) => length)).size).toBe(1);
  });

  it.each<[args: string[], code: number, message: RegExp]>([
    [["--queries", "wide.npy"], 2, /INVALID_DIMENSIONS.*9 elements and queries of 10/],
    [["--queries", "none.npy"], 2, /without a query/],
    [["--base", "none.npy"], 2, /without a row/],
    [["--base", "missing.npy"], 1, /NOT_FOUND/],
    [["--batch", "1,x"], 2, /whole numbers from 1 to 65536/],
    [["--batch", "0"], 2, /whole numbers from 1/],
    [["--batch", "16,16"], 2, /different/],
    [["--batch", "65537"], 2, /whole numbers from 1 to 65536/],
    [["--rounds", "0"], 2, /1 or more/],
    [["--threads", "1000000"], 2, /INVALID_OPTION.*threads/],
    [["--backend", "tpu"], 2, /Allowed choices/],
  ])("%j is refused with exit code %i", async (args, code, message) => {
    const ended = await bench(...args.map((arg) => (arg.endsWith(".npy") ? join(folder, arg) : arg)));
    expect(ended).toMatchObject({ code, stdout: "", stderr: expect.stringMatching(message) });
  });

  it.skipIf(!gpuAvailable() || process.env["NEARFIELD_SYSTEM_GPU"] === "1")(
    "refuses a software rasteriser",
    async () => {
      const ended = await bench("--backend", "gpu");
      expect(ended).toMatchObject({
        code: 1,
        stdout: "",
        stderr: expect.stringMatching(/BACKEND_UNAVAILABLE: got .*a software rasteriser/),
      });
    },
  );
});

describe("what bench is made of", () => {
  const questions = { count: Q, dimensions: D, vectors: asked };

  it("takes queries in a ring, and knows how many are needed", () => {
    expect(queriesAt(questions, 3, 2)).toEqual(asked.subarray(3 * D, 5 * D));
    const round = queriesAt(questions, 2 * Q - 1, Q + 2);
    expect(round).toEqual(Float32Array.of(...asked.subarray(-D), ...asked, ...asked.subarray(0, D)));
    expect([queriesFor([1], 7), queriesFor([1, 256], 7), queriesFor([3], 1)]).toEqual([128, 2048, 36]);
  });

  it("finds a wrong answer, whichever batch size gives it", async () => {
    const settings = { base, metric: "cosine", precision: "f32", dimensions: D, backend: "cpu", threads: 1 } as const;
    const index = await indexOfFile(settings, SILENT);
    try {
      const truth = await truthOfFirst(base, questions, { ...settings, k: 4, rowCount: N }, SILENT);
      expect(truth[0]?.slice(0, 2).map(({ row }) => row)).toEqual([0, 2000]);
      await checkAnswers(index, questions, truth, 4, [1, 3, 100]);
      const last = truth.at(-1) ?? [];
      const [first, second, ...rest] = last;
      if (first === undefined || second === undefined) throw new Error("no truth");
      for (const wrong of [
        [second, first, ...rest],
        [first, { ...second, distance: second.distance + 1e-7 }, ...rest],
        last.slice(0, 3),
        [...last, first],
      ]) {
        const told = checkAnswers(index, questions, [...truth.slice(0, -1), wrong], 4, [3]);
        await expect(told).rejects.toThrow(/^wrong answer, so no times are told: query 7 in a batch of 3 has /);
      }
    } finally {
      await index.close();
    }
  });

  it("gives each size its turns, none of the first round, and ends when it is asked to", async () => {
    const settings = { base, metric: "cosine", precision: "f32", dimensions: D, backend: "cpu", threads: 1 } as const;
    const index = await indexOfFile(settings, SILENT);
    try {
      const before = index.stats();
      const times = await timeRounds(index, questions, { k: 2, sizes: [5, 20], rounds: 3 }, SILENT);
      const after = index.stats();
      expect(times.map(({ batch, searches }) => [batch, searches])).toEqual([
        [5, 12],
        [20, 3],
      ]);
      expect([after.searches - before.searches, after.queries - before.queries]).toEqual([20, 16 * 5 + 4 * 20]);
      for (const { leastMs, medianMs, p95Ms } of times)
        expect([leastMs, medianMs, p95Ms]).toEqual([leastMs, medianMs, p95Ms].sort((a, b) => a - b));
      const interrupted = { ...SILENT, interrupted: AbortSignal.abort() };
      const ended = timeRounds(index, questions, { k: 2, sizes: [1], rounds: 1 }, interrupted);
      await expect(ended).rejects.toThrow("interrupted");
    } finally {
      await index.close();
    }
  });
});
