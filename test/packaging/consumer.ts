/**
 * Someone else's project: the package packed as for the registry, and installed from that tarball
 * into an empty folder outside the repository, so that nothing of the repository can be found by
 * accident. Whoever makes a folder here removes it.
 */
import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { extract } from "tar-stream";

export const ROOT: string = process.cwd();
const FIXTURES = join(ROOT, "test", "packaging", "fixtures");

export interface Finished {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; one that does not end by itself is killed, which `code` then says. */
export function run(program: string, args: readonly string[], cwd: string, timeoutMs = 120_000): Promise<Finished> {
  const env = { ...process.env };
  // What vitest sets for its own processes is not in a user's environment.
  for (const name of ["NODE_ENV", "NODE_OPTIONS", "VITEST"]) delete env[name];
  return new Promise((resolve) => {
    execFile(program, args, { cwd, env, timeout: timeoutMs, killSignal: "SIGKILL" }, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.killed === true ? `killed after ${timeoutMs} ms` : (error.code ?? "died");
      resolve({ code, stdout, stderr });
    });
  });
}

/** Runs what must succeed; resolves with its output. */
async function mustRun(program: string, args: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, cwd);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: ${code}\n${stdout}\n${stderr}`);
  return stdout;
}

/** The path of a program that a devDependency of the repository brings. */
export function tool(name: string): string {
  return join(ROOT, "node_modules", ".bin", name);
}

/** `npm pack` of the repository, declarations included; resolves with the tarball's path. */
export async function pack(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  // The global set-up built dist with vite alone, which leaves no declarations.
  await mustRun(tool("tsc"), ["-p", "tsconfig.build.json"], ROOT);
  await mustRun("npm", ["pack", "--pack-destination", folder], ROOT);
  const tarballs = (await readdir(folder)).filter((name) => name.endsWith(".tgz"));
  const [tarball] = tarballs;
  if (tarball === undefined || tarballs.length > 1) throw new Error(`npm pack left ${tarballs.length} tarballs`);
  return join(folder, tarball);
}

/** Paths of the files in a tarball, without the leading `package/`. */
export async function filesOf(tarball: string): Promise<string[]> {
  const entries = extract();
  const reading = pipeline(createReadStream(tarball), createGunzip(), entries);
  const names: string[] = [];
  for await (const entry of entries) {
    names.push(entry.header.name.replace(/^package\//, ""));
    entry.resume();
  }
  await reading;
  return names;
}

/** An empty project with only the tarball installed. */
export async function installInEmptyProject(tarball: string, flags: readonly string[] = []): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "nearfield-consumer-"));
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }));
  await mustRun("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", ...flags, tarball], folder);
  return folder;
}

/** Copies fixtures into a project: `{ "its/path/there": "name of the fixture" }`. */
export async function placeFixtures(project: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, fixture] of Object.entries(files)) {
    await mkdir(dirname(join(project, path)), { recursive: true });
    await copyFile(join(FIXTURES, fixture), join(project, path));
  }
}

/** Copies files of the installed package to where a page serves them. */
export async function placeAssets(project: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, asset] of Object.entries(files)) {
    await mkdir(dirname(join(project, path)), { recursive: true });
    await copyFile(join(project, "node_modules", "nearfield", "dist", asset), join(project, path));
  }
}
