/**
 * `npm run bench:collections`: what a collection costs on this machine, beside what the machine
 * itself takes for the same: opening beside reading the files, a durable upsert beside a sync,
 * metadata beside its JSON. Each part that is about a fresh process has one of its own.
 */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  fdatasyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openCollection } from "nearfield";
import { runCommand } from "../command-line.ts";
import { commitOf } from "../commit.ts";
import { runtime } from "../machine.ts";
import { ResultFile } from "../result-file.ts";
import { round, spreadOf } from "../statistics.ts";
import { catalogue, groupsOf } from "./records.ts";

const USAGE = `npm run bench:collections -- [options]
options:
  --only PART    open, upsert, memory (default: all)
  --rounds N     turns of each (default 5)
  --rows N       records of the parts open and memory (default 1000000)
  --out FILE     where to append results (default build/bench-collections.jsonl)`;

const OPTIONS = {
  only: { type: "string", default: "" },
  rounds: { type: "string", default: "5" },
  rows: { type: "string", default: "1000000" },
  out: { type: "string" },
  child: { type: "string" },
  folder: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

const SCHEMA = 1;
const DIMENSIONS = 128;
const UPSERT_DIMENSIONS = 384;
const SINGLES = 200;
const TOGETHER = 64;
// build/bench-collections/main.js and bench/collections/main.ts both lie two folders below the package.
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

type Record = Readonly<{ [key: string]: unknown }>;

/** The nearest of one query, as soon as there is an answer. */
async function openOnce(folder: string): Promise<Record> {
  const before = process.memoryUsage().rss;
  const began = performance.now();
  const collection = await openCollection(folder, { readOnly: true, backend: "cpu" });
  const openMs = performance.now() - began;
  const { matches } = await collection.query({ vector: new Float32Array(DIMENSIONS).fill(0.1), k: 10 });
  const answerMs = performance.now() - began;
  if (matches.length !== 10) throw new Error(`${matches.length} matches`);
  const grown = process.resourceUsage().maxRSS * 1024 - before;
  await collection.close();
  return { openMs, answerMs, grown };
}

/** Reads every file of the folder from front to back: into the same 4 MiB again and again, as `cat` would, and into memory of its own. */
function readOnce(folder: string): Record {
  const piece = new Uint8Array(4 << 20);
  const began = performance.now();
  for (const name of readdirSync(folder)) {
    const file = openSync(join(folder, name), "r");
    while (readSync(file, piece) > 0);
    closeSync(file);
  }
  const readMs = performance.now() - began;
  const again = performance.now();
  const bytes = readdirSync(folder).reduce((sum, name) => sum + readFileSync(join(folder, name)).length, 0);
  return { readMs, loadMs: performance.now() - again, bytes };
}

function child(part: string, folder: string): Record {
  const args = [fileURLToPath(import.meta.url), "--child", part, "--folder", folder];
  return JSON.parse(
    execFileSync(process.execPath, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }),
  ) as Record;
}

async function fill(folder: string, rows: number): Promise<number> {
  const { records } = catalogue(rows, DIMENSIONS);
  const collection = await openCollection(folder, { dimensions: DIMENSIONS, backend: "cpu" });
  const began = performance.now();
  for (const group of groupsOf(records, 20_000)) await collection.upsert(group);
  const ms = performance.now() - began;
  await collection.compact({ keepVersions: 1 });
  await collection.close();
  return ms;
}

