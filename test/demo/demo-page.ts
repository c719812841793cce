/** The built demo on a plain host, and what a person does on its pages. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import type { BrowserContext, Page } from "playwright-core";
import { expect } from "vitest";

/** The browsers that every page is tried in: a software adapter, which "auto" leaves alone, and none. */
export const ADAPTERS: readonly { readonly name: string; readonly hasWebGpu: boolean }[] = [
  { name: "with WebGPU", hasWebGpu: true },
  { name: "without WebGPU", hasWebGpu: false },
];

/** The first visit embeds and stores 117,791 definitions on two shared cores. */
export const FIRST_VISIT_MS = 120_000;

/** As `npm run demo:build -- --with-mnist` does, into `folder`. */
export async function buildDemo(folder: string): Promise<void> {
  // vitest's NODE_ENV would make it a build for tests, without a service worker.
  const { NODE_ENV: _, ...env } = process.env;
  const config = join("demo", "vite.config.ts");
  const args = ["vite", "build", "--config", config, "--logLevel", "warn", "--outDir", folder, "--", "--with-mnist"];
  await promisify(execFile)("npx", args, { env });
}

/** A page of the context; what its scripts complain of is added to `complaints`. */
export async function newPage(context: BrowserContext, complaints: string[]): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(String(error.stack ?? error)));
  return page;
}

export async function openDictionary(page: Page, origin: string, hash = "#/dictionary"): Promise<void> {
  await page.goto(`${origin}/${hash}`);
  await isReady(page);
}

/** Until the engine room says what answers. */
export async function isReady(page: Page): Promise<void> {
  await page.getByTestId("headline").waitFor({ timeout: FIRST_VISIT_MS });
}

/** The first words of the definitions found for `text`, with their synonyms, once they answer it. */
export async function lookUp(page: Page, text: string): Promise<string[]> {
  await page.getByLabel("A meaning").fill(text);
  return definitionsOf(page, text);
}

/** Waits for the answer to `text`, which is all that is asked. */
export function definitionsOf(page: Page, text: string): Promise<string[]> {
  return definitionsFor(page, new URLSearchParams({ q: text }).toString());
}

/** Waits for the answer to a query of the page's address, or to one like it: the list says what it answers. */
export async function definitionsFor(page: Page, query: string | RegExp): Promise<string[]> {
  const answered = expect.poll(() => page.locator("#definitions").getAttribute("data-answers"), { timeout: 20_000 });
  await (typeof query === "string" ? answered.toBe(query) : answered.toMatch(query));
  // Not the rendered text: what is below the screen is not rendered.
  return page.locator("#definitions h2").allTextContents();
}

export async function openEngineRoom(page: Page): Promise<void> {
  await page.locator(".engine-room summary").click();
  await page.locator(".engine-room .figures").waitFor();
}

/** What the host sent: code as one that gzips sends it, data as it lies there. */
export async function transferOf(
  folder: string,
  paths: readonly string[],
): Promise<{ codeBytes: number; bytes: number }> {
  let codeBytes = 0;
  let bytes = 0;
  for (const path of paths) {
    const body = await readFile(join(folder, path.endsWith("/") ? `${path}index.html` : path));
    const isCode = /(\/|\.html|\.js|\.css)$/.test(path);
    const sent = isCode ? gzipSync(body, { level: 9 }).length : body.length;
    bytes += sent;
    if (isCode) codeBytes += sent;
  }
  return { codeBytes, bytes };
}

/** Until the service worker has kept what the page needs without a network. */
export async function isKeptOffline(page: Page): Promise<void> {
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
}
