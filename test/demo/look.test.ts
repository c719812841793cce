/**
 * How the demo looks and whom it serves: words and digits, a phone's screen, light and dark, axe on every page.
 * `DEMO_SCREENSHOTS=folder` keeps a picture of each page.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
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
  newPage,
  openDictionary,
  openEngineRoom,
} from "./demo-page.ts";

const folder = join(process.cwd(), ".cache", `demo-look-${process.pid}`);
const PHONE = { width: 360, height: 740 };
const DESKTOP = { width: 1100, height: 860 };

/** Pages with something to see on them. */
const PAGES: readonly (readonly [name: string, prepare: (page: Page, origin: string) => Promise<void>])[] = [
  [
    "dictionary",
    async (page, origin) => {
      await openDictionary(page, origin, "#/dictionary?q=fear+of+tight+spaces");
      await definitionsOf(page, "fear of tight spaces");
    },
  ],
  [
    "words",
    async (page, origin) => {
      await page.goto(`${origin}/#/words?word=coffee`);
      await page.getByTestId("word-list").getByText("tea", { exact: true }).waitFor({ timeout: 60_000 });
    },
  ],
  [
    "digits",
    async (page, origin) => {
      await page.goto(`${origin}/#/digits`);
      await drawSeven(page);
      await page.getByTestId("majority").getByText(/of 40/).waitFor();
    },
  ],
  [
    "engine-room",
    async (page, origin) => {
      await openDictionary(page, origin, "#/dictionary?q=a+book+of+maps");
      await definitionsOf(page, "a book of maps");
      await openEngineRoom(page);
      await page.locator(".engine-room canvas").waitFor();
    },
  ],
];

async function drawSeven(page: Page): Promise<void> {
  const pad = page.getByTestId("pad");
  await pad.waitFor({ timeout: 60_000 });
  await isReady(page);
  const box = await pad.boundingBox();
  if (box === null) throw new Error("the pad is not shown");
  const at = (x: number, y: number): [number, number] => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(0.28, 0.25));
  await page.mouse.down();
  for (const [x, y] of [
    [0.5, 0.24],
    [0.72, 0.25],
    [0.62, 0.45],
    [0.52, 0.65],
    [0.45, 0.85],
  ] as const)
    await page.mouse.move(...at(x, y), { steps: 6 });
  await page.mouse.up();
}

describe.skipIf(!browserAvailable())("the demo's pages", () => {
  describe.each(ADAPTERS)("$name", { timeout: 2 * FIRST_VISIT_MS }, ({ hasWebGpu }) => {
    const complaints: string[] = [];
    let browser: Browser;
    let server: StaticServer;
    let context: BrowserContext;
    let page: Page;

    beforeAll(async () => {
      await buildDemo(folder);
      server = await serve(folder);
      browser = await launchBrowser({ hasWebGpu });
      context = await browser.newContext({ viewport: DESKTOP });
      page = await newPage(context, complaints);
      await openDictionary(page, server.origin);
    }, 600_000);

    afterAll(async () => {
      await browser?.close();
      await server?.close();
      await rm(folder, { recursive: true, force: true });
      expect(complaints).toEqual([]);
    });

    test("words near a word", async () => {
      await page.goto(`${server.origin}/#/words?word=coffee`);
      const list = page.getByTestId("word-list");
      await list.getByText("tea", { exact: true }).waitFor({ timeout: 60_000 });
      expect(await list.innerText()).toContain("drinks");
      // Each word that is picked is a step, which Back takes back; typing is none.
      await list.getByText("tea", { exact: true }).click();
      await page.getByRole("heading", { name: "Nearest to “tea”" }).waitFor();
      await page.getByLabel("A word").fill("milk");
      await page.getByRole("heading", { name: "Nearest to “milk”" }).waitFor();
      expect(page.url()).toContain("word=milk");
      await page.goBack();
      await page.getByRole("heading", { name: "Nearest to “coffee”" }).waitFor();
      await page.goForward();
      await page.getByRole("heading", { name: "Nearest to “milk”" }).waitFor();
    });

    test("an analogy", async () => {
      await page.getByRole("button", { name: /man.*king.*woman/i }).click();
      await expect.poll(() => page.getByTestId("analogy-list").innerText()).toContain("queen");
    });

    test("a drawn digit finds its like", async () => {
      await page.goto(`${server.origin}/#/digits`);
      await drawSeven(page);
      await expect.poll(() => page.getByTestId("majority").innerText(), { timeout: 60_000 }).toMatch(/^7 /);
      expect(await page.getByTestId("nearest").locator(":scope > *").count()).toBe(40);
    });

    describe.each(["light", "dark"] as const)("in %s", (scheme) => {
      test.each(PAGES)("%s has no fault that axe finds, and fits a phone", async (name, prepare) => {
        await page.emulateMedia({ colorScheme: scheme });
        for (const [size, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
          await page.setViewportSize(viewport);
          await page.goto("about:blank");
          await prepare(page, server.origin);
          const { violations } = await new AxeBuilder({ page }).analyze();
          expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual([]);
          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          expect(overflow).toBeLessThanOrEqual(0);
          const shots = process.env["DEMO_SCREENSHOTS"];
          if (shots !== undefined)
            await page.screenshot({
              path: join(shots, `${name}-${scheme}-${size}.png`),
            });
        }
      });
    });
  });
});
