/** `npm run bench` as a program, its filtered cases against the oracle. No speed is asserted anywhere. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "vite";
import { afterAll, expect, test } from "vitest";
import { eligibleRows, isEligible } from "../../bench/eligible.ts";
import { Oracle } from "../../bench/oracle.ts";
import { madeUpVectors } from "../../bench/vectors.ts";

const folder = mkdtempSync(join(tmpdir(), "nearfield-bench-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a share of the rows is that share, spread out, and the same for the filter and for the oracle", () => {
  const rows = 10_000;
  for (const share of [0.01, 0.1, 1]) {
    const set = eligibleRows(rows, share);
    expect(Math.abs(set.count - rows * share)).toBeLessThanOrEqual(rows * 0.002);
    for (let row = 0; row < rows; row++) expect(set.has(row)).toBe(isEligible(row, share));
    for (let first = 0; first < rows; first += 1000) {
      const inRun = Array.from({ length: 1000 }, (_, i) => first + i).filter((row) => set.has(row)).length;
      expect(inRun).toBeGreaterThanOrEqual(Math.floor(1000 * share * 0.5));
    }
  }
  const vectors = madeUpVectors({ source: "clustered", rows: 500, dimensions: 16 });
  if (vectors === undefined) throw new Error("clustered vectors are made up");
  const oracle = new Oracle(vectors, "euclidean");
  const all = oracle.nearest(3, "i8", 500).filter(({ row }) => isEligible(row, 0.1));
  expect(oracle.nearest(3, "i8", 500, 0.1)).toEqual(all);
  expect(all.length).toBeGreaterThan(30);
});

test("every part runs, with right answers, and records say that it was a smoke run", { timeout: 240_000 }, async () => {
  // Two folders below the package, like the real one: there `nearfield` resolves to this package.
  await build({
    configFile: "bench/engine/vite.config.ts",
    logLevel: "warn",
    build: { outDir: join(process.cwd(), "build", "bench-engine-test") },
  });
  const out = join(folder, "engine.jsonl");
  const program = join("build", "bench-engine-test", "main.js");
  const args = ["--smoke", "--rounds", "1", "--only", "x384-cosine-b256", "--out", out];
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...args]);
  expect(stdout).not.toMatch(/wrong|failed/);
  const records = readFileSync(out, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { part: string; contenders?: { status: string }[] });
  expect(new Set(records.map(({ part }) => part))).toEqual(new Set(["search", "ingest", "memory", "cold", "micro"]));
  const searches = records.filter(({ part }) => part === "search");
  expect(searches).toHaveLength(2); // k of 10 and of 100
  for (const { contenders } of searches) {
    expect(contenders).toHaveLength(6);
    for (const contender of contenders ?? []) expect(contender.status).toBe("ok");
  }
  for (const record of records) expect(record).toMatchObject({ smoke: true, runtime: { node: process.version } });
});

test.each([
  [["--part", "cpu"], /--part must be one of search, ingest, memory, cold, micro, got cpu/],
  [["--only", "nothing"], /no case has nothing in its name/],
  [["--rounds", "0"], /--rounds must be a whole number from 1, got 0/],
  [["--backend", "tpu"], /--backend must be cpu or gpu, got tpu/],
])("%j is refused", async (args, message) => {
  const program = join("build", "bench-engine-test", "main.js");
  await expect(promisify(execFile)(process.execPath, [program, ...args])).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(message),
  });
});
