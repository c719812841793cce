/** The demo in real headless Chromium, as it is built for any host: no header, WebGPU on a software adapter, and none. */
import { cp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserAvailable, launchBrowser } from "../setup/browser.ts";
import { serve, type StaticServer } from "../setup/static-server.ts";
import {
  ADAPTERS,
  buildDemo,
  definitionsFor,
  definitionsOf,
  FIRST_VISIT_MS,
  isKeptOffline,
  isReady,
  lookUp,
  newPage,
  openDictionary,
  openEngineRoom,
  transferOf,
} from "./demo-page.ts";

const PHRASES: readonly (readonly [phrase: string, word: string])[] = [
  ["fear of tight spaces", "claustrophobia"],
  ["a place where you borrow books", "library"],
  ["fear of spiders", "arachnophobia"],
  ["a doctor for children", "pediatrician"],
  ["an instrument for measuring temperature", "thermometer"],
  ["animal that eats only plants", "herbivore"],
  ["a book of maps", "atlas"],
  ["the day before today", "yesterday"],
  ["the science of plants", "botany"],
  ["a very tall building", "skyscraper"],
];

const folder = join(process.cwd(), ".cache", `demo-page-${process.pid}`);
const MOST_CODE_BYTES = 150_000;
/** What GitHub Pages says of every file. */
const HEADERS = { "cache-control": "max-age=600" };
const complaints: string[] = [];
let server: StaticServer;

