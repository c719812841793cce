/** `npm run bench:compare -- A.jsonl B.jsonl`: ratios with their noise; exits 1 where B is slower beyond it, 2 where the two cannot be compared. */
import { parseArgs } from "node:util";
import { isComparison, readLines } from "../report/results.ts";
import { row } from "../table-row.ts";
import { judge } from "./judge.ts";

const USAGE = `npm run bench:compare -- A.jsonl B.jsonl [--tolerance 0.05] [--json]
  A, B               results of bench, bench:cpu or bench:peers, on the same machine and runtime
  --tolerance SHARE  changes as small as this are none, however quiet the machine (default 0.05)
  --json             one JSON line a change`;

const WIDTHS = [46, 26, 10, 10, 10];

function main(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      tolerance: { type: "string", default: "0.05" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const [a, b, ...more] = positionals;
  const tolerance = Number(values.tolerance);
  if (values.help || a === undefined || b === undefined || more.length > 0 || !(tolerance >= 0)) {
    console.error(USAGE);
    return values.help ? 0 : 2;
  }
  const comparisons = (path: string) => readLines(path).filter(isComparison);
  const changes = judge(comparisons(a), comparisons(b), tolerance);
  if (!values.json) console.log(row(["case", "contender", "A / B", "noise", ""], WIDTHS));
  for (const change of changes) {
    const { key, contender, ratio, noise, verdict } = change;
    console.log(
      values.json
        ? JSON.stringify(change)
        : row(
            [
              key,
              contender,
              `${ratio.toFixed(2)} ×`,
              `± ${(noise * 100).toFixed(0)} %`,
              verdict === "same" ? "" : verdict,
            ],
            WIDTHS,
          ),
    );
  }
  const slower = changes.filter(({ verdict }) => verdict === "slower").length;
  if (!values.json) console.log(`${changes.length} compared, ${slower} slower beyond noise`);
  return slower > 0 ? 1 : 0;
}

try {
  process.exitCode = main();
} catch (error) {
  console.error(`nearfield bench:compare: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}
