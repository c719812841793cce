/** import, export and search, run as a user would. */
import { spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openCollection } from "nearfield";
import { readAll } from "../io/files.ts";
import { nearfield } from "./run.ts";

let folder = "";
let collection = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "nearfield-files-"));
  collection = join(folder, "words.nf");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const RECORDS = [
  { id: "king", vector: [1, 0, 0], kind: "royal", year: 1500 },
  { id: "queen", vector: [0.9, 0.1, 0], kind: "royal" },
  { id: "apple", vector: [0, 0, 1], kind: "fruit", tags: ["red"] },
  { id: "pear", vector: [0, 0.1, 1], kind: "fruit" },
];

async function fileOf(name: string, lines: readonly unknown[]): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join(""));
  return path;
}

describe("import", () => {
  it("makes a collection of a file, which search and export then read", async () => {
    const file = await fileOf("words.jsonl", RECORDS);
    const imported = await nearfield(["import", file, "--into", collection, "--metric", "euclidean", "--json"]);
    expect(imported).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(imported.stdout)).toMatchObject({ records: 4, written: 4, rejected: 0, version: 1 });
    await expect(stat(`${collection}.import.json`)).rejects.toThrow("ENOENT");

    const like = await nearfield(["search", collection, "--like", "king", "-k", "2", "--json"]);
    const { query, matches }: { query: string; matches: { id: string }[] } = JSON.parse(like.stdout);
    expect([query, matches.map(({ id }) => id)]).toEqual(["king", ["queen", "apple"]]);
    const text = await nearfield(["search", collection, "--like", "king", "--filter", '{"kind":"fruit"}', "-k", "1"]);
    expect(text).toEqual({
      code: 0,
      stderr: "",
      stdout: 'near king\napple  1.414214  {"kind":"fruit","tags":["red"]}\n',
    });

    const exported = await nearfield(["export", collection, "--to", join(folder, "out.parquet"), "--json"]);
    expect(exported).toMatchObject({ code: 0, stderr: "" });
    const read = await readAll(join(folder, "out.parquet"));
    expect(read.ids).toEqual(RECORDS.map(({ id }) => id));
    expect(read.vectors).toEqual(RECORDS.flatMap(({ vector }) => vector.map(Math.fround)));
    expect(read.metadata).toEqual(RECORDS.map(({ id: _id, vector: _vector, ...rest }) => rest));
  });

  it("rejects a bad row with its number, or skips it and tells of it", async () => {
    const file = await fileOf("bad.jsonl", [RECORDS[0], "nonsense", RECORDS[2], { id: "zero", vector: [0, 0, 0] }]);
    const refused = await nearfield(["import", file, "--into", collection]);
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toMatch(
      /INVALID_VECTOR: got row 1 of .*bad\.jsonl, counted from 0: the line is no JSON.*--on-invalid skip/,
    );
    const skipped = await nearfield(["import", file, "--into", collection, "--on-invalid", "skip", "--json"]);
    expect(JSON.parse(skipped.stdout)).toMatchObject({ written: 2, rejected: 2, records: 2 });
    const told = (await readFile(`${collection}.rejects.jsonl`, "utf8")).trimEnd().split("\n");
    expect(told.map((line): unknown => JSON.parse(line))).toEqual([
      { file, row: 1, reason: expect.stringMatching(/no JSON/) },
      { file, row: 3, id: "zero", reason: expect.stringMatching(/zero/) },
    ]);
    // What the collection refuses is told by its row as well, in the command line's words, and exits as any bad row does.
    const later = await fileOf("later.jsonl", ["nonsense", RECORDS[0], { id: "n", vector: [1, 0, 0], deep: { a: 1 } }]);
    const skipping = ["import", later, "--into", join(folder, "later.nf")];
    expect(await nearfield([...skipping, "--on-invalid", "skip"])).toMatchObject({ code: 0 });
    expect(JSON.parse((await readFile(join(folder, "later.nf.rejects.jsonl"), "utf8")).split("\n")[1] ?? "")).toEqual({
      file: later,
      row: 2,
      id: "n",
      reason: expect.stringMatching(/metadata\.deep is a Object/),
    });
    const deep = await fileOf("deep.jsonl", [RECORDS[0], { id: "n", vector: [1, 0, 0], deep: { a: 1 } }]);
    const alone = await nearfield(["import", deep, "--into", join(folder, "deep.nf")]);
    expect(alone).toMatchObject({ code: 1, stdout: "" });
    expect(alone.stderr).toMatch(/INVALID_VECTOR: got row 1 of .*counted from 0 \("n"\): .*deep is.*--on-invalid skip/);
    expect(alone.stderr).not.toContain("onInvalid");
  });

  it("leaves nothing of a collection that it made when nothing could be written, and one that was there alone", async () => {
    const zero = await fileOf("zero.jsonl", [RECORDS[0], { id: "zero", vector: [0, 0, 0] }]);
    expect(await nearfield(["import", zero, "--into", collection, "--metric", "cosine"])).toMatchObject({ code: 1 });
    expect(await readdir(folder)).toEqual(["zero.jsonl"]);
    // The corrected command makes it as if nothing had been.
    const right = await nearfield(["import", zero, "--into", collection, "--metric", "euclidean", "--json"]);
    expect(JSON.parse(right.stdout)).toMatchObject({ records: 2, version: 1 });
    const made = await openCollection(join(folder, "made.nf"), { dimensions: 3, metric: "cosine", backend: "cpu" });
    await made.close();
    expect(await nearfield(["import", zero, "--into", join(folder, "made.nf")])).toMatchObject({ code: 1 });
    expect(await readdir(folder)).toContain("made.nf");
    // What an earlier group wrote stays.
    const late = await fileOf("late.jsonl", [RECORDS[0], { id: "zero", vector: [0, 0, 0] }]);
    const grouped = ["import", late, "--into", join(folder, "late.nf"), "--group", "1", "--metric", "cosine"];
    expect(await nearfield(grouped)).toMatchObject({ code: 1 });
    const kept = await openCollection(join(folder, "late.nf"), { readOnly: true, backend: "cpu" });
    expect(kept.size).toBe(1);
    await kept.close();
  });

  it("reads ids and metadata that export put beside a matrix", async () => {
    const records = [{ ...RECORDS[0], rank: null, name: "" }, ...RECORDS.slice(1), { id: "bare", vector: [0, 1, 0] }];
    await nearfield(["import", await fileOf("words.jsonl", records), "--into", collection]);
    const to = join(folder, "out.fvecs");
    await nearfield(["export", collection, "--to", to]);
    const into = join(folder, "again.nf");
    const again = await nearfield(["import", to, "--into", into, "--group", "2", "--json"]);
    expect(again).toMatchObject({ code: 0, stderr: `nearfield: ids and metadata come from ${to}.ids.jsonl\n` });
    const [before, after] = [
      await openCollection(collection, { readOnly: true, backend: "cpu" }),
      await openCollection(into, { readOnly: true, backend: "cpu" }),
    ];
    const ids = records.map(({ id }) => String(id));
    expect(await after.get(ids)).toEqual(await before.get(ids));
    expect((await after.get(["king"]))[0]?.metadata).toEqual({ kind: "royal", year: 1500, rank: null, name: "" });
    await Promise.all([before.close(), after.close()]);

    await writeFile(`${to}.ids.jsonl`, `${JSON.stringify({ id: "alone" })}\n`);
    const short = await nearfield(["import", to, "--into", join(folder, "short.nf")]);
    expect(short).toMatchObject({ code: 1, stdout: "" });
    expect(short.stderr).toMatch(/CORRUPT: got .*ids\.jsonl of 1 lines; expected .* the 5 rows of .*move it away/);
    await rm(`${to}.ids.jsonl`);
    expect(await nearfield(["import", to, "--into", join(folder, "short.nf")])).toMatchObject({ code: 0, stderr: "" });
  });

  it("says what took the place of what, and begins anew only with a word", async () => {
    const file = await fileOf("words.jsonl", [...RECORDS, { ...RECORDS[0], year: 1501 }]);
    const twice = await nearfield(["import", file, "--into", `${collection}/`, "--json"]);
    expect(JSON.parse(twice.stdout)).toMatchObject({ written: 5, replaced: 1, records: 4, collection });
    const again = await nearfield(["import", file, "--into", collection]);
    expect(again.stdout).toMatch(/^5 records written, 5 of them in place of others with the same id, 0 rejected;/);
    await writeFile(`${collection}.import.json`, JSON.stringify({ facts: "others", file: 0, row: 3, version: 2 }));
    const anew = await nearfield(["import", file, "--into", collection]);
    expect(anew).toMatchObject({ code: 0, stderr: expect.stringMatching(/was not finished, .* this one begins anew/) });
    expect((await readdir(folder)).sort()).toEqual(["words.jsonl", "words.nf"]);
  });

  it("goes on after a bad row that is skipped now, and not in a collection that is another", async () => {
    const file = await fileOf("bad.jsonl", [RECORDS[0], "nonsense", ...RECORDS.slice(1), "more", "still more"]);
    const args = ["import", file, "--into", collection, "--group", "1"];
    const checkpoint = (): Promise<string> => readFile(`${collection}.import.json`, "utf8");
    const stop = async (): Promise<void> => {
      const stopped = await nearfield(args);
      expect(stopped).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/1 records were written before, and stay/),
      });
      expect(JSON.parse(await checkpoint())).toMatchObject({ row: 1, written: 1, version: 1, size: 1 });
    };
    const skip = (): ReturnType<typeof nearfield> => nearfield([...args, "--on-invalid", "skip", "--json"]);
    const all = { written: 4, rejected: 3, replaced: 0, records: 4 };
    await stop();
    const rest = await skip();
    expect(rest.stderr).toMatch(/^nearfield: going on with .*bad\.jsonl at row 1\n$/);
    expect(JSON.parse(rest.stdout)).toMatchObject(all);
    expect((await readFile(`${collection}.rejects.jsonl`, "utf8")).trimEnd().split("\n")).toHaveLength(3);

    // Deleted, restored or made by another command meanwhile: nothing of it is taken to be there.
    for (const change of [
      async () => rm(collection, { recursive: true }),
      async () => void (await nearfield(["restore", collection, "0"])),
      async () => {
        await rm(collection, { recursive: true });
        await nearfield(["import", await fileOf("x.jsonl", RECORDS.slice(2)), "--into", collection]);
      },
    ]) {
      await rm(collection, { recursive: true });
      await stop();
      const kept = await checkpoint();
      await change();
      await writeFile(`${collection}.import.json`, kept);
      const anew = await skip();
      expect(anew).toMatchObject({ code: 0, stderr: expect.stringMatching(/this one begins anew/) });
      expect(JSON.parse(anew.stdout)).toMatchObject({ written: 4, rejected: 3, records: 4 });
    }

    // A kill after a group was written and before that was kept: its rejects are not told twice.
    await rm(collection, { recursive: true });
    const end = await fileOf("end.jsonl", [RECORDS[0], "nonsense", RECORDS[1]]);
    const whole = ["import", end, "--into", collection, "--group", "3", "--on-invalid", "skip", "--json"];
    await nearfield(whole);
    const { size, mtimeMs } = await stat(end);
    const facts = JSON.stringify([[[end, [size, mtimeMs], null]], collection, null, null]);
    const [{ atMs } = { atMs: 0 }]: { atMs: number }[] = JSON.parse(
      (await nearfield(["versions", collection, "--json"])).stdout,
    );
    const begun = {
      file: 0,
      row: 0,
      written: 0,
      rejected: 0,
      version: 0,
      atMs,
      size: 0,
      sizeBefore: 0,
      rejectsBytes: 0,
    };
    await writeFile(`${collection}.import.json`, JSON.stringify({ facts, ...begun }));
    const again = await nearfield(whole);
    expect(again).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(again.stdout)).toMatchObject({ written: 2, rejected: 1, replaced: 0, records: 2 });
    expect((await readFile(`${collection}.rejects.jsonl`, "utf8")).trimEnd().split("\n")).toHaveLength(1);
  });

  it("takes files without rows, and looks for all files before the first", async () => {
    const empty = await fileOf("empty.jsonl", []);
    const words = await fileOf("words.jsonl", RECORDS);
    const alone = await nearfield(["import", empty, "--into", collection]);
    expect(alone).toMatchObject({ code: 1, stderr: expect.stringMatching(/empty\.jsonl: no row/) });
    const missing = await nearfield(["import", words, join(folder, "none.jsonl"), "--into", collection]);
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringMatching(/NOT_FOUND.*none\.jsonl/) });
    const nowhere = ["--on-invalid", "skip", "--rejects", join(folder, "none", "r.jsonl")];
    expect(await nearfield(["import", words, "--into", collection, ...nowhere])).toMatchObject({ code: 1 });
    expect((await readdir(folder)).sort()).toEqual(["empty.jsonl", "words.jsonl"]);
    for (const files of [
      [words, empty],
      [empty, words],
    ]) {
      await rm(collection, { recursive: true, force: true });
      const { stdout } = await nearfield(["import", ...files, "--into", collection, "--json"]);
      expect(JSON.parse(stdout)).toMatchObject({ records: 4 });
    }
    for (const extension of ["parquet", "arrow", "csv", "jsonl", "npy"]) {
      const to = join(folder, `none.${extension}`);
      const filter = ["--filter", '{"kind":"nothing"}'];
      expect(await nearfield(["export", collection, "--to", to, ...filter])).toMatchObject({ code: 0 });
      const back = await nearfield(["import", to, "--into", collection, "--json"]);
      expect(back).toMatchObject({ code: 0 });
      expect(JSON.parse(back.stdout)).toMatchObject({ written: 0, records: 4 });
    }
    const searched = await nearfield(["search", collection, "--vector-file", empty]);
    expect(searched).toMatchObject({ code: 1, stderr: expect.stringMatching(/UNSUPPORTED_FORMAT.*no row/) });
    const late = await fileOf("late.jsonl", [{ id: "zero", vector: [0, 0, 0] }]);
    const half = await nearfield(["import", words, late, "--into", join(folder, "half.nf")]);
    expect(half).toMatchObject({ code: 1, stderr: expect.stringMatching(/^nearfield: 4 records were written before/) });
  });

  it("goes on where a kill cut it off, and ends with the same records", async () => {
    const count = 3000;
    const file = await fileOf(
      "many.jsonl",
      Array.from({ length: count }, (_, i) => ({ id: `r${i}`, vector: [1, i, i * i], n: i })),
    );
    const args = ["import", file, "--into", collection, "--group", "100"];
    const child = spawn(process.execPath, [join(process.cwd(), "dist", "cli.js"), ...args], { stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const checkpoint = async (): Promise<number> => {
      try {
        return (JSON.parse(await readFile(`${collection}.import.json`, "utf8")) as { row: number }).row;
      } catch {
        return 0;
      }
    };
    while ((await checkpoint()) < 300 && child.exitCode === null) await new Promise((resolve) => setImmediate(resolve));
    child.kill("SIGKILL");
    await ended;
    const durable = await checkpoint();
    expect(durable).toBeGreaterThanOrEqual(300);
    expect(durable).toBeLessThan(count);
    const rest = await nearfield([...args, "--json"]);
    expect(rest).toMatchObject({ code: 0, stderr: expect.stringMatching(/going on with .*many\.jsonl at row \d+/) });
    expect(JSON.parse(rest.stdout)).toMatchObject({ records: count, written: count });
    const opened = await openCollection(collection, { readOnly: true, backend: "cpu" });
    const [last] = await opened.get([`r${count - 1}`]);
    expect(last?.metadata).toEqual({ n: count - 1 });
    await opened.close();
  });

  it("names rows of several files apart, and refuses files of another width", async () => {
    const golden = join(process.cwd(), "test", "golden", "v1-f32-cosine");
    await cp(golden, collection, { recursive: true });
    const [a, b] = [join(folder, "a.npy"), join(folder, "b.npy")];
    for (const path of [a, b]) {
      await nearfield(["export", collection, "--to", path]);
      await rm(`${path}.ids.jsonl`);
    }
    const into = join(folder, "both.nf");
    const { stdout } = await nearfield(["import", a, b, "--into", into, "--json"]);
    const { rowCount } = await readAll(a);
    expect(JSON.parse(stdout)).toMatchObject({ records: 2 * (rowCount ?? 0) });
    const nameless = [1, 2].map((x) => fileOf(`nameless${x}.jsonl`, [{ vector: [x, 1] }, { vector: [x, 2] }]));
    const apart = await nearfield([
      "import",
      ...(await Promise.all(nameless)),
      "--into",
      join(folder, "apart.nf"),
      "--json",
    ]);
    expect(JSON.parse(apart.stdout)).toMatchObject({ records: 4, written: 4 });
    const names: string[] = [];
    for (const day of ["monday", "tuesday"]) {
      await mkdir(join(folder, day));
      names.push(await fileOf(join(day, "part.jsonl"), [{ vector: [1, 1] }]));
    }
    await nearfield(["import", ...names, "--into", join(folder, "days.nf")]);
    const days = await openCollection(join(folder, "days.nf"), { readOnly: true, backend: "cpu" });
    expect((await days.get(names.map((name) => `${name}:0`))).every((record) => record !== undefined)).toBe(true);
    await days.close();
    const narrow = await fileOf("narrow.jsonl", [{ id: "x", vector: [1] }]);
    const refused = await nearfield(["import", narrow, "--into", into]);
    expect(refused).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(/INVALID_DIMENSIONS/) });
  });
});

