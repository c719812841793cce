/**
 * What users get: the tarball, and the promises that package.json makes about it. Installed in an
 * empty project, run in Node, type-checked, bundled, and opened in pages from the most permissive
 * to the strictest. All on the packed files; nothing here sees src.
 */
import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Browser } from "playwright-core";
import { publint } from "publint";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gpuAvailable } from "../setup/backends.ts";
import { browserAvailable, launchBrowser } from "../setup/browser.ts";
import { serve, type StaticServer } from "../setup/static-server.ts";
import { filesOf, installInEmptyProject, pack, placeAssets, placeFixtures, ROOT, run, tool } from "./consumer.ts";

/**
 * Gzipped bytes that `createIndex` may add to a page: what it loads before it knows whether there is a GPU, and all that
 * there is to load, on demand too: the kernels in the page, the GPU's, those for large batches.
 */
const MAX_FIRST_BYTES = 57_400;
const MAX_BUNDLE_BYTES = 100_000;

/** Answers of one search: QUERIES × K of fixtures/search.js. */
const ANSWERS = 30;

/** What fixtures/search.js resolves with. */
interface Searched {
  readonly found: readonly number[];
  readonly expected: readonly number[];
  readonly kind: "gpu" | "cpu";
  readonly reason: string;
  readonly events: readonly string[];
  readonly cpu: {
    readonly crashes: number;
    readonly rowsScannedInWorkers: number;
    readonly rowsScannedInPage: number;
    readonly kernels: Readonly<Record<string, number>>;
  };
}
interface Refused {
  readonly refused: string;
  readonly message: string;
}
type Outcome = Searched | Refused;

declare const searchOnPage: (options: object) => Promise<Outcome>;

const packFolder = join(ROOT, ".cache", `packaging-${process.pid}`);
let tarball: string;
/** Two projects: with everything, and with the optional dependency left out. */
let whole: string;
let bare: string;

beforeAll(async () => {
  tarball = await pack(packFolder);
  whole = await installInEmptyProject(tarball);
  bare = await installInEmptyProject(tarball, ["--omit=optional"]);
  for (const project of [whole, bare]) {
    await placeFixtures(project, { "node.js": "node.js", "search.js": "search.js" });
  }
});

