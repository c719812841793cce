/**
 * `npm run bench:cpu`: what the CPU engine reaches beside what this machine's memory and arithmetic units can do, and
 * what it takes of its surroundings: the event loop, the cost of a call. One JSON line for each measurement.
 */
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { caseKey, limitRows } from "../cases/case.ts";
import { chosenOf, countOf, runCommand } from "../command-line.ts";
import { commitOf } from "../commit.ts";
import { compareGroup } from "../compare.ts";
import { runtime } from "../machine.ts";
import { openNearfield } from "../nearfield-contender.ts";
import { nodeClocks } from "../node-clocks.ts";
import { Progress } from "../progress.ts";
import { ResultFile } from "../result-file.ts";
import { madeUpVectors } from "../vectors.ts";
import { measureFixedCost } from "./fixed-cost.ts";
import { KERNEL_GROUPS, kernelRates } from "./kernels.ts";
import { LOOP_SHAPE, measureLoop } from "./loop.ts";
import { FULL_EFFORT, measurePeaks, type Peaks, SMOKE_EFFORT } from "./peaks.ts";
import { callLines, kernelHead, kernelLine, loopLines, peakLines } from "./table.ts";

const PARTS = ["peaks", "kernels", "loop", "calls"] as const;
type Part = (typeof PARTS)[number];

const USAGE = `npm run bench:cpu -- [options]
options:
  --only PART        ${PARTS.join(", ")}; may be repeated (default: all). Kernels bring the peaks along
  --rounds N         turns of each kernel (default 15)
  --smoke            everything tiny, to see that it runs: its numbers mean nothing, and the records say so
  --out FILE         where to append results (default build/bench-cpu.jsonl)`;

const OPTIONS = {
  only: { type: "string", multiple: true },
  rounds: { type: "string", default: "15" },
  smoke: { type: "boolean", default: false },
  out: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

const SCHEMA = 1;
const SMOKE_ROWS = 2000;
const SMOKE_LOOP_MS = 50;
// build/bench-cpu/main.js and bench/cpu/main.ts both lie two folders below the package.
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

interface Run {
  readonly rounds: number;
  readonly smoke: boolean;
  readonly progress: Progress;
  /** Writes a record: what, and what was found. */
  readonly record: (part: Part, found: object) => void;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const parts = chosenOf("only", values.only, PARTS);
  const rounds = countOf("rounds", values.rounds);
  const file = new ResultFile(values.out ?? join(root, "build", "bench-cpu.jsonl"));
  const progress = new Progress(parts.length);
  const about = { schema: SCHEMA, type: "cpu", commit: commitOf(root), runtime: runtime(), smoke: values.smoke };
  const record = (part: Part, found: object): void =>
    file.append({ ...about, date: new Date().toISOString(), part, ...found });
  try {
    let problems = 0;
    for (const [done, part] of parts.entries()) {
      progress.show(done, part);
      problems += await measure(part, { rounds, smoke: values.smoke, progress, record });
    }
    console.log(`results: ${file.path}`);
    return problems > 0 ? 1 : 0;
  } finally {
    progress.stop();
    file.close();
  }
}

/** Resolves with how many measurements gave no number. */
async function measure(part: Part, run: Run): Promise<number> {
  const { progress, record, smoke } = run;
  const print = (lines: readonly string[]): void => ["", ...lines].forEach((line) => progress.print(line));
  switch (part) {
    case "peaks":
      await peaksOf(run);
      return 0;
    case "kernels":
      return measureKernels(run, await peaksOf(run));
    case "loop": {
      const shape = smoke ? { ...LOOP_SHAPE, rows: SMOKE_ROWS, ms: SMOKE_LOOP_MS } : LOOP_SHAPE;
      const delays = await measureLoop(shape);
      record(part, { shape, delays });
      print(loopLines(delays));
      return 0;
    }
    case "calls": {
      const costs = await measureFixedCost(availableParallelism());
      record(part, { costs });
      print(callLines(costs));
      return 0;
    }
    default:
      return part satisfies never;
  }
}

/** Measured once a run, whatever asks for them first. */
let measuredPeaks: Peaks | undefined;

async function peaksOf({ smoke, progress, record }: Run): Promise<Peaks> {
  if (measuredPeaks !== undefined) return measuredPeaks;
  measuredPeaks = await measurePeaks(availableParallelism(), smoke ? SMOKE_EFFORT : FULL_EFFORT);
  record("peaks", { peaks: measuredPeaks });
  for (const line of ["", ...peakLines(measuredPeaks)]) progress.print(line);
  return measuredPeaks;
}

async function measureKernels({ rounds, smoke, progress, record }: Run, peaks: Peaks): Promise<number> {
  for (const line of ["", kernelHead()]) progress.print(line);
  let problems = 0;
  for (const group of limitRows(KERNEL_GROUPS, smoke ? SMOKE_ROWS : Infinity)) {
    const vectors = madeUpVectors(group.data);
    if (vectors === undefined) throw new Error(`${group.data.source} vectors are not made up`);
    const results = compareGroup(group, vectors, {
      rounds,
      clocks: nodeClocks,
      open: (contender, { metric }) => openNearfield(contender, metric, vectors),
      onProgress: (stage) => progress.show(0, `kernels: ${stage}`),
    });
    for await (const result of results) {
      const rates = kernelRates(result, peaks);
      record("kernels", { key: caseKey(result.case), peaks, rates, ...result });
      for (const rate of rates) progress.print(kernelLine(rate));
      for (const { contender, ...outcome } of result.contenders) {
        if (outcome.status === "ok") continue;
        progress.print(`${contender.name} ${outcome.status}: ${outcome.reason}`);
        problems++;
      }
    }
  }
  return problems;
}

await runCommand(main);
