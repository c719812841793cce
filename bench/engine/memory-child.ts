/**
 * One measurement of memory, in a process of its own: how much the resident set grows by an index, above what there was
 * with the caller's input. Takes a MemoryTask as JSON, prints a MemoryUse as JSON. Run with --expose-gc.
 */
import { createIndex, type VectorIndex } from "nearfield";
import { withInternals } from "nearfield/testing";
import { clusteredRows, QUERY_BASE } from "../clustered.ts";
import { scanCopiesReady } from "../scan-copies.ts";
import type { MemoryTask, MemoryUse } from "./memory.ts";

const PIECE_ROWS = 16_384;
const SAMPLE_MS = 10;

const task = JSON.parse(process.argv[2] ?? "{}") as MemoryTask;
const { rows, dimensions, precision, input, scan, sharesMemory } = task;

/** The input that stays: all of it, or one piece whose rows are written anew. Every page of it has been touched. */
const held = clusteredRows(dimensions, 0, input === "whole" ? rows : Math.min(rows, PIECE_ROWS));
collect();
const before = process.memoryUsage.rss();
let most = before;
const sampling = setInterval(sample, SAMPLE_MS);

const metric = precision === "b1" ? "hamming" : "cosine";
const index = await createIndex(
  withInternals({ dimensions, metric, precision, scan, backend: "cpu" }, { sharesMemory }),
);
await fill(index);
sample();
const peakAdd = most;
await index.search(clusteredRows(dimensions, QUERY_BASE, 1), { k: 10 });
const codes = await scanCopiesReady(index);
await index.search(clusteredRows(dimensions, QUERY_BASE, 1), { k: 10 });
clearInterval(sampling);
collect();
const after = process.memoryUsage.rss();
most = Math.max(most, after);
await index.close();

const use: MemoryUse = {
  heldBytes: after - before,
  peakAddBytes: peakAdd - before,
  peakBytes: most - before,
  directions: codes?.directions ?? 0,
};
console.log(JSON.stringify(use));

async function fill(target: VectorIndex): Promise<void> {
  if (input === "whole") {
    await target.add(held);
    return;
  }
  for (let first = 0; first < rows; first += PIECE_ROWS) {
    const count = Math.min(PIECE_ROWS, rows - first);
    await target.add(clusteredRows(dimensions, first, count, held).subarray(0, count * dimensions));
  }
}

function sample(): void {
  most = Math.max(most, process.memoryUsage.rss());
}

function collect(): void {
  if (globalThis.gc === undefined) throw new Error("run with --expose-gc");
  globalThis.gc();
}
