/**
 * `npm run bench`: the engine as an application meets it. Searches of real and clustered vectors in
 * every precision, ingest, memory, cold start, and the small parts by themselves. What the machine
 * itself could do is bench:cpu's and bench:gpu's question, what others do bench:peers'. One JSON
 * line a measurement, on the disk before the next begins.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type CaseGroup, caseKey, limitRows, onlyCases } from "../cases/case.ts";
import { chosenOf, countOf, runCommand } from "../command-line.ts";
import { commitOf } from "../commit.ts";
import { compareGroup } from "../compare.ts";
import { comparisonLines } from "../comparison-table.ts";
import { runtime } from "../machine.ts";
import { openNearfield } from "../nearfield-contender.ts";
import { nodeClocks } from "../node-clocks.ts";
import { PeerPackages } from "../peers/packages.ts";
import { vectorsOf } from "../peers/vectors.ts";
import { Progress } from "../progress.ts";
import { ResultFile } from "../result-file.ts";
import { ENGINE_GROUPS } from "../cases/engine.ts";
import { COLD_SHAPES, measureColdStart } from "./cold-start.ts";
import { INGEST_SHAPE, measureIngest } from "./ingest.ts";
import { measureMemory, MEMORY_SHAPE, memoryTasks } from "./memory.ts";
import { measureMicro } from "./micro.ts";
import { coldLines, ingestLines, memoryHead, memoryLine, microLines } from "./table.ts";

const PARTS = ["search", "ingest", "memory", "cold", "micro"] as const;
type Part = (typeof PARTS)[number];

const USAGE = `npm run bench -- [options]
options:
  --part PART        ${PARTS.join(", ")}; may be repeated (default: all)
  --only TEXT        searches whose name contains TEXT, e.g. glove or clustered-100000x384-cosine-b256-k10
  --backend cpu|gpu  of the searches (default cpu)
  --threads N        of the searches (default 1)
  --rounds N         turns of each (default 7)
  --smoke            everything tiny, to see that it runs: its numbers mean nothing, and the records say so
  --out FILE         where to append results (default build/bench-engine.jsonl)`;

const OPTIONS = {
  part: { type: "string", multiple: true },
  only: { type: "string", default: "" },
  backend: { type: "string", default: "cpu" },
  threads: { type: "string", default: "1" },
  rounds: { type: "string", default: "7" },
  smoke: { type: "boolean", default: false },
  out: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

const SCHEMA = 1;
/** One in a hundred of them still makes a k of 100. */
const SMOKE_ROWS = 12_000;
const MICRO_MS = 500;
// build/bench-engine/main.js and bench/engine/main.ts both lie two folders below the package.
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

interface Run {
  readonly groups: readonly CaseGroup[];
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
  const { smoke } = values;
  const parts = chosenOf("part", values.part, PARTS);
  const rounds = countOf("rounds", values.rounds);
  const groups = groupsOf(values.only, values.backend, countOf("threads", values.threads), smoke);
  const file = new ResultFile(values.out ?? join(root, "build", "bench-engine.jsonl"));
  const progress = new Progress(groups.reduce((sum, { searches }) => sum + searches.length, 0));
  const about = { schema: SCHEMA, type: "engine", commit: commitOf(root), runtime: runtime(), smoke };
  const record = (part: Part, found: object): void =>
    file.append({ ...about, date: new Date().toISOString(), part, ...found });
  try {
    let problems = 0;
    for (const part of parts) problems += await measure(part, { groups, rounds, smoke, progress, record });
    console.log(`results: ${file.path}`);
    return problems > 0 ? 1 : 0;
  } finally {
    progress.stop();
    file.close();
  }
}

/** Resolves with how many measurements gave no number. */
async function measure(part: Part, run: Run): Promise<number> {
  const { rounds, progress, record, smoke } = run;
  const print = (lines: readonly string[]): void => ["", ...lines].forEach((line) => progress.print(line));
  switch (part) {
    case "search":
      return search(run);
    case "ingest": {
      const shape = smoke ? { ...INGEST_SHAPE, rows: SMOKE_ROWS } : INGEST_SHAPE;
      const rates = await measureIngest(shape, rounds);
      record(part, { shape, rates });
      print(ingestLines(rates));
      return 0;
    }
    case "memory":
      print([memoryHead()]);
      for (const task of memoryTasks(smoke ? { ...MEMORY_SHAPE, rows: SMOKE_ROWS } : MEMORY_SHAPE)) {
        const use = await measureMemory(task);
        record(part, { task, use });
        progress.print(memoryLine(task, use));
      }
      return 0;
    case "cold": {
      const starts = [];
      for (const shape of COLD_SHAPES.filter(({ rows }) => !smoke || rows <= SMOKE_ROWS)) {
        starts.push(await measureColdStart(shape, rounds));
      }
      record(part, { starts });
      print(coldLines(starts));
      return 0;
    }
    case "micro": {
      const rates = await measureMicro(smoke ? 1 : MICRO_MS);
      record(part, { rates });
      print(microLines(rates));
      return 0;
    }
    default:
      return part satisfies never;
  }
}

async function search({ groups, rounds, progress, record }: Run): Promise<number> {
  let done = 0;
  let problems = 0;
  for (const group of groups) {
    const show = (stage: string): void => progress.show(done, `${group.data.source}: ${stage}`);
    const packages = (): PeerPackages => new PeerPackages(root);
    const vectors = await vectorsOf(group.data, packages, join(root, ".cache"), (n, of) => show(`row ${n} of ${of}`));
    const results = compareGroup(group, vectors, {
      rounds,
      clocks: nodeClocks,
      open: (contender, { metric }) => openNearfield(contender, metric, vectors),
      onProgress: show,
    });
    for await (const result of results) {
      record("search", { key: caseKey(result.case), base: group.base ?? null, ...result });
      for (const line of comparisonLines(result, group.base)) progress.print(line);
      problems += result.contenders.filter(({ status }) => status !== "ok").length;
      show(`${++done} cases done`);
    }
  }
  return problems;
}

function groupsOf(only: string, backend: string, threads: number, smoke: boolean): CaseGroup[] {
  if (backend !== "cpu" && backend !== "gpu") throw new Error(`--backend must be cpu or gpu, got ${backend}`);
  const wanted = onlyCases(limitRows(ENGINE_GROUPS, smoke ? SMOKE_ROWS : Infinity), only);
  if (wanted.length === 0) throw new Error(`no case has ${only} in its name`);
  return wanted.map((group) => ({
    ...group,
    contenders: group.contenders.map((contender) => ({
      ...contender,
      threads,
      ...(backend === "gpu" ? { backend } : {}),
    })),
  }));
}

await runCommand(main);
