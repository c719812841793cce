/** The small parts that every call or every byte goes through, one at a time, by tinybench. Inputs are seeded; results go to a sink, so that nothing is optimised away. */
import { Bench } from "tinybench";
import { compileFilter } from "../../src/collection/filter.ts";
import { encodeHalves } from "../../src/core/half.ts";
import { quantiseRow } from "../../src/core/quantiser.ts";
import { uniform } from "../../src/core/random.ts";
import { RowSet } from "../../src/core/rowset.ts";
import { emptyTopK, NearestHeap, TopKMerge } from "../../src/core/topk.ts";
import { crc32c, prepareCrc32c } from "../../src/storage/crc32c.ts";
import { round } from "../statistics.ts";

export interface MicroRate {
  readonly name: string;
  readonly medianUs: number;
  readonly p99Us: number;
  readonly samples: number;
  /** What one run works on, in units of `unit`, a second. */
  readonly perSecond: number;
  readonly unit: "B" | "elements" | "rows" | "filters";
}

interface Micro {
  readonly name: string;
  readonly unit: MicroRate["unit"];
  /** Units of one run. */
  readonly count: number;
  readonly run: () => unknown;
}

const ROWS = 1_000_000;
const DIMENSIONS = 384;
const K = 10;
const PARTS = 16;

function micros(): Micro[] {
  const draw = uniform(7);
  const bytes = Uint8Array.from({ length: 1 << 20 }, () => draw() * 256);
  const scores = Float32Array.from({ length: ROWS }, draw);
  const vector = Float32Array.from({ length: DIMENSIONS }, () => draw() - 0.5);
  const bits = new Int32Array(vector.buffer);
  const halves = new Uint16Array(DIMENSIONS);
  const codes = new Int8Array(DIMENSIONS);
  const even = RowSet.fromBits(new Uint32Array(ROWS / 32).fill(0x55555555), ROWS);
  const third = RowSet.of(
    Array.from({ length: Math.floor(ROWS / 3) }, (_, i) => i * 3),
    ROWS,
  );
  const parts = Array.from({ length: PARTS }, (_, part) => {
    const found = emptyTopK(1, K);
    for (let i = 0; i < K; i++) {
      found.rows[i] = i * PARTS + part;
      found.distances[i] = i + part / PARTS;
    }
    found.counts[0] = K;
    return found;
  });
  const filter = { year: { $gte: 1990, $lt: 2000 }, lang: { $in: ["en", "de"] }, tags: "drama" };
  return [
    { name: "crc32c of 1 MiB", unit: "B", count: bytes.length, run: () => crc32c(bytes) },
    {
      name: `nearest ${K} of ${ROWS.toLocaleString("en")} distances`,
      unit: "rows",
      count: ROWS,
      run: () => {
        const heap = new NearestHeap(K);
        for (let row = 0; row < ROWS; row++) {
          const distance = scores[row] ?? 0;
          if (distance <= heap.bound) heap.offer(distance, row);
        }
        return heap.drainInto(emptyTopK(1, K), 0);
      },
    },
    {
      name: `merge of ${PARTS} lists of ${K}`,
      unit: "rows",
      count: K,
      run: () => new TopKMerge(parts).take(emptyTopK(1, K), 0, K),
    },
    { name: "RowSet and", unit: "rows", count: ROWS, run: () => even.and(third) },
    { name: "RowSet count", unit: "rows", count: ROWS, run: () => third.count },
    {
      name: "row to f16",
      unit: "elements",
      count: DIMENSIONS,
      run: () => encodeHalves(bits, DIMENSIONS, halves, 0),
    },
    { name: "row to i8", unit: "elements", count: DIMENSIONS, run: () => quantiseRow(vector, 0, DIMENSIONS, codes, 0) },
    { name: "filter of three conditions compiled", unit: "filters", count: 1, run: () => compileFilter(filter) },
  ];
}

export async function measureMicro(ms: number): Promise<MicroRate[]> {
  await prepareCrc32c();
  const tasks = micros();
  const bench = new Bench({ time: ms, warmupTime: ms / 5 });
  let sink: unknown;
  for (const { name, run } of tasks) {
    bench.add(name, () => {
      sink = run();
    });
  }
  await bench.run();
  if (sink === undefined) throw new Error("nothing was run");
  return tasks.map(({ name, unit, count }, i) => {
    const result = bench.tasks[i]?.result;
    if (result?.state !== "completed") throw new Error(`${name} did not complete`);
    const { p50, p99, samplesCount } = result.latency;
    return {
      name,
      medianUs: round(p50 * 1000),
      p99Us: round(p99 * 1000),
      samples: samplesCount,
      perSecond: round((count / p50) * 1000),
      unit,
    };
  });
}
