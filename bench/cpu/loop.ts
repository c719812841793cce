/** What a page or a server feels: the delay of the event loop while rows are added, coded and searched, on all threads. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createIndex } from "nearfield";
import { clusteredRows, QUERY_BASE } from "../clustered.ts";
import { scanCopiesReady } from "../scan-copies.ts";
import { round } from "../statistics.ts";

export interface LoopDelay {
  readonly during: string;
  readonly seconds: number;
  /** Milliseconds, by timers 1 ms apart: about 1 where nothing is in the way. */
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

export interface LoopShape {
  readonly rows: number;
  readonly dimensions: number;
  /** Of each kind of search, and of idling. */
  readonly ms: number;
}

export const LOOP_SHAPE: LoopShape = { rows: 1_000_000, dimensions: 128, ms: 3000 };
const BATCH = 64;

export async function measureLoop({ rows, dimensions, ms }: LoopShape): Promise<LoopDelay[]> {
  const vectors = clusteredRows(dimensions, 0, rows);
  const queries = clusteredRows(dimensions, QUERY_BASE, BATCH);
  const single = queries.slice(0, dimensions);
  const index = await createIndex({ dimensions, metric: "euclidean", backend: "cpu" });
  try {
    return [
      await delays("nothing", () => pause(ms)),
      await delays("add", () => index.add(vectors)),
      await delays("coding and learning", async () => {
        await index.search(single, { k: 10 });
        await scanCopiesReady(index);
      }),
      await delays("single searches", () => repeat(ms, () => index.search(single, { k: 10 }))),
      await delays(`searches of ${BATCH}`, () => repeat(ms, () => index.search(queries, { k: 10 }))),
    ];
  } finally {
    await index.close();
  }
}

async function delays(during: string, work: () => Promise<unknown>): Promise<LoopDelay> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  const began = performance.now();
  await work();
  const seconds = (performance.now() - began) / 1000;
  // A stretch that has just ended is seen by the next timer.
  await pause(5);
  histogram.disable();
  const inMs = (ns: number): number => round(ns / 1e6);
  return {
    during,
    seconds: round(seconds),
    p50: inMs(histogram.percentile(50)),
    p99: inMs(histogram.percentile(99)),
    most: inMs(histogram.max),
  };
}

async function repeat(ms: number, work: () => Promise<unknown>): Promise<void> {
  const until = performance.now() + ms;
  do await work();
  while (performance.now() < until);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
