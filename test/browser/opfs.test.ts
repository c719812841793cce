/** Collections in the origin private file system of headless Chromium: the table of drivers, locks, quota, and pages and workers that end in the middle of a write. */
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { openCollection } from "../../src/node.ts";
import { uniform } from "../../src/core/random.ts";
import { inlineSource } from "../../vite.plugins.ts";
import { browserAvailable, launchBrowser } from "../setup/browser.ts";
import { serve, type StaticServer } from "../setup/static-server.ts";
import { DRIVER_CASES } from "../storage/driver-cases.ts";
import type { OpfsPageApi, Write } from "./opfs/page.ts";

declare const opfsApi: OpfsPageApi;

const OPTIONS = { dimensions: 4, metric: "euclidean" } as const;
const STRICT = { "content-security-policy": "default-src 'self'; img-src data:; script-src 'self'; worker-src 'self'" };

describe.skipIf(!browserAvailable())("collections in headless Chromium", () => {
  const folder = join(process.cwd(), ".cache", `opfs-page-${process.pid}`);
  let browser: Browser;
  let context: BrowserContext;
  let plain: StaticServer;
  let strict: StaticServer;
  const complaints: string[] = [];

  async function newPage(server: StaticServer = plain, within: BrowserContext = context): Promise<Page> {
    const page = await within.newPage();
    page.on("pageerror", (error) => complaints.push(String(error)));
    await page.goto(server.origin);
    await page.waitForFunction(() => "opfsApi" in globalThis);
    return page;
  }

  beforeAll(async () => {
    await build({
      configFile: false,
      plugins: [inlineSource()],
      root: join(process.cwd(), "test", "browser", "opfs"),
      logLevel: "warn",
      resolve: { alias: [{ find: /^nearfield$/, replacement: join(process.cwd(), "dist", "index.js") }] },
      build: { outDir: folder, emptyOutDir: true, target: "es2022" },
    });
    await copyFile(join(process.cwd(), "dist", "worker.js"), join(folder, "worker.js"));
    browser = await launchBrowser();
    context = await browser.newContext();
    plain = await serve(folder);
    strict = await serve(folder, STRICT);
  });

  afterAll(async () => {
    await browser?.close();
    await plain?.close();
    await strict?.close();
    await rm(folder, { recursive: true, force: true });
    expect(complaints).toEqual([]);
  });

  describe("a driver of the origin private file system", () => {
    let page: Page;
    beforeAll(async () => {
      page = await newPage();
    });
    afterAll(() => page.close());

    test.each(DRIVER_CASES.map(({ name }, index) => ({ name, index })))("$name", async ({ index }) => {
      expect(await page.evaluate((i) => opfsApi.runDriverCase(i), index)).toBeUndefined();
    });
  });

  test("a collection is there again after the page was closed", async () => {
    const first = await newPage();
    expect(await first.evaluate((o) => opfsApi.open("c", "opfs:again", o), OPTIONS)).toEqual({
      version: 0,
      recovered: false,
    });
    expect(await first.evaluate(() => opfsApi.write("c", 0, 50, 1))).toBe(1);
    await first.evaluate(() => opfsApi.close("c"));
    await first.close();
    const second = await newPage();
    expect(await second.evaluate(() => opfsApi.open("c", "opfs:again", {}))).toEqual({ version: 1, recovered: false });
    expect(await second.evaluate(() => opfsApi.content("c"))).toHaveLength(50);
    expect(await second.evaluate(() => opfsApi.verify("c"))).toMatchObject({ ok: true, damages: [] });
    await second.close();
  });

  test("one page writes, a second one is LOCKED and may read, and takes over when the first closes", async () => {
    const [first, second] = [await newPage(), await newPage()];
    await first.evaluate((o) => opfsApi.open("c", "opfs:shared", o), OPTIONS);
    await first.evaluate(() => opfsApi.write("c", 0, 20, 1));
    expect(await second.evaluate(() => opfsApi.open("c", "opfs:shared", {}))).toMatchObject({
      code: "LOCKED",
      message: expect.stringMatching(/opfs:shared.*another page or worker/),
    });
    expect(await second.evaluate(() => opfsApi.open("r", "opfs:shared", { readOnly: true }))).toEqual({
      version: 1,
      recovered: false,
    });
    expect(await first.evaluate(() => opfsApi.write("c", 20, 20, 2))).toBe(2);
    expect(await second.evaluate(() => opfsApi.content("r"))).toHaveLength(20);
    await first.close();
    await expect
      .poll(() => second.evaluate(() => opfsApi.open("c", "opfs:shared", {})), { timeout: 20_000 })
      .toEqual({ version: 2, recovered: false });
    expect(await second.evaluate(() => opfsApi.content("c"))).toHaveLength(40);
    await second.close();
  });

  test("many readers open while a writer writes, and see a version whole", async () => {
    const [writer, reader] = [await newPage(), await newPage()];
    await writer.evaluate((o) => opfsApi.open("c", "opfs:busy", o), OPTIONS);
    let isDone = false;
    let reads = 0;
    const writing = (async () => {
      // The first read may have code to load.
      for (let step = 1; step <= 60 || reads < 2; step++)
        expect(await writer.evaluate((s) => opfsApi.write("c", 0, 30, s, 500), step)).toBe(step);
      isDone = true;
    })();
    while (!isDone) {
      const opened = await reader.evaluate(() => opfsApi.open("r", "opfs:busy", { readOnly: true }));
      if ("code" in opened) {
        // Before the first checkpoint was there.
        expect(opened).toMatchObject({ code: "NOT_FOUND" });
        continue;
      }
      expect(opened.recovered).toBe(false);
      const content = await reader.evaluate(() => opfsApi.content("r"));
      expect(new Set(content.map(([, step]) => step)).size).toBeLessThanOrEqual(1);
      if (opened.version > 0) expect(content).toHaveLength(30);
      await reader.evaluate(() => opfsApi.close("r"));
      reads++;
    }
    await writing;
    await Promise.all([writer.close(), reader.close()]);
  });

  test("a full quota is QUOTA_EXCEEDED, and what was there stays readable and writable", async () => {
    const page = await newPage();
    await page.evaluate((o) => opfsApi.open("c", "opfs:full", o), OPTIONS);
    expect(await page.evaluate(() => opfsApi.write("c", 0, 20, 1))).toBe(1);
    const session = await context.newCDPSession(page);
    await session.send("Storage.overrideQuotaForOrigin", { origin: plain.origin, quotaSize: 2_000_000 });
    expect(await page.evaluate(() => opfsApi.write("c", 100, 200, 2, 60_000))).toBe("QUOTA_EXCEEDED");
    expect(await page.evaluate(() => opfsApi.content("c"))).toHaveLength(20);
    await session.send("Storage.overrideQuotaForOrigin", { origin: plain.origin });
    expect(await page.evaluate(() => opfsApi.write("c", 20, 20, 3))).toBe(2);
    await page.evaluate(() => opfsApi.close("c"));
    expect(await page.evaluate(() => opfsApi.open("c", "opfs:full", {}))).toEqual({ version: 2, recovered: false });
    expect(await page.evaluate(() => opfsApi.content("c"))).toHaveLength(40);
    await page.close();
  });

  test("a quota that small changes use up ends with QUOTA_EXCEEDED, and loses none that resolved", async () => {
    const own = await browser.newContext();
    const page = await newPage(plain, own);
    await page.evaluate((o) => opfsApi.open("c", "opfs:filling", o), OPTIONS);
    const session = await own.newCDPSession(page);
    await session.send("Storage.overrideQuotaForOrigin", { origin: plain.origin, quotaSize: 2_000_000 });
    let resolved = 0;
    let outcome: number | string = 0;
    while (typeof outcome === "number" && resolved < 200) {
      outcome = await page.evaluate((i) => opfsApi.write("c", 10 * i, 10, i, 2000), resolved);
      if (typeof outcome === "number") resolved++;
    }
    expect(outcome).toBe("QUOTA_EXCEEDED");
    expect(resolved).toBeGreaterThan(10);
    await page.evaluate(() => opfsApi.close("c"));
    await session.send("Storage.overrideQuotaForOrigin", { origin: plain.origin });
    await page.evaluate(() => opfsApi.open("c", "opfs:filling", {}));
    expect(await page.evaluate(() => opfsApi.content("c"))).toHaveLength(10 * resolved);
    await own.close();
  });

  test("a page with a strict policy serves the worker itself", async () => {
    const page = await newPage(strict);
    const options = { ...OPTIONS, workerUrl: "/worker.js" };
    expect(await page.evaluate((o) => opfsApi.open("c", "opfs:strict", o), options)).toEqual({
      version: 0,
      recovered: false,
    });
    expect(await page.evaluate(() => opfsApi.write("c", 0, 20, 1))).toBe(1);
    expect(await page.evaluate(() => opfsApi.content("c"))).toHaveLength(20);
    const refused = await page.evaluate((o) => opfsApi.open("d", "opfs:strict-two", o), OPTIONS);
    expect(refused).toMatchObject({ code: "WORKER_FAILED", message: expect.stringContaining("workerUrl") });
    await page.close();
  });

  test("files of Node open in a browser, and a browser's in Node", async () => {
    const golden = join(process.cwd(), "test", "golden", "v1-i8-euclidean");
    const files: Record<string, string> = {};
    for (const name of await readdir(golden)) files[name] = (await readFile(join(golden, name))).toString("base64");
    const page = await newPage();
    await page.evaluate(([f]) => opfsApi.place("golden", f), [files] as const);
    expect(await page.evaluate(() => opfsApi.open("g", "opfs:golden", {}))).toEqual({ version: 7, recovered: false });
    const inNode = await openCollection(golden, { readOnly: true, backend: "cpu", threads: 1 });
    const records: unknown[] = [];
    for await (const batch of inNode.scan()) {
      for (const { id, vector, metadata } of batch) records.push({ id, vector: [...vector], metadata });
    }
    await inNode.close();
    expect(await page.evaluate(() => opfsApi.records("g"))).toEqual(records);
    await page.evaluate(() => opfsApi.close("g"));

    await page.evaluate((o) => opfsApi.open("c", "opfs:outgoing", o), OPTIONS);
    await page.evaluate(() => opfsApi.write("c", 0, 30, 1));
    await page.evaluate(() => opfsApi.write("c", 10, 5, 2));
    const expected = await page.evaluate(() => opfsApi.records("c"));
    await page.evaluate(() => opfsApi.close("c"));
    const copy = await mkdtemp(join(tmpdir(), "nearfield-opfs-"));
    try {
      for (const [name, text] of Object.entries(await page.evaluate(() => opfsApi.files("outgoing")))) {
        await writeFile(join(copy, name), Buffer.from(text, "base64"));
      }
      const collection = await openCollection(copy, { backend: "cpu", threads: 1 });
      expect(collection.recovered).toBeUndefined();
      const found = await collection.get(expected.map(({ id }) => id));
      expect(found.map((record) => [...(record?.vector ?? [])])).toEqual(expected.map(({ vector }) => vector));
      expect(collection.size).toBe(30);
      await collection.close();
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
    await page.close();
  });

  test("names that are none are refused", async () => {
    const page = await newPage();
    for (const location of ["opfs:", "opfs:a/b", "opfs:..", "./folder", `opfs:${"x".repeat(65)}`]) {
      expect(await page.evaluate(([l, o]) => opfsApi.open("c", l, o), [location, OPTIONS] as const)).toMatchObject({
        code: "INVALID_OPTION",
      });
    }
    expect(await page.evaluate(() => opfsApi.open("c", "opfs:nobody", { create: false }))).toMatchObject({
      code: "NOT_FOUND",
    });
    await page.close();
  });

  /** Number of an id → the step that wrote it. */
  type Model = ReadonlyMap<number, number>;

  function after(model: Model, { kind, ids, step }: Write): Model {
    if (kind === "upsert") return new Map([...model, ...ids.map((id) => [id, step] as const)]);
    return new Map([...model].filter(([id]) => !ids.includes(id)));
  }

  const isSame = (a: Model, b: Model): boolean => a.size === b.size && [...a].every(([id, step]) => b.get(id) === step);

  test("24 pages and workers that end in the middle of writing lose nothing that was acknowledged", async () => {
    const random = uniform(11);
    let model: Model = new Map();
    let underWay = 0;
    for (let life = 1; life <= 24; life++) {
      const page = await newPage();
      let states: Model[] = [model];
      let begun = 0;
      await page.exposeFunction("report", (line: { begin: Write } | { done: true }) => {
        const [acknowledged = model] = states;
        if ("begin" in line) {
          begun++;
          states = [acknowledged, after(acknowledged, line.begin)];
        } else {
          states = states.slice(-1);
        }
      });
      const opened = await page.evaluate((o) => opfsApi.open("c", "opfs:killed", o), OPTIONS);
      expect(opened, `life ${life}`).toHaveProperty("version");
      const found: Model = new Map(await page.evaluate(() => opfsApi.content("c")));
      expect(isSame(found, model), `life ${life}`).toBe(true);
      const writing = page.evaluate((seed) => opfsApi.writeForEver("c", seed), life).catch(() => "the page is gone");
      const endAfter = 1 + random() * 12;
      await expect.poll(() => begun, { timeout: 20_000, interval: 1 }).toBeGreaterThan(endAfter);
      await new Promise<void>((resolve) => void systemClock.after(random() * 15, resolve));
      if (life % 2 === 0) {
        expect(await page.evaluate(() => opfsApi.endStorageWorkers())).toBeGreaterThan(0);
        await page.close();
      } else {
        await page.close();
      }
      await writing;
      if (states.length > 1) underWay++;
      const next = await newPage();
      await expect
        .poll(() => next.evaluate(() => opfsApi.open("c", "opfs:killed", {})), { timeout: 20_000 })
        .toHaveProperty("version");
      const left: Model = new Map(await next.evaluate(() => opfsApi.content("c")));
      expect(
        states.some((state) => isSame(state, left)),
        `after life ${life}`,
      ).toBe(true);
      expect((await next.evaluate(() => opfsApi.verify("c"))).damages.length).toBeLessThanOrEqual(1);
      await next.evaluate(() => opfsApi.close("c"));
      await next.close();
      model = left;
    }
    expect(underWay).toBeGreaterThan(3);
  }, 240_000);
});
