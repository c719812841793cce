/**
 * Whether an index answers right: some queries against the float64 oracle, on the rows as the index
 * stores them, whatever the precision. The file is read once more for it, so that rows that were
 * read wrongly are found too, and no second copy of them is held.
 */
import type { FloatMetric, Precision } from "../core/metric.ts";
import { reference, type ReferenceHit, storedRow } from "../core/reference.ts";
import type { VectorIndex } from "../engine/contract.ts";
import { openVectors } from "../io/open-source.ts";
import { type AskedQueries, queriesAt } from "./asked-queries.ts";
import { wholeBatches } from "./base-index.ts";
import { CommandFailure } from "./failure.ts";
import { ProgressBar } from "./progress.ts";
import type { Terminal } from "./terminal.ts";

/** Elements that the oracle may look at: some ten seconds, since it is slow and obvious. One query is always checked. */
const ORACLE_ELEMENTS = 400_000_000;
const MOST_CHECKED = 8;
/** Rows that the oracle sees at a time: an interrupt is heard between two. */
const ORACLE_ROWS = 1024;

/** What the first queries must be answered with, each its k nearest rows. */
export async function truthOfFirst(
  base: string,
  asked: AskedQueries,
  {
    metric,
    precision,
    k,
    rowCount,
  }: { metric: FloatMetric; precision: Exclude<Precision, "b1">; k: number; rowCount: number },
  terminal: Terminal,
): Promise<ReferenceHit[][]> {
  const { dimensions } = asked;
  const affordable = Math.floor(ORACLE_ELEMENTS / (rowCount * dimensions));
  const count = Math.max(1, Math.min(MOST_CHECKED, asked.count, affordable));
  const truth: ReferenceHit[][] = Array.from({ length: count }, () => []);
  const source = await openVectors(base);
  const bar = new ProgressBar(terminal, "finding the true answers", "rows", rowCount);
  try {
    for await (const { first, vectors } of wholeBatches(source, ORACLE_ROWS)) {
      if (terminal.interrupted.aborted) throw new CommandFailure("interrupted");
      const rows = precision === "f32" ? vectors : storedRows(vectors, precision, dimensions);
      for (const [q, known] of truth.entries()) {
        const found = reference({ metric, rows, dimensions, query: queriesAt(asked, q, 1), k });
        const both = [...known, ...found.map(({ row, distance }) => ({ row: first + row, distance }))];
        truth[q] = both.sort((a, b) => a.distance - b.distance || a.row - b.row).slice(0, k);
      }
      bar.show(first + vectors.length / dimensions);
    }
    return truth;
  } finally {
    bar.stop();
    await source.close();
  }
}

function storedRows(vectors: Float32Array, precision: Exclude<Precision, "b1">, dimensions: number): Float64Array {
  const rows = new Float64Array(vectors.length);
  for (let at = 0; at < rows.length; at += dimensions)
    rows.set(storedRow(precision, vectors.subarray(at, at + dimensions)), at);
  return rows;
}

/** Asks the queries of the truth in batches of each size, filled up with others. Rejects for a row or a distance that is not the truth's. */
export async function checkAnswers(
  index: VectorIndex,
  asked: AskedQueries,
  truth: readonly (readonly ReferenceHit[])[],
  k: number,
  sizes: readonly number[],
): Promise<void> {
  for (const size of sizes) {
    for (let first = 0; first < truth.length; first += size) {
      const result = await index.search(queriesAt(asked, first, size), { k });
      for (const [i, wanted] of truth.slice(first, first + size).entries()) {
        const hits = result.hits(i);
        const at = Array.from({ length: Math.max(hits.length, wanted.length) }).findIndex(
          (_, n) => hits[n]?.row !== wanted[n]?.row || hits[n]?.distance !== wanted[n]?.distance,
        );
        if (at >= 0) throw wrong(first + i, size, at, hits[at], wanted[at]);
      }
    }
  }
}

function wrong(
  query: number,
  size: number,
  place: number,
  got: ReferenceHit | undefined,
  wanted: ReferenceHit | undefined,
): CommandFailure {
  const told = (hit: ReferenceHit | undefined): string =>
    hit === undefined ? "nothing" : `row ${hit.row} at ${hit.distance}`;
  return new CommandFailure(
    `wrong answer, so no times are told: query ${query} in a batch of ${size} has ${told(got)} in place ${place}, the oracle ${told(wanted)}; please report this with the output of nearfield info`,
  );
}
