/**
 * `npm run bench:gpu -- --core`: what the engine reaches on this GPU, beside what the GPU can do.
 * Peaks first, then case after case; each result is a JSON line on the disk before the next begins,
 * and a second run does what is left. Refuses to report speed on a software rasteriser.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Case, CORE_CASES, caseKey, GRID_CASES, groupByIndex, limitRows, SMOKE_CASES } from "./cases.ts";
import { runCommand } from "../command-line.ts";
import { commitOf } from "../commit.ts";
import { runtime } from "../machine.ts";
import { Progress } from "../progress.ts";
import { ResultFile } from "../result-file.ts";
import { adapterSlug, type BenchDevice, DAWN_FLAGS, openDevice } from "./device.ts";
import { measureIndex } from "./measure.ts";
import { FULL_EFFORT, measurePeaks, type Peaks, SMOKE_EFFORT } from "./peaks.ts";
import { adapterName, doneKeys, readRecords, type RunRecord, schema } from "./record.ts";
import { peakLines, tableHead, tableLine } from "./table.ts";

const USAGE = `npm run bench:gpu -- [what] [options]
what (default --core):
  --core             at most 40 cases in order of value; stops after --minutes
  --full             the grid
  --case NAME        one case, e.g. ${caseKey(CORE_CASES[0] as Case)}; may be repeated
  --peaks            the device's peaks only
  --smoke            everything tiny, on any adapter; checks answers, records no speed
options:
  --rows-limit N     at most N rows, to try a run quickly
  --minutes N        begin no index that would take longer than that (default 8 with --core, else no limit)
  --threads N        CPU workers of the engine
  --matrix           let the engine use matrix units where the device has them (off in releases until proven)
  --out FILE         where to append results (default bench/results/<adapter>.jsonl)
  --resume FILE      results of an earlier run of this commit: what stands there is not repeated`;

const OPTIONS = {
  core: { type: "boolean", default: false },
  full: { type: "boolean", default: false },
  peaks: { type: "boolean", default: false },
  smoke: { type: "boolean", default: false },
  case: { type: "string", multiple: true },
  "rows-limit": { type: "string" },
  minutes: { type: "string" },
  threads: { type: "string" },
  matrix: { type: "boolean", default: false },
  out: { type: "string" },
  resume: { type: "string", multiple: true },
  help: { type: "boolean", default: false },
} as const;

// build/bench-gpu/main.js and bench/gpu/main.ts both lie two folders below the package.
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"];

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const cases = casesOf(values);
  const bench = await openDevice();
  if ("missing" in bench) {
    console.error(`nearfield bench: ${bench.missing}`);
    return 1;
  }
  try {
    if (bench.adapter.software && !values.smoke) {
      console.error(
        `nearfield bench: ${adapterName(bench.adapter)} is a software rasteriser: its speed means nothing. Run on a machine with a GPU, or check answers only with --smoke.`,
      );
      return 1;
    }
    return await run(bench, cases, values);
  } finally {
    bench.close();
  }
}

async function run(bench: BenchDevice, cases: readonly Case[], values: Values): Promise<number> {
  console.log(`adapter ${adapterName(bench.adapter)}`);
  console.log(`features ${bench.adapter.features.join(" ")}`);
  const peaks = await measurePeaks(bench, values.smoke ? SMOKE_EFFORT : FULL_EFFORT);
  if (!values.smoke) console.log(peakLines(peaks).join("\n"));
  const record = runRecord(bench, values.smoke ? null : peaks, values);
  const path = values.out ?? join(root, "bench", "results", `${adapterSlug(bench.adapter)}.jsonl`);
  const done = doneKeys([path, ...(values.resume ?? [])].flatMap(readRecords), record);
  const file = new ResultFile(path);
  try {
    file.append({ ...record, date: now(), type: "peaks" });
    if (values.peaks) return 0;
    const open = cases.filter((c) => !done.has(caseKey(c)));
    if (open.length < cases.length) console.log(`${cases.length - open.length} cases stand in the results already`);
    return await runCases(bench, open, file, record, values);
  } finally {
    file.close();
    console.log(`results: ${path}`);
  }
}

async function runCases(
  bench: BenchDevice,
  cases: readonly Case[],
  file: ResultFile,
  record: RunRecord,
  values: Values,
): Promise<number> {
  const deadline = performance.now() + minutesOf(values) * 60_000;
  const progress = new Progress(cases.length);
  console.log(tableHead());
  let failures = 0;
  let left = cases.length;
  let msPerElement = 0;
  for (const group of groupByIndex(cases)) {
    const elements = (group[0]?.rows ?? 0) * (group[0]?.dimensions ?? 0);
    const began = performance.now();
    // A large index whose rows would not even be there in time gives way to smaller ones.
    if (began + elements * msPerElement > deadline) continue;
    const measured = measureIndex(group, {
      bench,
      peaks: record.peaks ?? undefined,
      threads: values.threads === undefined ? undefined : Number(values.threads),
      usesMatrixUnits: values.matrix,
      onProgress: (stage) => progress.show(cases.length - left, `${caseKey(group[0] as Case)}: ${stage}`),
    });
    for await (const [c, outcome] of measured) {
      file.append({ ...record, date: now(), type: "case", key: caseKey(c), case: c, ...outcome });
      progress.print(tableLine(c, outcome));
      if (outcome.status === "wrong" || outcome.status === "failed") failures++;
      left--;
    }
    // All that a group takes, searches too: an upper estimate for the next.
    msPerElement = (performance.now() - began) / elements;
  }
  progress.stop();
  if (left > 0) console.log(`time is up with ${left} cases left: run the same command again`);
  return failures > 0 ? 1 : 0;
}

function casesOf(values: Values): readonly Case[] {
  const limit = values["rows-limit"] === undefined ? Infinity : Number(values["rows-limit"]);
  if (!(limit >= 1)) throw new Error(`--rows-limit must be a number of rows, got ${values["rows-limit"]}`);
  if (values.smoke) return limitRows(SMOKE_CASES, limit);
  if (values.case !== undefined) {
    const known = new Map([...CORE_CASES, ...GRID_CASES].map((c) => [caseKey(c), c]));
    const cases = values.case.map((name) => {
      const found = known.get(name);
      if (found === undefined) throw new Error(`no case is named ${name}; names look like ${[...known.keys()][0]}`);
      return found;
    });
    return limitRows(cases, limit);
  }
  return limitRows(values.full ? GRID_CASES : CORE_CASES, limit);
}

function minutesOf(values: Values): number {
  if (values.minutes !== undefined) return Number(values.minutes);
  return values.full || values.case !== undefined ? Infinity : 8;
}

function runRecord(bench: BenchDevice, peaks: Peaks | null, { smoke, matrix }: Values): RunRecord {
  return {
    schema,
    commit: commitOf(root),
    smoke,
    runtime: { ...runtime(), dawn: dawnVersion() },
    adapter: bench.adapter,
    flags: matrix ? [...DAWN_FLAGS, "nearfield:matrix"] : DAWN_FLAGS,
    peaks,
  };
}

/** The version of the npm package `webgpu`, which names the Dawn inside. */
function dawnVersion(): string {
  const file = join(root, "node_modules", "webgpu", "package.json");
  const { version } = JSON.parse(readFileSync(file, "utf8")) as { version: string };
  return `webgpu@${version}`;
}

function now(): string {
  return new Date().toISOString();
}

await runCommand(main);
