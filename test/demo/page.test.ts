/** The demo in real headless Chromium, as it is built for any host: no header, WebGPU on a software adapter, and none. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserAvailable, launchBrowser } from "../setup/browser.ts";
import { serve, type StaticServer } from "../setup/static-server.ts";
import {
  ADAPTERS,
  buildDemo,
  definitionsOf,
  FIRST_VISIT_MS,
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
const complaints: string[] = [];
let server: StaticServer;

describe.skipIf(!browserAvailable())("the demo in headless Chromium", () => {
  beforeAll(async () => {
    await buildDemo(folder);
    server = await serve(folder);
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
      const loaded = transferOf(page);
      await page.goto(server.origin);
      await page.getByRole("progressbar").waitFor({ timeout: FIRST_VISIT_MS });
      await isReady(page);
      expect(await page.locator(".notice").count()).toBe(0);
      const { codeBytes, bytes } = await loaded();
      console.info(`demo: the front page loads ${codeBytes} bytes of code, gzipped, of ${bytes} in all`);
      expect(codeBytes).toBeGreaterThan(10_000);
      expect(codeBytes).toBeLessThanOrEqual(150_000);
      expect(bytes).toBeLessThanOrEqual(15_000_000);
    });

    test.each(PHRASES)("finds, for “%s”, %s among the first ten", async (phrase, word) => {
      const found = await lookUp(page, phrase);
      expect(found).toHaveLength(20);
      expect(found.slice(0, 10).join("\n")).toMatch(new RegExp(`\\b${word}\\b`));
    });

    test("shows which words were asked for", async () => {
      await lookUp(page, "fear of tight spaces");
      expect(await page.locator("#definitions mark").allInnerTexts()).toContain("fear");
    });

    test("filters by part of speech", async () => {
      await lookUp(page, "quick");
      await page.getByRole("radio", { name: "verb", exact: true }).check();
      await expect.poll(() => page.locator(".definition .part").allInnerTexts()).toEqual(Array(20).fill("verb"));
      await page.getByRole("radio", { name: "any" }).check();
      await expect
        .poll(async () => new Set(await page.locator(".definition .part").allInnerTexts()).size)
        .toBeGreaterThan(1);
    });

    test("goes on from a definition: more like this, and not like that", async () => {
      const [first = ""] = await lookUp(page, "a place where you borrow books");
      await page.locator(".definition").first().getByText("more like this").click();
      const like = await definitionsOf(page, "");
      expect(await page.locator(".examples").innerText()).toContain(`like ${first.split(" ")[0]}`);
      expect(like).toHaveLength(20);
      await page.locator(".definition").first().getByTitle("not like this").click();
      await expect.poll(() => page.locator(".examples li").count()).toBe(2);
      await expect.poll(() => page.locator("#definitions h2").first().innerText()).not.toBe(like[0]);
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
      await definitionsOf(page, "");
      expect(await page.locator(".examples").innerText()).toContain(found[0]?.split(" ")[0]);
    });

    test("takes away what is said not to be meant", async () => {
      await page.goto(`${server.origin}/#/words`);
      await page.goto(`${server.origin}/#/dictionary?q=a+large+cat`);
      const plain = await definitionsOf(page, "a large cat");
      await page.getByText("… but not like").click();
      await page.getByLabel("but not like").fill("a wild animal of Africa");
      await expect.poll(() => page.locator("#definitions h2").allInnerTexts()).not.toEqual(plain);
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
        .toMatch(/48 of 48 .* 48 with the ids/);
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
          .toMatch(/Device destroyed: 48 of 48 .* 48 with the ids/);
        await expect.poll(() => page.locator(".events").innerText()).toContain("device-lost");
      },
      240_000,
    );

    test.skipIf(hasWebGpu)("says that there is no GPU, and why", async () => {
      await page.getByText("Open the GPU beside it").click();
      await expect.poll(() => page.locator(".choose").innerText()).toMatch(/WebGPU/);
    });

    test("works offline after the first visit", async () => {
      const offline = await newPage(context, complaints);
      await offline.goto(server.origin);
      await offline.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
      await context.setOffline(true);
      try {
        await offline.reload();
        await isReady(offline);
        expect((await lookUp(offline, "a book of maps")).slice(0, 10).join("\n")).toContain("atlas");
      } finally {
        await context.setOffline(false);
        await offline.close();
      }
    });
  });
});
