/**
 * `npm run bench:report`: the generated parts of BENCHMARKS.md and its charts, out of the JSON lines
 * in bench/results. Numbers of different machines or runtimes get sections of their own and never
 * meet in a table. `--check` writes nothing and fails where the document is not what the data says.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { report } from "./report.ts";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });

const results = join(root, "bench", "results");
const files = readdirSync(results)
  .filter((name) => name.endsWith(".jsonl"))
  .map((name) => join(results, name));
const path = join(root, "BENCHMARKS.md");
const document = readFileSync(path, "utf8");
const { text, charts } = report(document, files);
const stale = [
  ...(text === document ? [] : [path]),
  ...[...charts].flatMap(([name, svg]) => {
    const file = join(results, "charts", name);
    try {
      return readFileSync(file, "utf8") === svg ? [] : [file];
    } catch {
      return [file]; // not there yet
    }
  }),
];
if (!values.check) {
  writeFileSync(path, text);
  mkdirSync(join(results, "charts"), { recursive: true });
  for (const [name, svg] of charts) writeFileSync(join(results, "charts", name), svg);
  console.log(`${path}, ${charts.size} charts`);
} else if (stale.length > 0) {
  console.error(`not what bench/results says: ${stale.join(", ")}; run npm run bench:report`);
  process.exitCode = 1;
}
