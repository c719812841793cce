/** The certified scan of the CPU on real data, GloVe's 100,000 most frequent words: exact, and counted (KERNELS b.5). */
import { createIndex } from "nearfield";
import { withInternals } from "nearfield/testing";
import { expect, test } from "vitest";
import { DIMENSIONS, gloveRows } from "../setup/glove-rows.ts";

const WORDS = 100_000;
const QUERIES = 12;

test.each([undefined, 64])(
  "GloVe: few rows survive, none is lost, nothing is scanned in full (directions: %s)",
  async (directions) => {
    const rows = await gloveRows(WORDS);
    const queries = new Float32Array(QUERIES * DIMENSIONS);
    for (let q = 0; q < QUERIES; q++) {
      const row = 37 + q * 7_973; // words from everywhere in the list of frequencies
      queries.set(rows.subarray(row * DIMENSIONS, (row + 1) * DIMENSIONS), q * DIMENSIONS);
    }
    const full = await createIndex({ dimensions: DIMENSIONS, backend: "cpu", scan: "full" });
    await full.add(rows);
    const wanted = await full.search(queries, { k: 10 });
    await full.close();

    const cpu = directions === undefined ? {} : { directions };
    const index = await createIndex(withInternals({ dimensions: DIMENSIONS, backend: "cpu", threads: 1 }, { cpu }));
    await index.add(rows);
    for (let hasLearnt = false; ; ) {
      const { codes } = index.stats().cpu;
      hasLearnt ||= codes !== null && codes.learning !== null;
      if (hasLearnt && codes?.learning === null && codes.codedRows === WORDS) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    const before = index.stats().cpu;
    const found = await index.search(queries, { k: 10 });
    const after = index.stats().cpu;
    expect(found.rows).toEqual(wanted.rows);
    expect(found.distances).toEqual(wanted.distances);
    expect(found.report.scan).toMatchObject({ method: "certified", rescans: 0 });
    if (directions !== undefined) expect(found.report.scan.prefixDimensions).toBe(directions);
    const survivors = after.survivors - before.survivors;
    expect(survivors).toBeLessThan(0.08 * WORDS * QUERIES);
    expect(after.rowsJudged - before.rowsJudged).toBe(WORDS * QUERIES);
    expect(after.kernels["scan_f32/wasm"]).toBe(before.kernels["scan_f32/wasm"]);
    await index.close();
    console.info(
      `GloVe on the CPU: ${found.report.scan.prefixDimensions} directions, ${((100 * survivors) / (WORDS * QUERIES)).toFixed(2)} % of the rows survive, ${found.report.scan.survivors / QUERIES} a query are settled`,
    );
  },
);
