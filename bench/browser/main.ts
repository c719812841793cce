/** `npm run bench:browser`: the benchmark page in headless Chromium; its results as JSON lines and as a picture. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { BROWSER_VARIABLE } from "../../test/setup/backends.ts";
import { browserOf, nativeAssets } from "../../test/setup/chromium-assets.ts";
import { caseKey } from "../cases/case.ts";
import { runCommand } from "../command-line.ts";
import { commitOf } from "../commit.ts";
import { comparisonLines } from "../comparison-table.ts";
import { runtime } from "../machine.ts";
import { ResultFile } from "../result-file.ts";
import { runPage } from "./run-page.ts";

const USAGE = `npm run bench:browser -- [options]
options:
  --rows N           most rows of a set (default 100000)
  --rounds N         turns of each contender (default 7)
  --threads N        Web Workers (default: as many as the browser tells)
  --only PART        cases whose name contains PART
  --out FILE         where to append results (default build/bench-browser.jsonl)`;

const PAGE_OPTIONS = {
  rows: { type: "string" },
  rounds: { type: "string" },
  threads: { type: "string" },
  only: { type: "string" },
} as const;

// build/bench-browser/main.js and bench/browser/main.ts both lie two folders below the package.
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const SCHEMA = 1;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { ...PAGE_OPTIONS, out: { type: "string" }, help: { type: "boolean", default: false } },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const { out, help: _, ...parameters } = values;
  const browser = browserOf(await nativeAssets(join(root, ".cache")));
  if ("missing" in browser) throw new Error(browser.missing);
  process.env[BROWSER_VARIABLE] = JSON.stringify(browser);
  const screenshot = join(root, "build", "bench-browser.png");
  const { setting, results } = await runPage({
    folder: join(root, "build", "bench-page"),
    parameters: { ...parameters },
    screenshot,
  });
  const file = new ResultFile(out ?? join(root, "build", "bench-browser.jsonl"));
  const about = { schema: SCHEMA, type: "browser", commit: commitOf(root), date: new Date().toISOString() };
  for (const result of results) {
    file.append({ ...about, runtime: runtime(), page: setting, key: caseKey(result.case), ...result });
    for (const line of comparisonLines(result, "nearfield full")) console.log(line);
  }
  file.close();
  console.log(`results: ${file.path}, picture: ${screenshot}`);
  return results.some(({ contenders }) => contenders.some(({ status }) => status !== "ok")) ? 1 : 0;
}

await runCommand(main);