afterAll(async () => {
  for (const folder of [packFolder, whole, bare]) {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
});

/** Requires the right answer, and returns how it was obtained. */
function right(outcome: Outcome): Searched {
  if ("refused" in outcome) throw new Error(`createIndex rejected: ${outcome.message}`);
  expect(outcome.expected).toHaveLength(ANSWERS);
  expect(outcome.found).toEqual(outcome.expected);
  expect(outcome.cpu.crashes).toBe(0);
  return outcome;
}

/** The distinct levels of the kernels that ran. */
function levels({ cpu }: Searched): string[] {
  return [...new Set(Object.keys(cpu.kernels).map((name) => name.replace(/^.*\//, "")))];
}

describe("the tarball", () => {
  test("holds the built entries, their types and both standalone files", async () => {
    const files = await filesOf(tarball);
    const wanted = [
      "node.js",
      "index.js",
      "testing.js",
      "cli.js",
      "worker.js",
      "decoder-main.js",
      "kernels.wasm",
      "types/index.d.ts",
    ];
    expect(files).toEqual(expect.arrayContaining(["package.json", ...wanted.map((file) => `dist/${file}`)]));
    const documents = ["LICENSE", "README.md", "CHANGELOG.md"].filter((file) => existsSync(join(ROOT, file)));
    expect(files).toEqual(expect.arrayContaining(documents));
  });

  test("holds nothing else of the repository", async () => {
    const files = await filesOf(tarball);
    const allowed = /^(dist\/.+|package\.json|LICENSE|README\.md|CHANGELOG\.md)$/;
    expect(files.filter((file) => !allowed.test(file))).toEqual([]);
  });

  test("gives publint nothing to complain about", async () => {
    const pkgDir = join(bare, "node_modules", "nearfield");
    const { messages, pkg } = await publint({ pkgDir, pack: false, strict: true });
    expect(pkg?.["name"]).toBe("nearfield");
    expect(messages.filter(({ type }) => type !== "suggestion")).toEqual([]);
  });

  test("has types that resolve as its code does", async () => {
    // The two subpaths that are left out are files to be served, not modules to be imported.
    const args = ["--profile", "esm-only", "--exclude-entrypoints", "./worker", "./kernels.wasm"];
    const { code, stdout } = await run(tool("attw"), [tarball, "--no-color", ...args], ROOT);
    expect(stdout).toContain("nearfield v");
    expect(code, stdout).toBe(0);
  });
});

describe("package.json", () => {
  type Manifest = Readonly<Record<string, unknown>>;
  const manifest = async (): Promise<Manifest> =>
    JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as Manifest;

  test("says ESM, without side effects, under MIT", async () => {
    expect(await manifest()).toMatchObject({ type: "module", sideEffects: false, license: "MIT" });
  });

  test("depends on comlink, on what the command line needs, and on webgpu and apache-arrow only optionally", async () => {
    const { dependencies, optionalDependencies, peerDependencies, devDependencies } = await manifest();
    expect(Object.keys(dependencies as object)).toEqual([
      "cli-progress",
      "comlink",
      "commander",
      "csv-parse",
      "hyparquet",
      "hyparquet-writer",
    ]);
    expect(Object.keys(optionalDependencies as object)).toEqual(["apache-arrow", "webgpu"]);
    expect(peerDependencies).toBeUndefined();
    expect(devDependencies).not.toHaveProperty("webgpu");
  });

  test("has a lockfile that names no registry", async () => {
    const lock = await readFile(join(ROOT, "package-lock.json"), "utf8");
    expect(lock).toContain('"node_modules/comlink"');
    expect(lock).not.toContain('"resolved": "http');
  });
});

describe("installed, in Node", () => {
  /** Runs fixtures/node.js, which must end by itself, successfully and silently. */
  async function searchInNode(project: string, options: object): Promise<Outcome> {
    const { code, stdout, stderr } = await run(process.execPath, ["node.js", JSON.stringify(options)], project, 30_000);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return JSON.parse(stdout) as Outcome;
  }

  test('searches with backend "cpu" in worker threads and lets Node exit', async () => {
    const outcome = right(await searchInNode(whole, { backend: "cpu" }));
    expect(outcome.kind).toBe("cpu");
    expect(outcome.cpu.rowsScannedInWorkers).toBeGreaterThan(0);
    expect(levels(outcome)).toEqual(["wasm"]);
  });

  test('searches with backend "auto", whatever that finds here, and lets Node exit', async () => {
    const outcome = right(await searchInNode(whole, { backend: "auto" }));
    expect(outcome.kind === "gpu" || outcome.cpu.rowsScannedInWorkers > 0).toBe(true);
    expect(outcome.reason).not.toMatch(/package "webgpu"/);
    expect(outcome.events).toContain("backend-selected");
  });

  test.skipIf(!gpuAvailable())('searches with backend "gpu" and lets Node exit', async () => {
    const outcome = right(await searchInNode(whole, { backend: "gpu" }));
    expect(outcome.kind).toBe("gpu");
    expect(outcome.cpu.rowsScannedInWorkers + outcome.cpu.rowsScannedInPage).toBe(0);
  });

  test("keeps a collection in a folder, and lets Node exit", async () => {
    await placeFixtures(bare, { "collection.js": "collection.js" });
    const { code, stdout, stderr } = await run(process.execPath, ["collection.js"], bare, 30_000);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual({ version: 1, found: ["forest"], whole: true });
  });

  test("has a command line", async () => {
    const { code, stdout } = await run(
      join(bare, "node_modules", ".bin", "nearfield"),
      ["verify", "photos.nf"],
      bare,
      30_000,
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^whole: 3 files, /);
  });

  test.each(["parquet", "arrow"])(
    "writes %s and reads it again, by a process that finds its library",
    async (format) => {
      const program = join(whole, "node_modules", ".bin", "nearfield");
      await placeFixtures(whole, { [`${format}/collection.js`]: "collection.js" });
      const folder = join(whole, format);
      expect(await run(process.execPath, ["collection.js"], folder, 30_000)).toMatchObject({ code: 0 });
      const file = `photos.${format}`;
      expect(await run(program, ["export", "photos.nf", "--to", file], folder, 30_000)).toMatchObject({ code: 0 });
      const imported = await run(program, ["import", file, "--into", "again.nf", "--json"], folder, 30_000);
      expect(imported).toMatchObject({ code: 0, stderr: "" });
      expect(JSON.parse(imported.stdout)).toMatchObject({ written: 2, rejected: 0 });
      if (format !== "arrow") return;
      const refused = await run(program.replace(whole, bare), ["import", file, "--into", "bare.nf"], folder, 30_000);
      expect(refused.code).not.toBe(0);
      expect(refused.stderr).toMatch(/npm install apache-arrow/);
    },
  );

  test("without the optional package it searches on the CPU and says why", async () => {
    expect(existsSync(join(whole, "node_modules", "webgpu"))).toBe(true);
    expect(existsSync(join(bare, "node_modules", "webgpu"))).toBe(false);
    const outcome = right(await searchInNode(bare, { backend: "auto" }));
    expect(outcome.kind).toBe("cpu");
    expect(outcome.cpu.rowsScannedInWorkers).toBeGreaterThan(0);
    expect(outcome.reason).toMatch(/package "webgpu"|Vulkan loader/);
  });

  test("without the optional package the GPU alone is refused", async () => {
    expect(await searchInNode(bare, { backend: "gpu" })).toMatchObject({ refused: "BACKEND_UNAVAILABLE" });
  });
});

describe("installed, in TypeScript", () => {
  test.each([
    { moduleResolution: "bundler", module: "esnext" },
    { moduleResolution: "nodenext", module: "nodenext" },
  ])("a consumer type-checks with moduleResolution $moduleResolution", async ({ moduleResolution, module }) => {
    const config = join(bare, `tsconfig.${moduleResolution}.json`);
    const compilerOptions = {
      target: "es2022",
      module,
      moduleResolution,
      types: [],
      strict: true,
      skipLibCheck: false,
      noEmit: true,
    };
    await placeFixtures(bare, { "types.mts": "types.mts" });
    await writeFile(config, JSON.stringify({ compilerOptions, files: ["types.mts"] }));
    const { code, stdout } = await run(tool("tsc"), ["-p", config], bare);
    expect(stdout).toBe("");
    expect(code).toBe(0);
  });
});

describe("bundled for browsers", () => {
  test(`adds at most ${MAX_FIRST_BYTES} gzipped bytes at first and ${MAX_BUNDLE_BYTES} in all, nothing of Node and nothing of the package webgpu`, async () => {
    await placeFixtures(whole, { "size/size.js": "size.js" });
    const result = await build({
      configFile: false,
      root: join(whole, "size"),
      logLevel: "warn",
      // The code that vite adds to preload chunks is not ours.
      build: { write: false, modulePreload: false, rolldownOptions: { input: join(whole, "size", "size.js") } },
    });
    const [bundle] = Array.isArray(result) ? result : [result];
    if (bundle === undefined || !("output" in bundle)) throw new Error("vite built nothing");
    let bytes = 0;
    const sizes = new Map<string, { size: number; imports: readonly string[] }>();
    const modules: string[] = [];
    const imports: string[] = [];
    for (const file of bundle.output) {
      const source = file.type === "chunk" ? file.code : file.source;
      const size = /\.[cm]?js$/.test(file.fileName) ? gzipSync(source).length : 0;
      bytes += size;
      if (file.type === "asset") continue;
      sizes.set(file.fileName, { size, imports: file.imports });
      modules.push(...file.moduleIds);
      imports.push(...file.imports, ...file.dynamicImports);
      expect(file.code).not.toMatch(/\b(from|import|require)\s*\(?\s*["'`](node:|webgpu)/);
    }
    const first = new Set(bundle.output.flatMap((f) => (f.type === "chunk" && f.isEntry ? [f.fileName] : [])));
    for (const name of first) for (const imported of sizes.get(name)?.imports ?? []) first.add(imported);
    const firstBytes = [...first].reduce((sum, name) => sum + (sizes.get(name)?.size ?? 0), 0);
    console.info(
      `packaging: createIndex takes ${firstBytes} bytes in a page at first, ${bytes} in all, minified and gzipped`,
    );
    const packages = modules.map((id) => id.replaceAll("\\", "/").replace(/^.*\/node_modules\//, ""));
    expect(packages).toContain("nearfield/dist/index.js");
    expect(packages).not.toContain("nearfield/dist/node.js");
    expect(packages.filter((id) => id.startsWith("webgpu/") || id.includes("browser-external"))).toEqual([]);
    const emitted = new Set(bundle.output.map((file) => file.fileName));
    expect(imports.filter((name) => !emitted.has(name))).toEqual([]);
    expect(firstBytes).toBeGreaterThan(0);
    expect(firstBytes).toBeLessThanOrEqual(MAX_FIRST_BYTES);
    expect(bytes).toBeLessThanOrEqual(MAX_BUNDLE_BYTES);
  });
});

describe.skipIf(!browserAvailable())("installed, in headless Chromium without cross-origin isolation", () => {
  const STRICT = "default-src 'none'; script-src 'self'; connect-src 'self'";
  const STRICT_WITH_WASM = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'";
  /** The policy of everything served under a folder. */
  const POLICIES: Readonly<Record<string, string>> = { strict: STRICT, wasm: STRICT_WITH_WASM };
  let browser: Browser;
  let plain: StaticServer;
  let bundled: StaticServer;

  beforeAll(async () => {
    await placeFixtures(bare, {
      "vite/index.html": "page.html",
      "vite/page.js": "page-bundled.js",
      "vite/search.js": "search.js",
      "page.js": "page-plain.js",
      "open/index.html": "page.html",
      "strict/index.html": "page.html",
      "wasm/index.html": "page.html",
    });
    await placeAssets(bare, {
      "open/worker.js": "worker.js",
      "strict/worker.js": "worker.js",
      "open/kernels.wasm": "kernels.wasm",
    });
    await build({ configFile: false, root: join(bare, "vite"), logLevel: "warn" });
    bundled = await serve(join(bare, "vite", "dist"));
    plain = await serve(bare, (path): Record<string, string> => {
      const policy = POLICIES[path.split(/[/\\]/)[1] ?? ""];
      return policy === undefined ? {} : { "content-security-policy": policy };
    });
    browser = await launchBrowser();
  });

  afterAll(async () => {
    await browser?.close();
    await plain?.close();
    await bundled?.close();
  });

  interface Visit {
    readonly outcome: Outcome;
    /** Paths that the page and its workers requested. */
    readonly requests: readonly string[];
    /** The policy that the page came with. */
    readonly policy: string | undefined;
  }

  /** Searches on a page of its own. */
  async function searchOn(url: string, options: object): Promise<Visit> {
    const page = await browser.newPage();
    try {
      const requests: string[] = [];
      page.on("request", (request) => requests.push(new URL(request.url()).pathname));
      const response = await page.goto(url);
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
      const outcome = await page.evaluate((o) => searchOnPage(o), { backend: "cpu", ...options });
      return { outcome, requests, policy: response?.headers()["content-security-policy"] };
    } finally {
      await page.close();
    }
  }

  /** Requires a right answer that Web Workers found with WASM, without a step down. */
  function rightInWorkers(outcome: Outcome): void {
    const searched = right(outcome);
    expect(searched.cpu.rowsScannedInWorkers).toBeGreaterThan(0);
    expect(searched.cpu.rowsScannedInPage).toBe(0);
    expect(levels(searched)).toEqual(["wasm"]);
    expect(searched.events).toEqual(["backend-selected"]);
  }

  test("a page built with vite, without any configuration, searches in Web Workers", async () => {
    const { outcome } = await searchOn(`${bundled.origin}/`, {});
    rightInWorkers(outcome);
  });

  test("a page without a bundler searches in Web Workers", async () => {
    const { outcome, requests, policy } = await searchOn(`${plain.origin}/open/`, {});
    expect(policy).toBeUndefined();
    expect(requests).toContain("/node_modules/nearfield/dist/index.js");
    rightInWorkers(outcome);
  });

  test("a strict page searches in itself, with plain JS, and says so", async () => {
    const { outcome, policy } = await searchOn(`${plain.origin}/strict/`, {});
    expect(policy).toBe(STRICT);
    const searched = right(outcome);
    expect(searched.events).toContain("cpu-step-down");
    expect(searched.cpu.rowsScannedInPage).toBeGreaterThan(0);
    expect(searched.cpu.rowsScannedInWorkers).toBe(0);
    expect(levels(searched)).toEqual(["js"]);
  });

  test("a strict page with workerUrl searches in workers with WASM, because a worker has its own policy", async () => {
    const { outcome, requests, policy } = await searchOn(`${plain.origin}/strict/`, { workerUrl: "/open/worker.js" });
    expect(policy).toBe(STRICT);
    expect(requests).toContain("/open/worker.js");
    rightInWorkers(outcome);
  });

  test("a strict page with both files searches in workers, though it may not compile WASM itself", async () => {
    const files = { workerUrl: "/open/worker.js", wasmUrl: "/open/kernels.wasm" };
    const { outcome, policy } = await searchOn(`${plain.origin}/strict/`, files);
    expect(policy).toBe(STRICT);
    rightInWorkers(outcome);
  });

  test("a strict page with a worker as strict searches in it with plain JS, and says so", async () => {
    const { outcome, policy } = await searchOn(`${plain.origin}/strict/`, { workerUrl: "/strict/worker.js" });
    expect(policy).toBe(STRICT);
    const searched = right(outcome);
    expect(searched.events).toContain("cpu-step-down");
    expect(searched.cpu.rowsScannedInWorkers).toBeGreaterThan(0);
    expect(searched.cpu.rowsScannedInPage).toBe(0);
    expect(levels(searched)).toEqual(["js"]);
  });

  test("a strict page that allows WASM takes the kernels from wasmUrl", async () => {
    const { outcome, requests, policy } = await searchOn(`${plain.origin}/wasm/`, { wasmUrl: "/open/kernels.wasm" });
    expect(policy).toBe(STRICT_WITH_WASM);
    const searched = right(outcome);
    expect(requests).toContain("/open/kernels.wasm");
    expect(searched.cpu.rowsScannedInPage).toBeGreaterThan(0);
    expect(levels(searched)).toEqual(["wasm"]);
    // Once, for the workers; the kernels did not step down.
    expect(searched.events.filter((code) => code === "cpu-step-down")).toHaveLength(1);
  });

  test("a strict page with both files searches in workers with the kernels from wasmUrl", async () => {
    const files = { workerUrl: "/open/worker.js", wasmUrl: "/open/kernels.wasm" };
    const { outcome, requests, policy } = await searchOn(`${plain.origin}/wasm/`, files);
    expect(policy).toBe(STRICT_WITH_WASM);
    expect(requests).toEqual(expect.arrayContaining(Object.values(files)));
    rightInWorkers(outcome);
  });

  test("without any policy on WASM, wasmUrl is not needed but works", async () => {
    const { outcome, requests, policy } = await searchOn(`${plain.origin}/open/`, { wasmUrl: "/open/kernels.wasm" });
    expect(policy).toBeUndefined();
    expect(requests).toContain("/open/kernels.wasm");
    rightInWorkers(outcome);
  });
});
