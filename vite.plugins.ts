/**
 * The build steps that vite lacks: AssemblyScript kernels as inlined bytes, the worker as an inlined
 * script, and a module of Node's as a file. The first two exist so that no bundler of a user ever has
 * to find a second file; the same bytes are emitted as files too, for pages whose policy forbids
 * inlined code.
 */
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { deflateRawSync } from "node:zlib";
import { build, type Plugin } from "vite";
import { withCustomSection } from "./src/cpu/module-bytes.ts";
import { UNROLL_MARK } from "./src/gpu/unroll.ts";

const clean = (id: string): string => id.replace(/\?.*$/, "");

/** Compiles `x.ts?wasm-bytes`, or `x.ts?wasm-bytes=feature` with one more WASM feature, by AssemblyScript; exports it deflated, as base64: a third less of a bundle, gzipped, than base64 of the module itself. */
export function assemblyScript(): Plugin {
  return {
    name: "nearfield:assemblyscript",
    enforce: "pre",
    async load(id) {
      const [entry, feature] = id.split(/\?wasm-bytes=?/);
      if (entry === undefined || feature === undefined) return undefined;
      for (const file of readdirSync(dirname(entry))) this.addWatchFile(join(dirname(entry), file));
      const bytes = await compile(entry, feature);
      return `export default ${JSON.stringify(deflateRawSync(bytes, { level: 9 }).toString("base64"))};\n`;
    },
  };
}

/** For memory that is imported and not shared: src/cpu/module-bytes.ts makes the module for shared memory of it. */
const MEMORY = ["--importMemory", "--initialMemory", "1", "--noExportMemory"];
const ASSEMBLY_OPTIONS = [...MEMORY, "--runtime", "stub", "--use", "abort=", "--enable", "simd", "-O3", "--noAssert"];

/** `feature`: one that is switched on beside simd, or empty. */
async function compile(entry: string, feature: string): Promise<Uint8Array> {
  const { default: asc } = await import("assemblyscript/asc");
  const base = dirname(entry);
  const name = entry.slice(base.length + 1);
  let output: Uint8Array | undefined;
  let log = "";
  const options = feature === "" ? ASSEMBLY_OPTIONS : [...ASSEMBLY_OPTIONS, "--enable", feature];
  const { error } = await asc.main([name, "--outFile", "out.wasm", "--baseDir", base, ...options], {
    stderr: {
      write: (chunk: Uint8Array | string) => {
        log += typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk);
      },
    },
    readFile: (file: string, folder: string) => readOrNull(join(folder, file)),
    writeFile: (_file: string, data: string | Uint8Array) => {
      if (typeof data !== "string") output = data;
    },
    listFiles: (folder: string, parent: string) => readdirSync(join(parent, folder)),
  });
  if (error !== null || output === undefined) throw new Error(`AssemblyScript: ${String(error)}\n${log}`);
  return output;
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null; // asc probes for files that may not exist
  }
}

/** Bundles `x.ts?inline-source` into one classic script and exports it as a string. */
export function inlineSource(): Plugin {
  return {
    name: "nearfield:inline-source",
    enforce: "pre",
    async load(id) {
      if (!id.endsWith("?inline-source")) return undefined;
      return `export default ${JSON.stringify(await bundleScript(clean(id)))};\n`;
    },
  };
}

async function bundleScript(entry: string): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: "warn",
    build: {
      write: false,
      minify: true,
      target: "es2022",
      lib: { entry, formats: ["iife"], name: "nearfieldWorker" },
    },
  });
  const [output] = Array.isArray(result) ? result : [result];
  if (output === undefined || !("output" in output)) throw new Error("vite built no worker");
  return `${NOTICE}\n${output.output[0].code}`;
}

/**
 * Bundles `x.ts?module-file` into an ES module of its own, for Node, and exports its URL: a file beside
 * the bundles, or in `.cache` where nothing is built (tests). Packages stay imports of the file.
 */
