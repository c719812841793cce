import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nearfield } from "./run.ts";

const GOLDEN = join(process.cwd(), "test", "golden", "v1-f32-cosine");

let folder = "";
let collection = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "nearfield-cli-"));
  collection = join(folder, "words.nf");
  await cp(GOLDEN, collection, { recursive: true });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("nearfield", () => {
  it("prints help to stdout when asked, and to stderr, with exit code 2, when it was called wrongly", async () => {
    const help = await nearfield(["--help"]);
    expect(help).toMatchObject({ code: 0, stderr: "", stdout: expect.stringContaining("Usage: nearfield") });
    for (const args of [[], ["nothing"], ["versions"], ["info", "--nonsense"], ["restore", collection]]) {
      const ended = await nearfield(args);
      expect(ended).toMatchObject({ code: 2, stdout: "" });
      expect(ended.stderr).not.toBe("");
    }
    const { name, version }: { name: string; version: string } = JSON.parse(await readFile("package.json", "utf8"));
    expect(await nearfield(["--version"])).toEqual({ code: 0, stderr: "", stdout: `${version}\n` });
    expect(name).toBe("nearfield");
  });

  it.each([
    "info",
    "import",
    "export",
    "search",
    "score",
    "eval",
    "bench",
    "verify",
    "versions",
    "tag",
    "restore",
    "compact",
  ])("%s has a help of its own", async (command) => {
    const help = await nearfield([command, "--help"]);
    expect(help).toMatchObject({
      code: 0,
      stderr: "",
      stdout: expect.stringContaining(`Usage: nearfield ${command}`),
    });
  });

  it("says what is missing in one line, with exit code 1", async () => {
    const ended = await nearfield(["versions", join(folder, "none.nf")]);
    expect(ended).toMatchObject({ code: 1, stdout: "" });
    expect(ended.stderr).toMatch(/^nearfield: NOT_FOUND: .*none\.nf.*\n$/);
  });
});

describe("info", () => {
  it("tells versions, CPU, backend and GPU, as JSON too", async () => {
    const text = await nearfield(["info"]);
    expect(text).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/^versions +nearfield/) });
    const { code, stdout } = await nearfield(["info", "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      versions: { node: process.versions.node },
      threads: expect.any(Number),
      simd: expect.stringMatching(/^(simd128|relaxed-simd)$/),
      backend: { kind: expect.stringMatching(/^(gpu|cpu)$/), reason: expect.stringMatching(/./) },
      gpu: expect.anything(),
    });
  });
});

describe("a collection's commands", () => {
  it("list versions and tags, name and restore them", async () => {
    const versions: { version: number; count: number; tags: string[] }[] = JSON.parse(
      (await nearfield(["versions", collection, "--json"])).stdout,
    );
    expect(versions.map(({ version, count }) => [version, count])).toEqual([
      [0, 0],
      [1, 20],
      [2, 25],
      [3, 22],
      [4, 18],
      [5, 25],
      [6, 27],
      [7, 26],
    ]);
    expect((await nearfield(["versions", collection])).stdout).toMatch(/^version +committed +records +tags\n0 /);
    const tagged = await nearfield(["tag", collection, "small", "-n", "1", "--json"]);
    expect(JSON.parse(tagged.stdout)).toEqual({ "before the delete": 2, newest: 6, small: 1 });
    expect((await nearfield(["tag", collection])).stdout).toContain("small              1\n");
    expect(await nearfield(["restore", collection, "small"])).toMatchObject({
      code: 0,
      stdout: "version 8: 20 records\n",
    });
    expect(await nearfield(["restore", collection, "2"])).toMatchObject({ code: 0, stdout: "version 9: 25 records\n" });
    expect(await nearfield(["restore", collection, "nobody"])).toMatchObject({ code: 1, stdout: "" });
    expect(await nearfield(["tag", collection, "x", "-n", "one"])).toMatchObject({ code: 2, stdout: "" });
  });

  it("compact drops versions without a tag", async () => {
    const { code, stdout } = await nearfield(["compact", collection, "--keep", "1", "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ version: 7, removedVersions: 5 });
    const versions: { version: number }[] = JSON.parse((await nearfield(["versions", collection, "--json"])).stdout);
    expect(versions.map(({ version }) => version)).toEqual([2, 6, 7]);
    expect(await nearfield(["verify", collection])).toMatchObject({ code: 0, stderr: "" });
  });

  it("verify names the damage and exits with 1", async () => {
    const sound = await nearfield(["verify", collection]);
    expect(sound).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/^whole: \d+ files, /) });
    const file = join(collection, "segment-1");
    const bytes = await readFile(file);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    await writeFile(file, bytes);
    const damaged = await nearfield(["verify", collection]);
    expect(damaged.code).toBe(1);
    expect(damaged.stdout).toMatch(/^damaged {2}segment-1, .*byte \d+: .*\nDAMAGED: /);
    expect(damaged.stderr).toContain("damaged in 1 place");
  });

  it("restores a tag before a version of the same number", async () => {
    const versions: { version: number }[] = JSON.parse((await nearfield(["versions", collection, "--json"])).stdout);
    const newest = versions.at(-1)?.version ?? 0;
    const first = versions[0]?.version ?? 0;
    const count = async (): Promise<number> =>
      (JSON.parse((await nearfield(["versions", collection, "--json"])).stdout) as { count: number }[]).at(-1)?.count ??
      -1;
    const before = await count();
    await nearfield(["tag", collection, String(first), "-n", String(newest)]);
    expect(await nearfield(["restore", collection, String(first)])).toMatchObject({ code: 0 });
    expect(await count()).toBe(before);
  });

  it("verify counts what opening met: exit code 1 where the newest files are damaged", async () => {
    const whole = await nearfield(["verify", collection, "--json"]);
    expect(JSON.parse(whole.stdout)).toMatchObject({ ok: true });
    // The newest change is damaged: what opens is the version before it, and that is whole.
    const file = join(folder, "more.jsonl");
    await writeFile(file, '{"id":"new","vector":[1,0,0,0,0,0,0,0]}\n');
    await nearfield(["import", file, "--into", collection]);
    const journals = (await readdir(collection)).filter((name) => name.startsWith("journal-")).sort();
    const newest = join(collection, journals.at(-1) ?? "");
    const bytes = await readFile(newest);
    bytes.writeUInt8((bytes[bytes.length - 40] ?? 0) ^ 1, bytes.length - 40);
    await writeFile(newest, bytes);
    const damaged = await nearfield(["verify", collection, "--json"]);
    expect(damaged.code).toBe(1);
    expect(JSON.parse(damaged.stdout)).toMatchObject({ ok: false, recovered: { reason: expect.any(String) } });
  });

  it("an output that cannot be written is told in a line", async () => {
    const command = `node dist/cli.js versions ${collection} --json > /dev/full`;
    const ended = await promisify(execFile)("sh", ["-c", command]).catch(
      (error: { code: number; stderr: string }) => error,
    );
    expect(ended).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^nearfield: the output could not be written .*ENOSPC.*\n$/),
    });
  });
});