async function benchOpen(rows: number, rounds: number): Promise<Record> {
  const folder = mkdtempSync(join(tmpdir(), "nearfield-bench-"));
  try {
    const fillMs = await fill(folder, rows);
    child("read", folder); // so that the files are in the cache
    const turns = Array.from(
      { length: rounds },
      () => ({ ...child("read", folder), ...child("open", folder) }) as { [key: string]: number },
    );
    const of = (key: string): number[] => turns.map((turn) => turn[key] ?? Number.NaN);
    const storedBytes = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
    return {
      rows,
      dimensions: DIMENSIONS,
      storedBytes,
      fillMs: round(fillMs),
      readMs: spreadOf(of("readMs")),
      openMs: spreadOf(of("openMs")),
      answerMs: spreadOf(of("answerMs")),
      loadMs: spreadOf(of("loadMs")),
      answerOverLoad: spreadOf(turns.map((turn) => (turn["answerMs"] ?? 0) / (turn["loadMs"] ?? 1))),
      answerOverRead: spreadOf(turns.map((turn) => (turn["answerMs"] ?? 0) / (turn["readMs"] ?? 1))),
      memoryOverFiles: spreadOf(of("grown").map((grown) => grown / storedBytes)),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Single durable upserts beside an append and sync of as many bytes by the file system alone. */
async function benchUpsert(rounds: number): Promise<Record> {
  const parent = mkdtempSync(join(tmpdir(), "nearfield-bench-"));
  try {
    const { records } = catalogue(SINGLES + TOGETHER * rounds, UPSERT_DIMENSIONS);
    const collection = await openCollection(join(parent, "store"), { dimensions: UPSERT_DIMENSIONS, backend: "cpu" });
    const bare = openSync(join(parent, "bare"), "w");
    const bytes = new Uint8Array(2048).fill(7);
    const single: number[] = [];
    const sync: number[] = [];
    for (const record of records.slice(0, SINGLES)) {
      const began = performance.now();
      await collection.upsert([record]);
      const done = performance.now();
      writeSync(bare, bytes);
      fdatasyncSync(bare);
      sync.push(performance.now() - done);
      single.push(done - began);
    }
    closeSync(bare);
    const together: number[] = [];
    for (const group of groupsOf(records.slice(SINGLES), TOGETHER)) {
      const began = performance.now();
      await Promise.all(group.map((record) => collection.upsert([record])));
      together.push((TOGETHER / (performance.now() - began)) * 1000);
    }
    await collection.close();
    return {
      dimensions: UPSERT_DIMENSIONS,
      singleMs: spreadOf(single.slice(20)),
      writeAndSyncMs: spreadOf(sync.slice(20)),
      together: TOGETHER,
      togetherPerSecond: spreadOf(together),
    };
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

async function benchMemory(rows: number): Promise<Record> {
  const { records } = catalogue(rows, 4);
  const collection = await openCollection(":memory:", { dimensions: 4, backend: "cpu" });
  for (const group of groupsOf(records, 50_000)) await collection.upsert(group);
  const before = (await collection.stats()).memory;
  const matching = await collection.count({ year: { $gte: 2000 }, lang: "en", tags: "genre-7" });
  const { memory } = await collection.stats();
  await collection.close();
  return {
    rows,
    matching,
    jsonBytes: memory.jsonBytes,
    overJson: round(before.metadataBytes / memory.jsonBytes),
    overJsonAfterFilter: round(memory.metadataBytes / memory.jsonBytes),
    idBytes: memory.idBytes,
  };
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (values.child !== undefined) {
    const folder = values.folder ?? "";
    console.log(JSON.stringify(values.child === "read" ? readOnce(folder) : await openOnce(folder)));
    return 0;
  }
  const rounds = Number(values.rounds);
  const rows = Number(values.rows);
  if (!(rounds >= 1 && rows >= 100)) throw new Error("--rounds must be at least 1, and --rows at least 100");
  const parts: { [name: string]: () => Promise<Record> } = {
    open: () => benchOpen(rows, rounds),
    upsert: () => benchUpsert(rounds),
    memory: () => benchMemory(rows),
  };
  const file = new ResultFile(values.out ?? join(root, "build", "bench-collections.jsonl"));
  try {
    for (const [name, run] of Object.entries(parts)) {
      if (values.only !== "" && values.only !== name) continue;
      const result = await run();
      file.append({
        schema: SCHEMA,
        type: `collections-${name}`,
        commit: commitOf(root),
        date: new Date().toISOString(),
        runtime: runtime(),
        ...result,
      });
      console.log(name);
      for (const [key, value] of Object.entries(result)) console.log(`  ${key.padEnd(20)} ${JSON.stringify(value)}`);
    }
    console.log(`results: ${file.path}`);
    return 0;
  } finally {
    file.close();
  }
}

await runCommand(main);
