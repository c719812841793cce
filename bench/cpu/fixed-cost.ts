/** What a call costs when the scan is short: the time of single queries on small indexes, nothing taken off. */
import { createIndex } from "nearfield";
import { clusteredRows, QUERY_BASE } from "../clustered.ts";
import { scanCopiesReady } from "../scan-copies.ts";
import { type Spread, spreadOf } from "../statistics.ts";

export interface CallCost {
  readonly rows: number;
  readonly dimensions: number;
  readonly threads: number;
  readonly ms: Spread;
}

const CALLS = 200;
const DIMENSIONS = 384;

/** One row: the call alone. 20,000: what a small application has. */
export async function measureFixedCost(threads: number): Promise<CallCost[]> {
  const costs: CallCost[] = [];
  for (const rows of [1, 20_000]) {
    for (const count of new Set([1, threads])) costs.push(await callCost(rows, count));
  }
  return costs;
}

async function callCost(rows: number, threads: number): Promise<CallCost> {
  const index = await createIndex({ dimensions: DIMENSIONS, backend: "cpu", threads });
  try {
    await index.add(clusteredRows(DIMENSIONS, 0, rows));
    const times: number[] = [];
    for (let call = -CALLS; call < CALLS; call++) {
      // The first calls start workers, let V8 optimise, and make the index code its rows.
      if (call === 0) await scanCopiesReady(index);
      const query = clusteredRows(DIMENSIONS, QUERY_BASE + Math.abs(call), 1);
      const began = performance.now();
      await index.search(query, { k: 10 });
      if (call >= 0) times.push(performance.now() - began);
    }
    return { rows, dimensions: DIMENSIONS, threads, ms: spreadOf(times) };
  } finally {
    await index.close();
  }
}