describe.skipIf(!browserAvailable())("the demo in headless Chromium", () => {
  beforeAll(async () => {
    await buildDemo(folder);
    server = await serve(folder, HEADERS);
  }, 300_000);

  afterAll(async () => {
    await server?.close();
    await rm(folder, { recursive: true, force: true });
    expect(complaints).toEqual([]);
  });

  describe.each(ADAPTERS)("$name", ({ hasWebGpu }) => {
    let browser: Browser;
    let context: BrowserContext;
    let page: Page;

    beforeAll(async () => {
      browser = await launchBrowser({ hasWebGpu });
      context = await browser.newContext();
      page = await newPage(context, complaints);
    });

    afterAll(() => browser?.close());

    test("the first visit makes the dictionary, showing how far it is", { timeout: FIRST_VISIT_MS }, async () => {
      const before = server.served.length;
      await page.goto(server.origin);
      await page.getByRole("progressbar").waitFor({ timeout: FIRST_VISIT_MS });
      await isReady(page);
      expect(await page.locator(".notice").count()).toBe(0);
      await isKeptOffline(page);
      const { codeBytes, bytes } = await transferOf(folder, server.served.slice(before));
      console.info(`demo: ${codeBytes} bytes of code, gzipped, of ${bytes} in all, with what is kept for offline`);
      expect(codeBytes).toBeGreaterThan(10_000);
      expect(codeBytes).toBeLessThanOrEqual(MOST_CODE_BYTES);
      expect(bytes).toBeGreaterThan((await stat("demo/model/embedder.bin")).size);
      expect(bytes).toBeLessThanOrEqual(15_000_000);
    });

    test("the page stays within its size where there is a GPU, too", { timeout: FIRST_VISIT_MS }, async () => {
      const visit = await browser.newContext({ serviceWorkers: "block" });
      const before = server.served.length;
      await openDictionary(await newPage(visit, complaints), server.origin);
      const own = await transferOf(folder, server.served.slice(before));
      await visit.close();
      const scanner = (await readdir(join(folder, "assets"))).filter((name) => /^scanner-.*\.js$/.test(name));
      expect(scanner).toHaveLength(1);
      const more = await transferOf(folder, [`/assets/${scanner[0]}`]);
      console.info(
        `demo: the front page is ${own.codeBytes} bytes of code, gzipped, ${more.codeBytes} more with a GPU`,
      );
      expect(own.codeBytes + more.codeBytes).toBeLessThanOrEqual(MOST_CODE_BYTES);
    });

    test.each(PHRASES)("finds, for “%s”, %s among the first ten", async (phrase, word) => {
      const found = await lookUp(page, phrase);
      expect(found).toHaveLength(20);
      expect(found.slice(0, 10).join("\n")).toMatch(new RegExp(`\\b${word}\\b`));
    });

    test("shows which words were asked for", async () => {
      await lookUp(page, "fear of tight spaces");
      expect(await page.locator("#definitions mark").allTextContents()).toContain("fear");
    });

    test("filters by part of speech", async () => {
      await lookUp(page, "quick");
      await page.getByRole("radio", { name: "verb", exact: true }).check();
      await expect.poll(() => page.locator(".definition .part").allTextContents()).toEqual(Array(20).fill("verb"));
      await page.getByRole("radio", { name: "any" }).check();
      await expect
        .poll(async () => new Set(await page.locator(".definition .part").allTextContents()).size)
        .toBeGreaterThan(1);
    });

    test("goes on from a definition: more like this, and not like that", async () => {
      const [first = ""] = await lookUp(page, "a place where you borrow books");
      await page.locator(".definition").first().getByText("more like this").click();
      const like = await definitionsFor(page, /^like=\d+$/);
      expect(await page.locator(".examples").innerText()).toContain(`like ${first.split(" ")[0]}`);
      expect(like).toHaveLength(20);
      expect(like).not.toContain(first);
      const address = page.url();
      await page.locator(".definition").first().getByTitle("not like this").click();
      expect(await definitionsFor(page, /^like=\d+&unlike=\d+$/)).not.toContain(like[0]);
      // The step back is the browser's, and a link leads to the same.
      await page.goBack();
      expect(await definitionsFor(page, /^like=\d+$/)).toEqual(like);
      await page.goto("about:blank");
      await page.goto(address);
      expect(await definitionsFor(page, /^like=\d+$/)).toEqual(like);
      expect(await page.locator(".examples").innerText()).toContain(`like ${first.split(" ")[0]}`);
    });

    test("says of an example that it does not have, as an old link may name one", async () => {
      await openDictionary(page, server.origin, "#/dictionary?q=a+book+of+maps&like=99999999");
      await definitionsFor(page, /like=99999999/);
      expect(await page.locator(".examples").innerText()).toContain("like a definition that is not in this dictionary");
    });

    test("keeps what was asked while another page is shown", async () => {
      await openDictionary(page, server.origin, "#/dictionary?q=fear+of+spiders");
      const found = await definitionsOf(page, "fear of spiders");
      await page.getByRole("link", { name: "Words" }).click();
      await page.getByRole("heading", { name: "Words by meaning" }).waitFor();
      await page.getByRole("link", { name: "Dictionary" }).click();
      expect(await definitionsOf(page, "fear of spiders")).toEqual(found);
      expect(await page.getByLabel("A meaning").inputValue()).toBe("fear of spiders");
      expect(page.url()).toContain("?q=fear+of+spiders");
    });

    test("says what it found to those who do not see it, and asks for more where nothing is liked", async () => {
      const [nearest = ""] = await lookUp(page, "a book of maps");
      await expect.poll(() => page.locator('section > [role="status"]').innerText()).toContain(nearest.split(" ")[0]);
      await openDictionary(page, server.origin, "#/dictionary?not=a+large+cat");
      await page.getByText("Say what it is like, too").waitFor();
    });

    test("can be used by the keyboard alone", async () => {
      await openDictionary(page, server.origin, "#/dictionary?q=a+book+of+maps");
      const found = await definitionsOf(page, "a book of maps");
      const focused = (): Promise<string> =>
        page.evaluate(() => document.activeElement?.querySelector("h2")?.innerText ?? "");
      await page.getByLabel("A meaning").press("ArrowDown");
      expect(await focused()).toBe(found[0]);
      await page.keyboard.press("ArrowDown");
      expect(await focused()).toBe(found[1]);
      await page.keyboard.press("Escape");
      expect(await page.getByLabel("A meaning").evaluate((field) => field === document.activeElement)).toBe(true);
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("/");
      expect(await page.getByLabel("A meaning").inputValue()).toBe("a book of maps");
      expect(await page.getByLabel("A meaning").evaluate((field) => field === document.activeElement)).toBe(true);
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Enter");
      await definitionsFor(page, /^like=\d+$/);
      expect(await page.locator(".examples").innerText()).toContain(found[0]?.split(" ")[0]);
    });

    test("quick steps from page to page end where the last one led", async () => {
      await page.goto(`${server.origin}/#/words`);
      await page.getByTestId("word-list").waitFor({ timeout: 60_000 });
      for (let wait = 0; wait < 24; wait += 2) {
        const query = `a large cat ${wait}`;
        await page.evaluate(
          async ([ms, asked]) => {
            location.hash = "#/words";
            await new Promise((resolve) => setTimeout(resolve, Number(ms)));
            location.hash = `#/dictionary?q=${encodeURIComponent(String(asked))}`;
          },
          [wait, query],
        );
        expect(await definitionsOf(page, query)).toHaveLength(20);
      }
    });

    test("takes away what is said not to be meant", async () => {
      await page.goto(`${server.origin}/#/words`);
      await page.goto(`${server.origin}/#/dictionary?q=a+large+cat`);
      const plain = await definitionsOf(page, "a large cat");
      await page.getByText("… but not like").click();
      await page.getByLabel("but not like").fill("a wild animal of Africa");
      await expect.poll(() => page.locator("#definitions h2").allTextContents()).not.toEqual(plain);
      expect(page.url()).toContain("not=a+wild+animal+of+Africa");
    });

    test("is there at the second visit, without being made again", async () => {
      const second = await newPage(context, complaints);
      const stages: string[] = [];
      await second.exposeFunction("sawProgress", () => stages.push("progress"));
      await second.addInitScript(() => {
        new MutationObserver(() => {
          if (document.querySelector("progress") !== null)
            (globalThis as unknown as { sawProgress(): void }).sawProgress();
        }).observe(document, { childList: true, subtree: true });
      });
      const from = performance.now();
      await openDictionary(second, server.origin, "#/dictionary?q=fear+of+spiders");
      expect((await definitionsOf(second, "fear of spiders")).slice(0, 10).join("\n")).toContain("arachnophobia");
      console.info(`demo: second visit to first answer ${Math.round(performance.now() - from)} ms in software`);
      expect(stages).toEqual([]);
      await second.close();
    });

    test("loses no search when a worker crashes", async () => {
      await openDictionary(page, server.origin, "#/dictionary?q=fear+of+spiders");
      await definitionsOf(page, "fear of spiders");
      await openEngineRoom(page);
      await page.getByText("Crash a worker while searching").click();
      await expect
        .poll(() => page.getByTestId("trial").innerText(), { timeout: 60_000 })
        .toMatch(/Worker crashed: 48 of 48 .* [1-9]\d* of them after it broke, 48 with the ids/);
      await expect.poll(() => page.locator(".events").innerText()).toContain("worker-crashed");
    });

    test.skipIf(!hasWebGpu)(
      "opens the GPU beside the CPU, which agree, and loses no search with the device",
      async () => {
        await page.getByText("Open the GPU beside it").click();
        await expect
          .poll(() => page.getByTestId("agreement").innerText(), { timeout: 60_000 })
          .toContain("identical ids");
        await page.getByRole("button", { name: "GPU", exact: true }).click();
        await lookUp(page, "a book of maps");
        await expect.poll(() => page.getByTestId("headline").innerText()).toMatch(/^GPU .* exact$/);
        await page.getByText("Destroy the GPU device while searching").click();
        await expect
          .poll(() => page.getByTestId("trial").innerText(), { timeout: 120_000 })
          .toMatch(/Device destroyed: 48 of 48 .* [1-9]\d* of them after it broke, 48 with the ids/);
        await expect.poll(() => page.locator(".events").innerText()).toContain("device-lost");
      },
      240_000,
    );

    test.skipIf(hasWebGpu)("says that there is no GPU, and why", async () => {
      await page.getByText("Open the GPU beside it").click();
      await expect.poll(() => page.locator(".choose").innerText()).toMatch(/WebGPU/);
    });

    test("works offline after a first visit in which nothing was searched", { timeout: FIRST_VISIT_MS }, async () => {
      // As vite's preview does: what was asked for without the header is no answer to who asks with it.
      const host = await serve(folder, { ...HEADERS, vary: "Origin" });
      const visit = await browser.newContext();
      const visitor = await newPage(visit, complaints);
      await openDictionary(visitor, host.origin);
      await isKeptOffline(visitor);
      await visitor.close();
      await visit.setOffline(true);
      const offline = await newPage(visit, complaints);
      await openDictionary(offline, host.origin);
      expect((await lookUp(offline, "a book of maps")).slice(0, 10).join("\n")).toContain("atlas");
      await openEngineRoom(offline);
      await offline.getByText("Crash a worker while searching").click();
      await expect.poll(() => offline.getByTestId("trial").innerText(), { timeout: 60_000 }).toMatch(/48 of 48/);
      await visit.close();
      await host.close();
    });

    test("takes a new build, whatever the browser's own cache has of the old one", {
      timeout: FIRST_VISIT_MS,
    }, async () => {
      const copy = `${folder}-copy`;
      await cp(folder, copy, { recursive: true });
      const host = await serve(copy, HEADERS);
      const visit = await browser.newContext();
      try {
        const before = await newPage(visit, complaints);
        await openDictionary(before, host.origin);
        await isKeptOffline(before);
        await renameEntry(copy);
        // The kept page is shown once more, while the browser finds the new build.
        await before.reload();
        await isReady(before);
        await expect
          .poll(() => before.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.waiting?.state), {
            timeout: 20_000,
          })
          .toBe("installed");
        await before.close();
        await expect.poll(() => entryOf(visit, host.origin), { timeout: 20_000 }).toContain("renamed");
        const after = await newPage(visit, complaints);
        await openDictionary(after, host.origin, "#/dictionary?q=fear+of+spiders");
        await definitionsOf(after, "fear of spiders");
      } finally {
        await visit.close();
        await host.close();
        await rm(copy, { recursive: true, force: true });
      }
    });

    test("brings its licences", async () => {
      const licences = await newPage(context, complaints);
      for (const [link, texts] of [
        ["Licences", ["The nearfield authors", "Princeton", "GloVe", "all-MiniLM-L6-v2", "Apache License"]],
        ["of the libraries too", ["preact", "comlink", "uplot", "d3-zoom"]],
      ] as const) {
        await licences.goto(server.origin);
        await licences.getByRole("link", { name: link, exact: true }).click();
        await licences.waitForURL(/txt$/);
        for (const text of texts) expect(await licences.locator("body").innerText()).toContain(text);
      }
      await licences.close();
    });
  });
});

/** The script that the page of `origin` begins with now. */
async function entryOf(visit: BrowserContext, origin: string): Promise<string> {
  const page = await visit.newPage();
  await page.goto(origin);
  const address = (await page.locator("script[src]").getAttribute("src")) ?? "";
  await page.close();
  return address;
}

/** What a build with other code is: another name for the script, here and wherever it is named, and none of the old. */
async function renameEntry(build: string): Promise<void> {
  const page = await readFile(join(build, "index.html"), "utf8");
  const name = /assets\/(index-[^"]+)\.js/.exec(page)?.[1];
  if (name === undefined) throw new Error("the page names no script");
  const scripts = (await readdir(join(build, "assets"))).filter((file) => file.endsWith(".js"));
  for (const file of ["index.html", "service-worker.js", ...scripts.map((script) => join("assets", script))]) {
    const text = await readFile(join(build, file), "utf8");
    await writeFile(join(build, file), text.replaceAll(name, "index-renamed").replace('"name":"', '"name":"next-'));
  }
  await rename(join(build, "assets", `${name}.js`), join(build, "assets", "index-renamed.js"));
}
