/** score, run as a batch job would: right, resumable, bounded. */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { uniform } from "../../src/core/random.ts";
import { reference } from "../../src/core/reference.ts";
import { readNeighbours } from "../../src/io/open-source.ts";
import { bytesOf, npyBytes, readAll } from "../io/files.ts";
import { nearfield } from "./run.ts";

const [N, Q, D] = [300, 2500, 6];
const draw = uniform(5);
const rows = Float32Array.from({ length: N * D }, () => draw() - 0.5);
const asked = Float32Array.from({ length: Q * D }, () => draw() - 0.5);

let folder = "";
let base = "";
let queries = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "nearfield-score-"));
  base = join(folder, "base.npy");
  queries = join(folder, "queries.npy");
  await writeFile(base, npyBytes("<f4", [N, D], bytesOf(rows)));
  await writeFile(queries, npyBytes("<f4", [Q, D], bytesOf(asked)));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const score = (...args: string[]): ReturnType<typeof nearfield> =>
  nearfield(["score", "--base", base, "--queries", queries, "-k", "3", ...args]);

/** Rows and distances that brute force finds. */
function truthOf(query: Float32Array, k: number): { row: number; distance: number }[] {
  return reference({ metric: "cosine", rows, dimensions: D, query, k });
}

describe("score", () => {
  it("writes the nearest rows of every query, with their distances", async () => {
    const out = join(folder, "near.npy");
    const scored = await score("--out", out, "--json");
    expect(scored).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(scored.stdout)).toMatchObject({
      file: out,
      queries: Q,
      k: 3,
      queriesPerSecond: expect.any(Number),
      read: expect.any(Number),
    });
    const found = await readNeighbours(out);
    const distances = (await readAll(join(folder, "near.distances.npy"))).vectors;
    expect([found.count, found.width, distances.length]).toEqual([Q, 3, Q * 3]);
    for (const q of [0, 1, 1023, 1024, 2047, 2048, Q - 1]) {
      const truth = truthOf(asked.subarray(q * D, (q + 1) * D), 3);
      expect([...found.rows.subarray(q * 3, q * 3 + 3)]).toEqual(truth.map(({ row }) => row));
      expect(distances.slice(q * 3, q * 3 + 3)).toEqual(truth.map(({ distance }) => distance));
    }
    expect((await readdir(folder)).sort()).toEqual(["base.npy", "near.distances.npy", "near.npy", "queries.npy"]);
    expect(await score("--out", out)).toMatchObject({ code: 2, stderr: expect.stringMatching(/there already/) });
  });

  it("writes Parquet: a row a query, in row groups, shorter lists where fewer match", async () => {
    const many = join(folder, "many.npy");
    const count = 17_000;
    const vectors = Float32Array.from({ length: count * D }, () => draw() - 0.5);
    await writeFile(many, npyBytes("<f4", [count, D], bytesOf(vectors)));
    const out = join(folder, "near.parquet");
    expect(await score("--queries", many, "--out", out, "--max-distance", "0.05")).toMatchObject({
      code: 0,
      stderr: "",
    });
    const file = await asyncBufferFromFile(out);
    const { schema, row_groups: groups } = await parquetMetadataAsync(file);
    expect(groups.map((group) => Number(group.num_rows))).toEqual([16_384, count - 16_384]);
    expect(schema.map(({ name, type }) => `${name} ${type ?? ""}`)).toEqual([
      "root ",
      "query INT64",
      ...["rows ", "list ", "element INT32"],
      ...["distances ", "list ", "element FLOAT"],
    ]);
    const answers = await parquetReadObjects({ file });
    expect(answers).toHaveLength(count);
    const lengths = new Set<number>();
    for (const q of [...Array(200).keys(), 1023, 1024, 16_383, 16_384, count - 1]) {
      const truth = truthOf(vectors.subarray(q * D, (q + 1) * D), 3).filter(
        ({ distance }) => distance <= Math.fround(0.05),
      );
      lengths.add(truth.length);
      expect(answers[q]).toEqual({
        query: BigInt(q),
        rows: truth.map(({ row }) => row),
        distances: truth.map(({ distance }) => distance),
      });
    }
    expect(lengths).toEqual(new Set([0, 1, 2, 3]));
    expect((await readdir(folder)).filter((name) => name.startsWith("near"))).toEqual(["near.parquet"]);
  });

  it("builds the neighbour graph of a file, without a row itself, and fills up with none", async () => {
    const out = join(folder, "graph.ivecs");
    const scored = await nearfield([
      "score",
      "--base",
      base,
      "--queries",
      base,
      "--out",
      out,
      "-k",
      String(N + 2),
      "--exclude-self",
    ]);
    expect(scored).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^300 queries → .*graph\.ivecs: [\d,]+ queries\/s; waited/),
    });
    const { rows: graph, width } = await readNeighbours(out);
    expect(width).toBe(N + 2);
    for (let q = 0; q < N; q++) {
      const list = [...graph.subarray(q * width, (q + 1) * width)];
      expect(list).not.toContain(q);
      expect(new Set(list).size).toBe(N); // all others, and "none"
      expect(list.slice(N - 1)).toEqual([0xffffffff, 0xffffffff, 0xffffffff]);
    }
  });

  it("scores a collection with a filter, and names its records", async () => {
    const lines = Array.from({ length: 40 }, (_, i) =>
      JSON.stringify({ id: `r${i}`, vector: [...rows.subarray(i * D, (i + 1) * D)], even: i % 2 === 0 }),
    );
    await writeFile(join(folder, "records.jsonl"), lines.join("\n"));
    const collection = join(folder, "records.nf");
    await nearfield(["import", join(folder, "records.jsonl"), "--into", collection]);
    const out = join(folder, "near.jsonl");
    const args = ["score", "--base", collection, "--queries", collection, "--out", out, "-k", "3", "--exclude-self"];
    expect(await nearfield([...args, "--filter", '{"even":true}', "--max-distance", "0.5"])).toMatchObject({
      code: 0,
      stderr: "",
    });
    const answers = (await readFile(out, "utf8"))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { query: string; matches: { id: string; distance: number }[] });
    expect(answers.map(({ query }) => query)).toEqual(Array.from({ length: 40 }, (_, i) => `r${i}`));
    for (const { query, matches } of answers) {
      const own = Number(query.slice(1));
      const truth = reference({
        metric: "cosine",
        rows: rows.subarray(0, 40 * D),
        dimensions: D,
        query: rows.subarray(own * D, (own + 1) * D),
        k: 40,
      })
        .filter(({ row, distance }) => row !== own && row % 2 === 0 && distance <= 0.5)
        .slice(0, 3);
      expect(matches).toEqual(truth.map(({ row, distance }) => ({ id: `r${row}`, distance })));
    }

    const table = join(folder, "near.parquet");
    const again = args.map((arg) => (arg === out ? table : arg));
    await nearfield([...again, "--filter", '{"even":true}', "--max-distance", "0.5"]);
    const named = await parquetReadObjects({ file: await asyncBufferFromFile(table) });
    expect(named).toEqual(
      answers.map(({ query, matches }) => ({
        query,
        ids: matches.map(({ id }) => id),
        distances: matches.map(({ distance }) => distance),
      })),
    );
  });

  it("says when answers of an earlier run are of no use, and why", async () => {
    const out = join(folder, "near.ivecs");
    await mkdir(`${out}.answers`);
    const undurable = await score("--out", out);
    expect(undurable).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/begun anew, since no answer .* durable/),
    });
    await rm(out);
    await mkdir(`${out}.answers`);
    await writeFile(join(`${out}.answers`, "checkpoint.json"), JSON.stringify({ facts: "[]", done: 7 }));
    const other = await score("--out", out);
    expect(other.stderr).toMatch(/near\.ivecs\.answers; begun anew, since 7 answers there are of .* other options/);
    expect((await readNeighbours(out)).count).toBe(Q);
  });

  it("refuses a metric for a collection, which has its own, and says where nothing can be written", async () => {
    const collection = join(folder, "base.nf");
    await nearfield(["import", base, "--into", collection]);
    for (const option of [
      ["--metric", "dot"],
      ["--precision", "i8"],
    ]) {
      const args = ["score", "--base", collection, "--queries", queries, "--out", join(folder, "o.npy"), ...option];
      const ended = await nearfield(args);
      expect(ended).toMatchObject({ code: 2, stdout: "" });
      expect(ended.stderr).toMatch(new RegExp(`INVALID_OPTION: got ${option[0]} with the collection`));
    }
    const within = await score("--out", join(base, "o.npy"));
    expect(within).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/NOT_FOUND.*ENOTDIR/) });
    const bad = Float32Array.from(rows);
    bad[7 * D] = Number.NaN;
    await writeFile(base, npyBytes("<f4", [N, D], bytesOf(bad)));
    const nan = await score("--out", join(folder, "o.npy"));
    expect(nan).toMatchObject({ code: 1, stderr: expect.stringMatching(/row 7 of .*base\.npy, counted from 0/) });
    expect(nan.stderr).not.toContain("createIndex");
  });

  it("names a query by its id where any has one, else by its number", async () => {
    const ask = async (lines: readonly unknown[], out: string): Promise<unknown[]> => {
      const asking = join(folder, "asked.jsonl");
      await writeFile(asking, lines.map((line) => JSON.stringify(line)).join("\n"));
      expect(await score("--queries", asking, "--out", out)).toMatchObject({ code: 0, stderr: "" });
      return (await parquetReadObjects({ file: await asyncBufferFromFile(out) })).map(({ query }): unknown => query);
    };
    const vector = [...asked.subarray(0, D)];
    const late = [...Array.from({ length: 1500 }, () => ({ vector })), { id: "last", vector }];
    const names = await ask(late, join(folder, "late.parquet"));
    expect([names.length, names[0], names[1499], names[1500]]).toEqual([1501, "0", "1499", "last"]);
    expect(await ask([{ vector }, { vector }], join(folder, "nameless.parquet"))).toEqual([0n, 1n]);
  });

  it.each([
    ["SIGKILL", "ivecs"],
    ["SIGINT", "parquet"],
  ] as const)(
    "goes on after %s, with the same bytes of .%s in the end",
    async (signal, extension) => {
      const many = join(folder, "many.npy");
      const count = 400_000;
      await writeFile(
        many,
        npyBytes("<f4", [count, D], bytesOf(Float32Array.from({ length: count * D }, () => draw() - 0.5))),
      );
      const whole = join(folder, `whole.${extension}`);
      const args = (out: string): string[] => [
        "score",
        "--base",
        base,
        "--queries",
        many,
        "-k",
        "3",
        "--out",
        out,
        "--checkpoint",
        "1",
      ];
      expect(await nearfield(args(whole))).toMatchObject({ code: 0 });
      const out = join(folder, `cut.${extension}`);
      const child = spawn(process.execPath, [join(process.cwd(), "dist", "cli.js"), ...args(out)], {
        stdio: ["ignore", "ignore", "pipe"],
      });
      let told = "";
      child.stderr.on("data", (chunk: Buffer) => (told += chunk.toString()));
      const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
      // Once answers are there: after a kill those since the last checkpoint are found again.
      const bytes = (): Promise<number> =>
        readFile(join(`${out}.answers`, "rows.u32")).then(
          ({ length }) => length,
          () => 0,
        );
      while ((await bytes()) < 20_000 * 12 && child.exitCode === null)
        await new Promise((resolve) => setImmediate(resolve));
      child.kill(signal);
      const code = await ended;
      if (signal === "SIGINT") {
        expect(code).toBe(1);
        expect(told).toMatch(/interrupted after \d+ queries; the same command goes on from there/);
      }
      const rest = await nearfield(args(out));
      expect(rest.code).toBe(0);
      if (signal === "SIGINT") expect(rest.stderr).toMatch(/going on at query \d+/);
      expect((await readFile(out)).equals(await readFile(whole))).toBe(true);
      expect(await readdir(folder)).not.toContain(`cut.${extension}.answers`);
    },
    120_000,
  );

  it.each<[args: string[], message: RegExp]>([
    [["--out", "x.csv"], /INVALID_OPTION.*\.npy, \.ivecs, \.jsonl, \.parquet/],
    [["--out", "x.npy", "--exclude-self"], /the same file or collection/],
    [["--out", "x.npy", "--filter", "{}"], /a collection as the base/],
    [["--out", "x.npy", "--checkpoint", "0"], /1 or more/],
  ])("%j is refused with exit code 2", async (args, message) => {
    expect(await score(...args)).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(message) });
  });
});
