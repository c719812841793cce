/**
 * The two build steps that vite lacks: AssemblyScript kernels as inlined bytes, and the worker as
 * an inlined script. Both exist so that no bundler of a user ever has to find a second file; the
 * same bytes are emitted as files too, for pages whose policy forbids inlined code.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { build, type Plugin } from "vite";

const clean = (id: string): string => id.replace(/\?.*$/, "");

/** Compiles `x.ts?wasm-bytes` with AssemblyScript: exports `owned` and `shared`, base64. */
export function assemblyScript(): Plugin {
  return {
    name: "nearfield:assemblyscript",
    enforce: "pre",
    async load(id) {
      if (!id.endsWith("?wasm-bytes")) return undefined;
      const entry = clean(id);
      for (const file of readdirSync(dirname(entry))) this.addWatchFile(join(dirname(entry), file));
      const { owned, shared } = await compileKernels(entry);
      return `export const owned = ${base64(owned)};\nexport const shared = ${base64(shared)};\n`;
    },
  };
}

const base64 = (bytes: Uint8Array): string => JSON.stringify(Buffer.from(bytes).toString("base64"));

async function compileKernels(entry: string): Promise<{ owned: Uint8Array; shared: Uint8Array }> {
  const options = [
    "--importMemory",
    "--initialMemory",
    "1",
    "--noExportMemory",
    "--runtime",
    "stub",
    "--use",
    "abort=",
  ];
  const optimise = ["--enable", "simd", "-O3", "--noAssert"];
  const threads = ["--sharedMemory", "--maximumMemory", "65536", "--enable", "threads"];
  const owned = await compile(entry, [...options, ...optimise]);
  const shared = await compile(entry, [...options, ...optimise, ...threads]);
  return { owned, shared };
}

async function compile(entry: string, options: string[]): Promise<Uint8Array> {
  const { default: asc } = await import("assemblyscript/asc");
  const base = dirname(entry);
  const name = entry.slice(base.length + 1);
  let output: Uint8Array | undefined;
  let log = "";
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

/** Minifying drops the licence comment of the one library inside. */
const NOTICE = "/*! contains comlink, Copyright 2019 Google LLC, Apache-2.0 */";

/** Emits the worker script and the kernels as files beside the bundles. */
export function standaloneFiles(files: { worker: string; kernels: string }): Plugin {
  return {
    name: "nearfield:standalone-files",
    apply: "build",
    async generateBundle() {
      this.emitFile({ type: "asset", fileName: "worker.js", source: await bundleScript(files.worker) });
      const { owned, shared } = await compileKernels(files.kernels);
      this.emitFile({ type: "asset", fileName: "kernels.wasm", source: withSection(owned, "shared", shared) });
    },
  };
}

/** A WASM module with `payload` appended as a custom section (id 0): one file for both builds. */
function withSection(module: Uint8Array, name: string, payload: Uint8Array): Uint8Array {
  const title = new TextEncoder().encode(name);
  const size = leb128(title.length);
  const body = leb128(size.length + title.length + payload.length);
  return new Uint8Array([...module, 0, ...body, ...size, ...title, ...payload]);
}

function leb128(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest];
    bytes.push((rest & 0x7f) | 0x80);
  }
}
