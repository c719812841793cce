/** One contender's turn at filling a store, in a process of its own: writes in groups, counts, asks, closes. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { catalogue, groupsOf } from "./records.ts";
import type { Store } from "./store.ts";

export interface TurnOptions {
  readonly folder: string;
  readonly rows: number;
  readonly dimensions: number;
  readonly group: number;
}

export interface Turn {
  readonly writeMs: number;
  readonly closeMs: number;
  readonly storedBytes: number;
  readonly count: number;
  /** Median of the queries, after one that is not counted. */
  readonly queryMs: number;
  readonly filteredMs: number;
  readonly answers: readonly (readonly string[])[];
  readonly filtered: readonly (readonly string[])[];
}

const FROM_YEAR = 2000;

export async function takeTurn(
  open: (folder: string, dimensions: number) => Promise<Store>,
  options: TurnOptions,
): Promise<Turn> {
  const { folder, rows, dimensions, group } = options;
  const { records, queries } = catalogue(rows, dimensions);
  const store = await open(folder, dimensions);
  const began = performance.now();
  for (const some of groupsOf(records, group)) await store.write(some);
  const writeMs = performance.now() - began;
  const count = await store.count();
  const plain = await timed(queries, (vector) => store.nearest(vector, 10));
  const filtered = await timed(queries, (vector) => store.nearest(vector, 10, FROM_YEAR));
  const closing = performance.now();
  await store.close();
  const closeMs = performance.now() - closing;
  return {
    writeMs,
    closeMs,
    storedBytes: bytesIn(folder),
    count,
    queryMs: plain.ms,
    filteredMs: filtered.ms,
    answers: plain.answers,
    filtered: filtered.answers,
  };
}

async function timed(
  queries: readonly Float32Array[],
  ask: (vector: Float32Array) => Promise<string[]>,
): Promise<{ ms: number; answers: string[][] }> {
  const answers: string[][] = [];
  const times: number[] = [];
  for (const [i, query] of queries.entries()) {
    const began = performance.now();
    answers.push(await ask(query));
    if (i > 0) times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  return { ms: times[times.length >> 1] ?? 0, answers };
}

function bytesIn(folder: string): number {
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(folder, entry.name);
    return sum + (entry.isDirectory() ? bytesIn(path) : statSync(path).size);
  }, 0);
}
