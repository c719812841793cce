/** eval, run as a pipeline would; its arithmetic on its own. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { recallOf } from "../../src/cli/recall.ts";
import { referenceDistance } from "../../src/core/reference.ts";
import { uniform } from "../../src/core/random.ts";
import { readNeighbours } from "../../src/io/open-source.ts";
import { bytesOf, npyBytes } from "../io/files.ts";
import { nearfield } from "./run.ts";

const [N, Q, D, K] = [400, 30, 8, 5];
let folder = "";
let base = "";
let queries = "";
let truth = "";
const draw = uniform(11);
const rows = Float32Array.from({ length: N * D }, () => draw() - 0.5);
rows.copyWithin(D, 0, D); // row 1 is row 0 again
const asked = Float32Array.from({ length: Q * D }, () => draw() - 0.5);
asked.set(rows.subarray(0, D)); // and the first query

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "nearfield-eval-"));
  base = join(folder, "base.npy");
  queries = join(folder, "queries.npy");
  truth = join(folder, "truth.ivecs");
  await writeFile(base, npyBytes("<f4", [N, D], bytesOf(rows)));
  await writeFile(queries, npyBytes("<f4", [Q, D], bytesOf(asked)));
  const made = await nearfield([
    "eval",
    "--base",
    base,
    "--queries",
    queries,
    "--make-truth",
    truth,
    "-k",
    String(K),
    "--json",
  ]);
  expect(made).toMatchObject({ code: 0, stderr: "" });
  expect(JSON.parse(made.stdout)).toEqual({ file: truth, queries: Q, k: K, rows: N });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const evaluate = (...args: string[]): ReturnType<typeof nearfield> =>
  nearfield(["eval", "--base", base, "--queries", queries, "--truth", truth, "-k", String(K), ...args]);

describe("eval", () => {
  it("makes the truth that brute force finds, as .ivecs and as .npy", async () => {
    const lists = await readNeighbours(truth);
    expect([lists.count, lists.width]).toEqual([Q, K]);
    for (let q = 0; q < Q; q++) {
      const query = asked.subarray(q * D, (q + 1) * D);
      const all = Array.from({ length: N }, (_, row) => ({
        row,
        distance: referenceDistance("cosine", query, rows.subarray(row * D, (row + 1) * D)),
      }));
      all.sort((a, b) => a.distance - b.distance || a.row - b.row);
      expect([...lists.rows.subarray(q * K, (q + 1) * K)]).toEqual(all.slice(0, K).map(({ row }) => row));
    }
    const npy = join(folder, "truth.npy");
    await nearfield(["eval", "--base", base, "--queries", queries, "--make-truth", npy, "-k", String(K)]);
    expect(await readNeighbours(npy)).toEqual(lists);
    const again = await nearfield(["eval", "--base", base, "--queries", queries, "--make-truth", npy]);
    expect(again).toMatchObject({ code: 2, stderr: expect.stringMatching(/there already/) });
  });

  it("finds all of it where rows are searched as they are, and most of it in int8", async () => {
    const exact = await evaluate("--json", "--min-recall", "1");
    expect(exact).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(exact.stdout)).toEqual({
      queries: Q,
      mean: 1,
      low: 1,
      high: 1,
      least: 1,
      k: K,
      precision: "f32",
      metric: "cosine",
    });
    const { mean }: { mean: number } = JSON.parse((await evaluate("--json", "--precision", "i8")).stdout);
    expect(mean).toBeGreaterThan(0.9);
    expect((await evaluate()).stdout).toMatch(
      /^recall@5 {2}1\.0000 {2}\(95 % interval 1\.0000 … 1\.0000\), least of a query 1\.0000, 30 queries\n$/,
    );
  });

  it("takes rows at the same distance for the same, and exits with 1 below --min-recall", async () => {
    const lists = await readNeighbours(truth);
    const tied = Int32Array.from(lists.rows, (row) => (row === 0 ? 1 : row === 1 ? 0 : row));
    const write = async (name: string, values: Int32Array): Promise<string> => {
      const path = join(folder, name);
      await writeFile(path, npyBytes("<i4", [Q, K], bytesOf(values)));
      return path;
    };
    const path = await write("tied.npy", tied);
    expect(await evaluate("--truth", path, "--min-recall", "1")).toMatchObject({ code: 0 });
    // Rows that differ by less than int8 tells apart.
    const close = join(folder, "close.npy");
    const alike = Float32Array.from({ length: N * D }, (_, i) => 1 + (i % D) + (draw() - 0.5) * 1e-3);
    await writeFile(close, npyBytes("<f4", [N, D], bytesOf(alike)));
    const ownTruth = join(folder, "own.ivecs");
    const own = ["eval", "--base", close, "--queries", close, "-k", String(K), "--metric", "euclidean"];
    expect(await nearfield([...own, "--make-truth", ownTruth])).toMatchObject({ code: 0 });
    const failed = await nearfield([...own, "--truth", ownTruth, "--precision", "i8", "--min-recall", "0.9"]);
    expect(failed).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^recall@5/),
      stderr: expect.stringMatching(/^nearfield: recall@5 is 0\.\d+, below 0\.9\n$/),
    });
  });

  it("refuses a truth that is none: by such a gate anything would pass", async () => {
    const lists = await readNeighbours(truth);
    const refused = async (rowOf: (row: number, i: number) => number, message: RegExp): Promise<void> => {
      const path = join(folder, "none.npy");
      await writeFile(path, npyBytes("<i4", [Q, K], bytesOf(Int32Array.from(lists.rows, rowOf))));
      const ended = await evaluate("--truth", path, "--min-recall", "0.95");
      expect(ended).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(message) });
    };
    await refused((row) => (row + 100) % N, /neighbour 5 of query \d+ is at distance .* check --metric/);
    await refused((row, i) => (i < 20 * K ? row : (row * 7 + 3) % N), /neighbour 5 of query \d+/);
    await refused(() => -1, /no row among the first 5 neighbours of query 0/);
    await refused((_row, i) => lists.rows[i - (i % K)] ?? 0, /the same row twice/);
    await refused((row, i) => (i === 7 ? N : row), /row 400 among the first 5 neighbours of query 1;.* from 0 to 399/);
    const other = await evaluate("--metric", "euclidean");
    expect(other).toMatchObject({ code: 2, stderr: expect.stringMatching(/by euclidean distance/) });
    // A few lists that err, as float32 does among near duplicates, are no other truth.
    const few = join(folder, "few.npy");
    const erring = Int32Array.from(lists.rows, (row, i) => (i < 2 * K ? (row + 100) % N : row));
    await writeFile(few, npyBytes("<i4", [Q, K], bytesOf(erring)));
    const told = await evaluate("--truth", few);
    expect(told).toMatchObject({ code: 0, stdout: expect.stringMatching(/^recall@5/) });
    expect(told.stderr).toMatch(
      /^nearfield: of [12] queries the truth is not the nearest rows.*recall may look better/,
    );
    const both = ["--make-truth", join(folder, "new.npy"), "--min-recall", "0.5"];
    const ended = await nearfield(["eval", "--base", base, "--queries", queries, ...both]);
    expect(ended).toMatchObject({ code: 2, stderr: expect.stringMatching(/--min-recall with --make-truth/) });
  });

  it.each<[args: string[], code: number, message: RegExp]>([
    [["-k", "6"], 2, /INVALID_K.*at most 5/],
    [["--min-recall", "2"], 2, /from 0 to 1/],
    [["--metric", "hamming"], 2, /Allowed choices/],
    [["--make-truth", "x.npy"], 2, /both --truth and --make-truth/],
    [["--queries", "BASE"], 2, /30 lists of neighbours.*400 queries/],
    [["--truth", "BASE"], 1, /UNSUPPORTED_FORMAT.*row numbers/],
  ])("%j is refused with exit code %i", async (args, code, message) => {
    const ended = await evaluate(...args.map((arg) => (arg === "BASE" ? base : arg)));
    expect(ended).toMatchObject({ code, stdout: "", stderr: expect.stringMatching(message) });
  });
});

describe("recall", () => {
  it("is a mean with its interval and the worst query", () => {
    expect(recallOf([1, 1, 1])).toEqual({ queries: 3, mean: 1, low: 1, high: 1, least: 1 });
    const { mean, low, high, least } = recallOf([0.5, 1, 1, 0.5]);
    expect([mean, least]).toEqual([0.75, 0.5]);
    // sd = √(4 · 0.0625 / 3), of the mean a half of it.
    const error = 1.96 * (Math.sqrt(0.25 / 3) / 2);
    expect(low).toBeCloseTo(0.75 - error, 12);
    expect(high).toBeCloseTo(Math.min(1, 0.75 + error), 12);
    expect(recallOf([0.5])).toMatchObject({ low: 0, high: 1 });
    expect(recallOf([])).toMatchObject({ queries: 0, mean: 0 });
  });
});
