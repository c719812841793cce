/** The dictionary's store when the browser refuses it, is full, holds damaged files, or two tabs want it at once. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { browserAvailable, launchBrowser } from "../setup/browser.ts";
import { serve, type StaticServer } from "../setup/static-server.ts";
import { ADAPTERS, buildDemo, FIRST_VISIT_MS, isReady, lookUp, newPage, openDictionary } from "./demo-page.ts";

const folder = join(process.cwd(), ".cache", `demo-storage-${process.pid}`);
/** Room for the page's scripts, and not for the dictionary. */
const SMALL_QUOTA = 4_000_000;

describe.skipIf(!browserAvailable())("the dictionary's store", () => {
  describe.each(ADAPTERS)("$name", { timeout: 2 * FIRST_VISIT_MS }, ({ hasWebGpu }) => {
    const complaints: string[] = [];
    let browser: Browser;
    let server: StaticServer;
    let context: BrowserContext;

    beforeAll(async () => {
      await buildDemo(folder);
      server = await serve(folder);
      browser = await launchBrowser({ hasWebGpu });
    }, 300_000);

    afterAll(async () => {
      await browser?.close();
      await server?.close();
      await rm(folder, { recursive: true, force: true });
      expect(complaints).toEqual([]);
    });

    beforeEach(async () => {
      context = await browser.newContext();
    });

    afterEach(() => context.close());

    async function finds(page: Page): Promise<void> {
      expect((await lookUp(page, "a book of maps")).slice(0, 10).join("\n")).toContain("atlas");
    }

    test("is in memory where the browser refuses storage, and the page says so", async () => {
      const page = await newPage(context, complaints);
      await page.addInitScript(() => {
        navigator.storage.getDirectory = () => Promise.reject(new DOMException("not allowed here", "SecurityError"));
      });
      await openDictionary(page, server.origin);
      expect(await page.locator(".notice").innerText()).toMatch(/does not let the page store data.*in memory/);
      await finds(page);
    });

    test("is in memory where the storage is full, and the page says so", async () => {
      const page = await newPage(context, complaints);
      const session = await context.newCDPSession(page);
      await session.send("Storage.overrideQuotaForOrigin", { origin: server.origin, quotaSize: SMALL_QUOTA });
      await openDictionary(page, server.origin);
      expect(await page.locator(".notice").innerText()).toMatch(/storage is full.*in memory/);
      await finds(page);
    });

    test("is made again where its files are damaged, and the page says so", async () => {
      const first = await newPage(context, complaints);
      await openDictionary(first, server.origin);
      await first.close();
      const other = await newPage(context, complaints);
      await other.route("**/*.js", (route) => route.abort());
      await other.goto(server.origin);
      const damaged = await other.evaluate(async () => {
        const root = await navigator.storage.getDirectory();
        const stores = await root.getDirectoryHandle("nearfield");
        let count = 0;
        for await (const store of stores.values()) {
          if (store.kind !== "directory") continue;
          for await (const handle of store.values()) {
            if (handle.kind !== "file") continue;
            const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
            if (bytes.length < 100_000) continue;
            bytes.fill(0xa5, bytes.length >> 1, (bytes.length >> 1) + 64);
            const writable = await handle.createWritable();
            await writable.write(bytes);
            await writable.close();
            count++;
          }
        }
        return count;
      });
      expect(damaged).toBeGreaterThan(0);
      await other.close();
      const page = await newPage(context, complaints);
      await openDictionary(page, server.origin);
      expect(await page.locator(".notice").first().innerText()).toMatch(/damaged.*made again/);
      await finds(page);
    });

    test("is made by one of two tabs; the other waits, and goes on when the first one closes", async () => {
      const first = await newPage(context, complaints);
      await first.goto(server.origin);
      await first.getByRole("progressbar").waitFor({ timeout: FIRST_VISIT_MS });
      const second = await newPage(context, complaints);
      await second.goto(server.origin);
      await second.getByText("Another tab is making the dictionary").waitFor();
      await first.close();
      await isReady(second);
      await finds(second);
      // A third one finds it made, while the second one reads.
      const third = await newPage(context, complaints);
      await openDictionary(third, server.origin);
      await finds(third);
      await finds(second);
    });
  });
});
