/** The built demo on a plain host, and what a person does on its pages. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import type { BrowserContext, Page, Request } from "playwright-core";
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

/** Waits for the answer to `text`: the list says what it answers. */
export async function definitionsOf(page: Page, text: string): Promise<string[]> {
  await expect.poll(() => page.locator("#definitions").getAttribute("data-answers"), { timeout: 20_000 }).toBe(text);
  return page.locator("#definitions h2").allInnerTexts();
}

export async function openEngineRoom(page: Page): Promise<void> {
  await page.locator(".engine-room summary").click();
  await page.locator(".engine-room .figures").waitFor();
}

/** From here on, what the page and its workers load: code as a host that gzips sends it, data as it lies there. */
export function transferOf(page: Page): () => Promise<{ codeBytes: number; bytes: number }> {
  const bodies: Promise<{ isCode: boolean; bytes: number }>[] = [];
  const add = (request: Request): void => {
    const { protocol, pathname } = new URL(request.url());
    if (protocol !== "http:") return; // what the engine makes its workers of
    const isCode = /(\/|\.html|\.js|\.css)$/.test(pathname);
    bodies.push(bytesOf(request, isCode).then((bytes) => ({ isCode, bytes })));
  };
  page.on("requestfinished", add);
  return async () => {
    page.off("requestfinished", add);
    const all = await Promise.all(bodies);
    const sum = (list: typeof all): number => list.reduce((total, { bytes }) => total + bytes, 0);
    return { codeBytes: sum(all.filter(({ isCode }) => isCode)), bytes: sum(all) };
  };
}

async function bytesOf(request: Request, isCode: boolean): Promise<number> {
  const body = (await (await request.response())?.body()) ?? Buffer.alloc(0);
  return isCode ? gzipSync(body).length : body.length;
}