export function moduleFile(): Plugin {
  let isBuild = false;
  return {
    name: "nearfield:module-file",
    enforce: "pre",
    configResolved({ command }) {
      isBuild = command === "build";
    },
    async load(id) {
      if (!id.endsWith("?module-file")) return undefined;
      const fileName = basename(clean(id)).replace(/\.ts$/, ".js");
      const source = await bundleModule(clean(id));
      if (isBuild) {
        this.emitFile({ type: "asset", fileName, source });
        return `export default new URL(/* @vite-ignore */ "./${fileName}", import.meta.url);\n`;
      }
      const path = join(process.cwd(), ".cache", fileName);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, source);
      return `export default new URL(${JSON.stringify(pathToFileURL(path).href)});\n`;
    },
  };
}

async function bundleModule(entry: string): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: "warn",
    build: {
      write: false,
      minify: false,
      target: "es2022",
      lib: { entry, formats: ["es"] },
      rolldownOptions: { external: /^node:|^[@a-z][^:]*$/, output: { codeSplitting: false } },
    },
  });
  const [output] = Array.isArray(result) ? result : [result];
  if (output === undefined || !("output" in output)) throw new Error("vite built no module");
  return output.output[0].code;
}

/** Minifying drops the licence comment of the one library inside. */
const NOTICE = "/*! contains comlink, Copyright 2019 Google LLC, Apache-2.0 */";

/** Loads `x.wgsl?raw` without comments and indentation, which were a fifth of the bundle. */
export function leanShaders(): Plugin {
  return {
    name: "nearfield:lean-shaders",
    enforce: "pre",
    load(id) {
      if (!id.endsWith(".wgsl?raw")) return undefined;
      this.addWatchFile(clean(id));
      return `export default ${JSON.stringify(leanWgsl(readFileSync(clean(id), "utf8")))};\n`;
    },
  };
}

/** WGSL without comments (line comments, and block comments, which nest), indentation, empty lines and spaces that separate nothing; WGSL has no strings. */
export function leanWgsl(source: string): string {
  let code = "";
  let depth = 0;
  for (let at = 0; at < source.length; ) {
    const pair = source.slice(at, at + 2);
    if (pair === "/*") {
      depth++;
      at += 2;
    } else if (depth > 0) {
      if (pair === "*/" && --depth === 0) code += " "; // a comment separates tokens
      at += pair === "*/" ? 2 : 1;
    } else if (pair === "//") {
      const next = source.indexOf("\n", at);
      const end = next < 0 ? source.length : next;
      if (source.slice(at, end).trimEnd() === UNROLL_MARK) code += UNROLL_MARK; // not a comment to everyone
      at = end;
    } else {
      code += pair.charAt(0);
      at++;
    }
  }
  if (depth > 0) throw new Error("WGSL with a comment that never ends");
  const lines = code.split("\n").map((line) => line.trim().replaceAll(/ ?([,;:(){}=]) ?/g, "$1"));
  return `${lines.filter((line) => line !== "").join("\n")}\n`;
}

/** Emits the worker script and the kernels as files beside the bundles. */
export function standaloneFiles(files: { worker: string; kernels: string; relaxedKernels: string }): Plugin {
  return {
    name: "nearfield:standalone-files",
    apply: "build",
    async generateBundle() {
      this.emitFile({ type: "asset", fileName: "worker.js", source: await bundleScript(files.worker) });
      const simd = await compile(files.kernels, "");
      const relaxed = await compile(files.relaxedKernels, "relaxed-simd");
      // One file for both builds; src/cpu/kernel-bytes.ts takes them apart.
      this.emitFile({ type: "asset", fileName: "kernels.wasm", source: withCustomSection(simd, "relaxed", relaxed) });
    },
  };
}

/** Lets a built file be run by its name, as npm does on installing: in a clone each build writes it anew. */
export function executable(fileName: string): Plugin {
  return {
    name: "nearfield:executable",
    apply: "build",
    writeBundle({ dir }) {
      chmodSync(join(dir ?? "dist", fileName), 0o755);
    },
  };
}
