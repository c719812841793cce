/** The contract in headless Chromium: WebGPU on SwiftShader, Web Workers with WASM, with and without cross-origin isolation. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isCertifiable, isProduct } from "../contract/run.ts";
import { CONTRACT_CASES } from "../contract/cases.ts";
import { browserAvailable, launchBrowser } from "../setup/browser.ts";
import { serve, type StaticServer } from "../setup/static-server.ts";
import type { PageApi, PageBackend } from "./page.ts";

declare const pageApi: PageApi;

const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

interface Setting extends PageBackend {
  readonly name: string;
  readonly isolated: boolean;
}

const SETTINGS: readonly Setting[] = [
  { name: "GPU in Chromium", isolated: false, claim: "gpu", backend: "gpu", internals: {}, inWorkers: true },
  {
    name: "GPU in Chromium, certified, sampled thresholds",
    isolated: false,
    claim: "gpu",
    backend: "gpu",
    scan: "certified",
    internals: { gpu: { appendFrom: 1, sampleRows: 128, expectedCandidates: 256, learnRows: 1e9 } },
    inWorkers: true,
    kernels: ["scan_i8"],
  },
  {
    name: "Web Workers without isolation",
    isolated: false,
    claim: "wasm",
    backend: "cpu",
    internals: {},
    inWorkers: true,
  },
  {
    name: "Web Workers without isolation, certified by three directions",
    isolated: false,
    claim: "wasm",
    backend: "cpu",
    scan: "certified",
    internals: { cpu: { learnRows: 1, directions: 3, blockRows: 64 } },
    inWorkers: true,
    kernels: ["scan_i8"],
  },
  {
    name: "Web Workers on shared memory",
    isolated: true,
    claim: "wasm",
    backend: "cpu",
    internals: { cpu: { pageWork: 0 } },
    inWorkers: true,
  },
];

describe.skipIf(!browserAvailable())("in headless Chromium", () => {
  const folder = join(process.cwd(), ".cache", `browser-page-${process.pid}`);
  let browser: Browser;
  let plain: StaticServer;
  let isolated: StaticServer;
  const pages = new Map<boolean, Page>();
  const complaints: string[] = [];

  beforeAll(async () => {
    const dist = (file: string): string => join(process.cwd(), "dist", file);
    await build({
      configFile: false,
      root: join(process.cwd(), "test", "browser"),
      logLevel: "warn",
      resolve: {
        alias: [
          { find: /^nearfield$/, replacement: dist("index.js") },
          { find: /^nearfield\/testing$/, replacement: dist("testing.js") },
        ],
      },
      build: { outDir: folder, emptyOutDir: true, target: "es2022" },
    });
    browser = await launchBrowser();
    plain = await serve(folder);
    isolated = await serve(folder, ISOLATED);
    for (const [isIsolated, server] of [
      [false, plain],
      [true, isolated],
    ] as const) {
      const page = await browser.newPage();
      page.on("pageerror", (error) => complaints.push(String(error)));
      page.on("console", (message) => complaints.push(message.text()));
      await page.goto(server.origin);
      pages.set(isIsolated, page);
    }
  });

  afterAll(async () => {
    await browser?.close();
    await plain?.close();
    await isolated?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const page = (isIsolated: boolean): Page => {
    const found = pages.get(isIsolated);
    if (found === undefined) throw new Error("the page was not opened");
    return found;
  };

  test("the isolated page is isolated and the plain one is not", async () => {
    expect(await page(true).evaluate(() => pageApi.isIsolated())).toBe(true);
    expect(await page(false).evaluate(() => pageApi.isIsolated())).toBe(false);
  });

  test.each([true, false])("seeded data is the same here as in Node (isolated: %s)", async (isIsolated) => {
    const names = await page(isIsolated).evaluate(() => pageApi.caseNames());
    expect(names).toEqual(CONTRACT_CASES.map((c) => c.name));
  });

  describe.each(SETTINGS)("contract on $name", ({ name, isolated: isIsolated, ...under }) => {
    let ran = 0;
    const certifies = under.backend === "cpu" ? isCertifiable : isProduct;
    const cases = CONTRACT_CASES.filter((c) => under.scan !== "certified" || certifies(c));
    test.each(cases)("$name", async (c) => {
      // Each WASM memory takes 8 GiB of a page's address space until it is collected, and nothing else here makes garbage.
      if (ran % 16 === 0) await page(isIsolated).requestGC();
      const problems = await page(isIsolated).evaluate(
        ([contractCase, u]) => pageApi.runContractCase(contractCase, u),
        [c, under] as const,
      );
      expect(problems).toEqual([]);
      ran++;
    });
    afterAll(() => console.info(`contract: ${ran} cases on ${name}`));
  });

  test("rule 7: a GPU lost during a search is finished by the CPU, and searches return to the GPU", async () => {
    const { rows, degraded, events, after } = await page(false).evaluate(() => pageApi.survive("loseDevice", "gpu"));
    expect(rows[0]).toHaveLength(5);
    for (const found of rows) expect(found).toEqual(rows[0]);
    expect(degraded[0]).toEqual([]);
    expect(degraded[1]).toEqual(["device-lost:finished-on-cpu"]);
    expect(degraded[3]).toEqual([]);
    expect(after).toBe("gpu");
    expect(events).toContain("device-lost");
    expect(events).toContain("device-recovered");
  });

  test("a crashed Web Worker is replaced and its queries run again", async () => {
    const { rows, degraded, events } = await page(false).evaluate(() => pageApi.survive("crashWorker", "cpu"));
    expect(rows[0]).toHaveLength(5);
    for (const found of rows) expect(found).toEqual(rows[0]);
    expect(degraded.flat()).toEqual([]);
    expect(events).toContain("worker-crashed");
  });

  test("nothing was written to the console", () => {
    expect(complaints.filter((text) => !text.includes("worker crashed on request"))).toEqual([]);
  });
});
