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
/** Room for the page's scripts and one dictionary, of about 35 MB, and not for two. */
const ROOM_FOR_ONE = 75_000_000;

/** A page of the same origin on which nothing of the demo runs. */
async function plainPage(context: BrowserContext, origin: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${origin}/licences.txt`);
  return page;
}

/** Spoils the middle of every large file; the number of these. */
async function damageStores(context: BrowserContext, origin: string): Promise<number> {
  const page = await plainPage(context, origin);
  const count = await page.evaluate(async () => {
    const stores = await (await navigator.storage.getDirectory()).getDirectoryHandle("nearfield");
    let damaged = 0;
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
        damaged++;
      }
    }
    return damaged;
  });
  await page.close();
  return count;
}

/** Gives the one store the name of an older version's; its name before. */
async function makeOlder(context: BrowserContext, origin: string, name: string): Promise<string> {
  const page = await plainPage(context, origin);
  const before = await page.evaluate(async (older) => {
    const stores = await (await navigator.storage.getDirectory()).getDirectoryHandle("nearfield");
    for await (const store of stores.values()) {
      if (store.kind !== "directory") continue;
      const target = await stores.getDirectoryHandle(older, { create: true });
      for await (const handle of store.values()) {
        if (handle.kind !== "file") continue;
        const copy = await (await target.getFileHandle(handle.name, { create: true })).createWritable();
        await copy.write(await handle.getFile());
        await copy.close();
      }
      await stores.removeEntry(store.name, { recursive: true });
      return store.name;
    }
    throw new Error("there is no store");
  }, name);
  await page.close();
  return before;
}

async function storesOf(context: BrowserContext, origin: string): Promise<string[]> {
  const page = await plainPage(context, origin);
  const names = await page.evaluate(async () => {
    const stores = await (await navigator.storage.getDirectory()).getDirectoryHandle("nearfield");
    const found: string[] = [];
    for await (const name of stores.keys()) found.push(name);
    return found;
  });
  await page.close();
  return names;
}

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
      expect(await damageStores(context, server.origin)).toBeGreaterThan(0);
      const page = await newPage(context, complaints);
      await openDictionary(page, server.origin);
      expect(await page.locator(".notice").allInnerTexts()).toEqual([expect.stringMatching(/damaged.*made again/)]);
      await finds(page);
    });

    test("is made again once where two tabs find it damaged", async () => {
      const first = await newPage(context, complaints);
      await openDictionary(first, server.origin);
      await first.close();
      expect(await damageStores(context, server.origin)).toBeGreaterThan(0);
      const tabs = [await newPage(context, complaints), await newPage(context, complaints)] as const;
      await Promise.all(tabs.map((tab) => openDictionary(tab, server.origin)));
      const notices = await Promise.all(tabs.map((tab) => tab.locator(".notice").allInnerTexts()));
      expect(notices.flat()).toEqual([expect.stringMatching(/damaged.*made again/)]);
      for (const tab of tabs) await finds(tab);
    });

    test("takes the place of an older version's where there is no room for both", async () => {
      const first = await newPage(context, complaints);
      await openDictionary(first, server.origin);
      await first.close();
      const name = await makeOlder(context, server.origin, "glosses-00000000");
      const page = await newPage(context, complaints);
      const session = await context.newCDPSession(page);
      await session.send("Storage.overrideQuotaForOrigin", { origin: server.origin, quotaSize: ROOM_FOR_ONE });
      await openDictionary(page, server.origin);
      expect(await page.locator(".notice").count()).toBe(0);
      await finds(page);
      await expect.poll(() => storesOf(context, server.origin)).toEqual([name]);
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
