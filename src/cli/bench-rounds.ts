/**
 * Searches in batches of several sizes, timed. Each round gives every size a turn, in alternating
 * order, so that a slow minute of the machine hits all of them. A round that is not counted comes
 * first. Small batches are searched several times a turn, one after the other: one is no sample.
 */
import type { VectorIndex } from "../engine/contract.ts";
import type { SearchReport } from "../engine/result.ts";
import { type AskedQueries, queriesAt } from "./asked-queries.ts";
import { CommandFailure } from "./failure.ts";
import { ProgressBar } from "./progress.ts";
import type { Terminal } from "./terminal.ts";

export interface BatchTimes {
  /** Queries at once. */
  readonly batch: number;
  /** Searches that were timed. */
  readonly searches: number;
  /** Milliseconds a query: a search's time by its queries. */
  readonly medianMs: number;
  readonly p95Ms: number;
  readonly leastMs: number;
  /** At the median. */
  readonly queriesPerSecond: number;
  /** All that is told below, of every search. */
  readonly exact: boolean;
  readonly scan: SearchReport["scan"]["method"];
  /** Leading directions that were scanned, at most. */
  readonly directions: number;
  /** Rows a query that the scan did not rule out. */
  readonly survivorsPerQuery: number;
  /** Share of the queries for which bounds ruled out too little, so that rows were scanned once more. */
  readonly rescansPerQuery: number;
  readonly degraded: readonly string[];
}

/** Queries of a turn, where the batch is smaller. */
const TURN_QUERIES = 16;

function searchesOf(batch: number): number {
  return Math.ceil(TURN_QUERIES / batch);
}

/** Queries that all rounds of the largest size need, so that none is asked twice. */
export function queriesFor(sizes: readonly number[], rounds: number): number {
  return Math.max(...sizes.map((batch) => (rounds + 1) * searchesOf(batch) * batch));
}

/** In the order of `sizes`. */
export async function timeRounds(
  index: VectorIndex,
  asked: AskedQueries,
  { k, sizes, rounds }: { readonly k: number; readonly sizes: readonly number[]; readonly rounds: number },
  terminal: Terminal,
): Promise<BatchTimes[]> {
  const samples = sizes.map((batch) => ({ batch, ms: [] as number[], reports: [] as SearchReport[] }));
  const bar = new ProgressBar(terminal, "timing", "rounds", rounds + 1);
  try {
    for (let round = 0; round <= rounds; round++) {
      const order = [...samples];
      if (round % 2 !== 0) order.reverse();
      for (const { batch, ms, reports } of order) {
        for (let turn = 0; turn < searchesOf(batch); turn++) {
          if (terminal.interrupted.aborted) throw new CommandFailure("interrupted");
          const queries = queriesAt(asked, (round * searchesOf(batch) + turn) * batch, batch);
          const started = performance.now();
          const { report } = await index.search(queries, { k });
          const spent = performance.now() - started;
          if (round === 0) continue;
          ms.push(spent / batch);
          reports.push(report);
        }
      }
      bar.show(round + 1);
    }
  } finally {
    bar.stop();
  }
  return samples.map(({ batch, ms, reports }) => timesOf(batch, ms, reports));
}

function timesOf(batch: number, ms: readonly number[], reports: readonly SearchReport[]): BatchTimes {
  const sorted = [...ms].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
  const methods = new Set(reports.map(({ scan }) => scan.method));
  const [method = "full"] = methods;
  const perQuery = (of: "survivors" | "rescans"): number =>
    rounded(reports.reduce((sum, { scan }) => sum + scan[of], 0) / (batch * reports.length));
  return {
    batch,
    searches: ms.length,
    medianMs: rounded(at(0.5)),
    p95Ms: rounded(at(0.95)),
    leastMs: rounded(at(0)),
    queriesPerSecond: rounded(1000 / at(0.5)),
    exact: reports.every(({ exact }) => exact),
    scan: methods.size === 1 ? method : "mixed",
    directions: reports.reduce((most, { scan }) => Math.max(most, scan.prefixDimensions), 0),
    survivorsPerQuery: perQuery("survivors"),
    rescansPerQuery: perQuery("rescans"),
    degraded: [...new Set(reports.flatMap(({ degraded }) => degraded))],
  };
}

/** Four significant digits: more would be noise. */
function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
