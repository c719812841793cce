/** How fast rows go into an index, and how long its scan copies take after that. */
import { availableParallelism } from "node:os";
import { createIndex } from "nearfield";
import type { Precision } from "../../src/core/metric.ts";
import { clusteredRows } from "../clustered.ts";
import { scanCopiesReady } from "../scan-copies.ts";
import { round, type Spread, spreadOf } from "../statistics.ts";

export interface IngestShape {
  readonly rows: number;
  readonly dimensions: number;
}

export interface IngestRate {
  readonly precision: Precision;
  readonly addMs: Spread;
  /** By the median. */
  readonly rowsPerSecond: number;
  /** Until codes and learned directions are there. Searches answer meanwhile. */
  readonly readyMs: Spread;
}

export const INGEST_SHAPE: IngestShape = { rows: 100_000, dimensions: 384 };

const PRECISIONS = ["f32", "f16", "i8", "b1"] as const;
const BACKWARDS = ["b1", "i8", "f16", "f32"] as const;

/** Each round fills one index of each precision, in turn. */
export async function measureIngest({ rows, dimensions }: IngestShape, rounds: number): Promise<IngestRate[]> {
  const vectors = clusteredRows(dimensions, 0, rows);
  const adds = { f32: [] as number[], f16: [] as number[], i8: [] as number[], b1: [] as number[] };
  const readies = { f32: [] as number[], f16: [] as number[], i8: [] as number[], b1: [] as number[] };
  for (let turn = 0; turn <= rounds; turn++) {
    for (const precision of turn % 2 === 0 ? PRECISIONS : BACKWARDS) {
      const metric = precision === "b1" ? "hamming" : "cosine";
      const index = await createIndex({
        dimensions,
        precision,
        metric,
        backend: "cpu",
        threads: availableParallelism(),
      });
      try {
        const began = performance.now();
        await index.add(vectors);
        const added = performance.now();
        await scanCopiesReady(index);
        // The first turn is not counted.
        if (turn === 0) continue;
        adds[precision].push(added - began);
        readies[precision].push(performance.now() - added);
      } finally {
        await index.close();
      }
    }
  }
  return PRECISIONS.map((precision) => {
    const addMs = spreadOf(adds[precision]);
    const rowsPerSecond = round((rows / addMs.median) * 1000);
    return { precision, addMs, rowsPerSecond, readyMs: spreadOf(readies[precision]) };
  });
}
