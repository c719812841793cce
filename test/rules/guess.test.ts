/**
 * Searches that want many rows guess their bounds from a sample (cpu/settling.ts). Wrong guesses
 * must cost a second search and never an answer.
 */
import { createIndex, type VectorIndex } from "nearfield";
import { withInternals } from "nearfield/testing";
import { describe, expect, test } from "vitest";
import { reference } from "../../src/core/reference.ts";
import { normal } from "../contract/random.ts";

const D = 32;
const N = 20_480;
const K = 300;
/** Rows between the stretches of the sample, 64 of 32 rows, and the length of one. */
const [STEP, STRETCH] = [N / 64, 32];

function gaussian(rows: number, seed: number): Float32Array {
  const gauss = normal(seed);
  return Float32Array.from({ length: rows * D }, () => gauss());
}

async function filled(rows: Float32Array, scan: "full" | "certified", usesWorkers = true): Promise<VectorIndex> {
  const internals = { usesWorkers, cpu: { pageWork: 0, learnRows: 2 ** 31 } };
  const options = { dimensions: D, metric: "euclidean", backend: "cpu", threads: 1, scan } as const;
  const index = await createIndex(withInternals(options, internals));
  await index.add(rows);
  while (scan === "certified" && index.stats().cpu.codes?.codedRows !== N) {
    await new Promise((resolve) => {
      setTimeout(resolve, 2);
    });
  }
  return index;
}

function expectReference(
  result: Awaited<ReturnType<VectorIndex["search"]>>,
  rows: Float32Array,
  queries: Float32Array,
): void {
  for (let q = 0; q < result.queries; q++) {
    const query = queries.subarray(q * D, (q + 1) * D);
    expect(result.hits(q)).toEqual(reference({ metric: "euclidean", rows, dimensions: D, query, k: result.k }));
  }
}

describe.each(["full", "certified"] as const)("a %s scan", (scan) => {
  test("rows in no order: guesses hold, and little more is settled than the answer", async () => {
    const [rows, queries] = [gaussian(N, 1), gaussian(3, 2)];
    const index = await filled(rows, scan);
    const before = index.stats().cpu;
    const result = await index.search(queries, { k: K });
    expectReference(result, rows, queries);
    expect(result.report.scan.rescans).toBe(0);
    const after = index.stats().cpu;
    expect(after.rowsSettled - before.rowsSettled).toBeLessThan(3 * K * 1.2);
    // Without a guess the bound settles as k·ln(N / k): 1,265 rows and the codes' margin, in vain.
    if (scan === "certified") expect(after.survivors - before.survivors).toBeLessThan(3 * (64 * 32 + 4 * K));
    await index.close();
  });

  test("rows whose sample is far nearer than the rest: searched again, and right", async () => {
    const rows = gaussian(N, 3);
    // A tenth of the rows, all that are sampled, near the origin: more of them than are wanted would be guessed to exist.
    for (let r = 0; r < N; r++) {
      const isNear = r % STEP < STRETCH && Math.floor(r / STEP) % 8 === 0;
      for (let d = 0; d < D; d++) rows[r * D + d]! *= isNear ? 0.01 : 1; // inside the array
    }
    const queries = new Float32Array(2 * D).fill(0.001);
    queries[0] = 0.002;
    const index = await filled(rows, scan);
    const result = await index.search(queries, { k: K });
    expectReference(result, rows, queries);
    expect(result.report.scan.rescans).toBe(2);
    await index.close();
  });
});

test("fewer rows within maxDistance, or eligible, than wanted", async () => {
  const [rows, queries] = [gaussian(N, 4), gaussian(2, 5)];
  const index = await filled(rows, "certified", false);
  const all = await index.search(queries, { k: K });
  const maxDistance = all.distances[K - 20] ?? 0;
  const near = await index.search(queries, { k: K, maxDistance });
  expect(near.hits(0)).toEqual(all.hits(0).filter(({ distance }) => distance <= maxDistance));
  await index.remove(Array.from({ length: N - 100 }, (_, i) => i));
  const few = await index.search(queries, { k: K });
  expect([...few.counts]).toEqual([100, 100]);
  expect(few.hits(1)).toEqual(
    reference({
      metric: "euclidean",
      rows,
      dimensions: D,
      query: queries.subarray(D),
      k: K,
      isEligible: (r) => r >= N - 100,
    }),
  );
  await index.close();
});
