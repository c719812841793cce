/**
 * `npm run bench`: end-to-end search times of one backend on seeded data. Cases are interleaved
 * (each round runs all of them once), the first answer of every case is checked against the oracle
 * before any number is printed, and each record is one JSON line that names machine and backend.
 * Kernel benchmarks and comparisons with peers come with the backends' own issues.
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { createIndex, type VectorIndex } from "nearfield";
import { Bench } from "tinybench";
import type { FloatMetric } from "../src/core/metric.ts";
import { reference } from "../src/core/reference.ts";
import { normal } from "../test/contract/random.ts";

interface Case {
  readonly rows: number;
  readonly dimensions: number;
  readonly metric: FloatMetric;
  readonly batch: number;
  readonly k: number;
}

const CASES: readonly Case[] = [
  { rows: 100_000, dimensions: 100, metric: "cosine", batch: 1, k: 10 },
  { rows: 100_000, dimensions: 100, metric: "cosine", batch: 256, k: 10 },
  { rows: 100_000, dimensions: 384, metric: "cosine", batch: 1, k: 10 },
  { rows: 100_000, dimensions: 384, metric: "cosine", batch: 256, k: 10 },
  { rows: 100_000, dimensions: 128, metric: "euclidean", batch: 256, k: 10 },
  { rows: 100_000, dimensions: 128, metric: "dot", batch: 256, k: 1000 },
];

const { values } = parseArgs({
  options: {
    backend: { type: "string", default: "auto" },
    threads: { type: "string" },
    rounds: { type: "string", default: "7" },
  },
});

const data = new Map<string, { rows: Float32Array; queries: Float32Array }>();

function dataOf({ rows, dimensions }: Case): { rows: Float32Array; queries: Float32Array } {
  const key = `${rows}×${dimensions}`;
  let found = data.get(key);
  if (found === undefined) {
    const gauss = normal(42);
    found = {
      rows: Float32Array.from({ length: rows * dimensions }, gauss),
      queries: Float32Array.from({ length: 256 * dimensions }, gauss),
    };
    data.set(key, found);
  }
  return found;
}

async function open(c: Case): Promise<VectorIndex> {
  const backend = values.backend === "gpu" || values.backend === "cpu" ? values.backend : "auto";
  const index = await createIndex({
    dimensions: c.dimensions,
    metric: c.metric,
    backend,
    ...(values.threads === undefined ? {} : { threads: Number(values.threads) }),
  });
  await index.add(dataOf(c).rows);
  return index;
}

/** No number for a wrong answer: two of the queries against the float64 brute force. */
async function check(index: VectorIndex, c: Case): Promise<void> {
  const { rows, queries } = dataOf(c);
  const result = await index.search(queries.subarray(0, c.batch * c.dimensions), { k: c.k });
  for (const q of new Set([0, c.batch - 1])) {
    const query = queries.subarray(q * c.dimensions, (q + 1) * c.dimensions);
    const wanted = reference({ metric: c.metric, rows, dimensions: c.dimensions, query, k: c.k });
    if (JSON.stringify(result.hits(q)) !== JSON.stringify(wanted))
      throw new Error(`wrong answer in ${JSON.stringify(c)}`);
  }
}

const indexes: VectorIndex[] = [];
const bench = new Bench({
  time: 0,
  iterations: Number(values.rounds),
  warmup: true,
  warmupTime: 0,
  warmupIterations: 1,
});
for (const c of CASES) {
  const index = await open(c);
  if (index.backend.software)
    throw new Error(`${index.backend.name} is a software rasteriser: its speed means nothing`);
  await check(index, c);
  indexes.push(index);
  const queries = dataOf(c).queries.subarray(0, c.batch * c.dimensions);
  bench.add(JSON.stringify(c), async () => {
    await index.search(queries, { k: c.k });
  });
}
await bench.run();
for (const [i, c] of CASES.entries()) {
  const index = indexes[i];
  const task = bench.tasks[i];
  const result = task?.result;
  if (index === undefined || result?.state !== "completed") throw new Error(`case ${i} did not complete`);
  await check(index, c);
  const ms = result.latency.p50;
  const { kind, name, threads } = index.backend;
  console.log(
    JSON.stringify({
      ...c,
      medianMs: round(ms),
      p99Ms: round(result.latency.p99),
      msPerQuery: round(ms / c.batch),
      gflops: round((2 * c.rows * c.dimensions * c.batch) / ms / 1e6),
      backend: kind,
      device: name,
      threads,
      node: process.version,
      cpu: cpus()[0]?.model,
    }),
  );
}
await Promise.all(indexes.map((index) => index.close()));

function round(value: number): number {
  return Number(value.toPrecision(4));
}
