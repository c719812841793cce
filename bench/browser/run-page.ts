/** Opens the built benchmark page in a headless Chromium, from a server that sends no special headers, and waits for its results. */
import { launchBrowser } from "../../test/setup/browser.ts";
import { serve } from "../../test/setup/static-server.ts";
import type { PageResults } from "./page.ts";

declare const benchmark: Promise<PageResults>;

export interface PageRun {
  /** Where vite put the page. */
  readonly folder: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** Where to put a picture of the finished page; none: no picture. */
  readonly screenshot?: string;
}

/** Rejects with what went wrong on the page, a line on its console included. */
export async function runPage({ folder, parameters, screenshot }: PageRun): Promise<PageResults> {
  const server = await serve(folder);
  const browser = await launchBrowser();
  try {
    const page = await browser.newPage({ viewport: { width: 1000, height: 700 } });
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => complaints.push(message.text()));
    await page.goto(`${server.origin}/browser.html?${new URLSearchParams(parameters)}`);
    const results = await page.evaluate(() => benchmark);
    if (complaints.length > 0) throw new Error(`the page complained: ${complaints.join("; ")}`);
    if (screenshot !== undefined) await page.screenshot({ path: screenshot, fullPage: true });
    return results;
  } finally {
    await browser.close();
    await server.close();
  }
}