describe("export and search", () => {
  beforeEach(() => cp(join(process.cwd(), "test", "golden", "v1-f32-cosine"), collection, { recursive: true }));

  it("writes matrices with ids beside them, and nothing over a file that is there", async () => {
    const to = join(folder, "out.npy");
    const told = await nearfield(["export", collection, "--to", to]);
    expect(told).toMatchObject({ code: 0, stderr: "", stdout: expect.stringContaining("out.npy.ids.jsonl") });
    const { rowCount } = await readAll(to);
    expect((await readFile(`${to}.ids.jsonl`, "utf8")).trimEnd().split("\n")).toHaveLength(rowCount ?? -1);
    const again = await nearfield(["export", collection, "--to", to]);
    expect(again).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(/there already.*--force/) });
    expect(await nearfield(["export", collection, "--to", to, "--force"])).toMatchObject({ code: 0 });
    const unknown = await nearfield(["export", collection, "--to", join(folder, "out.docx")]);
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringMatching(/a name that ends in .*\.parquet/) });
  });

  it("finds the record itself first when its own vector is asked for", async () => {
    const to = join(folder, "queries.fvecs");
    await nearfield(["export", collection, "--to", to]);
    const ids = (await readFile(`${to}.ids.jsonl`, "utf8"))
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { id: string }).id);
    const { stdout } = await nearfield(["search", collection, "--vector-file", to, "-k", "1", "--json"]);
    const found = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { query: number; matches: { id: string; distance: number }[] });
    expect(found.map(({ query }) => query)).toEqual(ids.map((_, i) => i));
    for (const { query, matches } of found) {
      expect(matches).toHaveLength(1);
      expect(matches[0]?.distance).toBeLessThan(1e-6);
      expect(ids).toContain(matches[0]?.id);
      expect(query).toBeLessThan(ids.length);
    }
  });

  it("writes ids that a terminal would obey as what they are, and names queries by their ids", async () => {
    const wild = join(folder, "wild.nf");
    const file = await fileOf("wild.jsonl", [{ id: "a\u001b[2J\nb", vector: [1, 0] }]);
    await nearfield(["import", file, "--into", wild]);
    const text = await nearfield(["search", wild, "--vector-file", file]);
    expect(text.stdout).toBe("near a\\u001b[2J\\nb\na\\u001b[2J\\nb  0.000000\n");
    const json = await nearfield(["search", wild, "--vector-file", file, "--json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({ query: "a\u001b[2J\nb" });
  });

  it.each([
    [["search", "C"], /neither --like nor --vector-file/],
    [["search", "C", "--like", "a", "--filter", "{"], /must be JSON/],
    [["search", "C", "--like", "a", "-k", "0"], /1 or more/],
    [["export", "C"], /required option/],
    [["import", "none.npy"], /required option/],
    [["import", "none.npy", "--into", "D", "--precision", "f64"], /Allowed choices/],
  ])("%j is told in words, with exit code 2", async (args, message) => {
    const ended = await nearfield(args.map((arg) => (arg === "C" ? collection : arg)));
    expect(ended).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(message) });
  });

  it("a record or a file that is not there: exit code 1", async () => {
    for (const args of [
      ["search", collection, "--like", "nobody"],
      ["search", collection, "--vector-file", join(folder, "none.npy")],
      ["import", join(folder, "none.npy"), "--into", join(folder, "new.nf")],
    ]) {
      const ended = await nearfield(args);
      expect(ended).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/NOT_FOUND/) });
      expect(ended.stderr).not.toContain("()"); // functions are the API's
    }
    await expect(stat(join(folder, "new.nf"))).rejects.toThrow("ENOENT");
  });
});
