/** What rows of f16, i8 and b1 do in an index: stored values, replace, compact, skipping, memory, slices (DESIGN rules 4, 5, 8, 9). */
import { createIndex, type IndexOptions, type VectorIndex } from "nearfield";
import { type Internals, withInternals } from "nearfield/testing";
import { afterEach, describe, expect, test } from "vitest";
import type { Precision } from "../../src/core/metric.ts";
import { reference, storedRow } from "../../src/core/reference.ts";
import { normal } from "../contract/random.ts";

const opened: VectorIndex[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((index) => index.close()));
});

async function open(options: Partial<IndexOptions>, internals: Internals = {}): Promise<VectorIndex> {
  const index = await createIndex(withInternals({ dimensions: 13, backend: "cpu", threads: 2, ...options }, internals));
  opened.push(index);
  return index;
}

/** [count × d] numbers. */
function vectors(count: number, d: number, seed = 5): Float32Array {
  return Float32Array.from({ length: count * d }, normal(seed));
}

/** What `get` returns for rows that were given as `rows`, by the oracle. */
function expectedValues(precision: Precision, rows: Float32Array, d: number): Float32Array | Uint8Array {
  const count = rows.length / d;
  const elements = Array.from({ length: count }, (_, i) => storedRow(precision, rows.subarray(i * d, (i + 1) * d)));
  if (precision !== "b1") return Float32Array.from(elements.flatMap((row) => [...row]));
  const size = Math.ceil(d / 8);
  const bytes = new Uint8Array(count * size);
  elements.forEach((row, i) =>
    row.forEach((bit, j) => {
      const at = i * size + Math.floor(j / 8);
      bytes[at] = (bytes[at] ?? 0) + bit * 2 ** (j % 8);
    }),
  );
  return bytes;
}

describe.each(["f16", "i8", "b1"] as const)("rows of %s", (precision) => {
  const D = 13;
  const metric = precision === "b1" ? "jaccard" : "euclidean";
  const rows = vectors(50, D);
  const row = (i: number): Float32Array => rows.subarray(i * D, (i + 1) * D);

  test("rule 4: come back as stored, in the order asked", async () => {
    const index = await open({ precision, metric });
    await index.add(rows);
    expect(await index.get([7, 0, 49, 7])).toEqual(
      expectedValues(precision, Float32Array.of(...row(7), ...row(0), ...row(49), ...row(7)), D),
    );
    expect(await index.get([])).toHaveLength(0);
  });

  test.each([true, false])("rule 5: are replaced and compacted, bytes, scales and all (shared: %s)", async (shares) => {
    const index = await open({ precision, metric }, { sharesMemory: shares });
    await index.add(rows.subarray(0, 20 * D));
    const query = row(30);
    const nearest = async (): Promise<number[]> => [...(await index.search(query, { k: 3 })).rows];
    const truth = (list: readonly Float32Array[]): number[] => {
      const elements = list.flatMap((vector) => [...storedRow(precision, vector)]);
      const asQuery = precision === "b1" ? storedRow("b1", query) : query;
      return reference({ metric, rows: Float64Array.from(elements), dimensions: D, query: asQuery, k: 3 }).map(
        (h) => h.row,
      );
    };
    const model = Array.from({ length: 20 }, (_, i) => row(i));
    expect(await nearest()).toEqual(truth(model));
    await index.replace(
      4,
      row(30).map((x) => x * 1.5),
    );
    model[4] = row(30).map((x) => x * 1.5);
    expect(await nearest()).toEqual(truth(model));
    expect(await index.get([4])).toEqual(expectedValues(precision, model[4], D));
    await index.remove([0, 1, 9]);
    await index.compact();
    const kept = model.filter((_, i) => ![0, 1, 9].includes(i));
    expect(await nearest()).toEqual(truth(kept));
    expect(await index.get(kept.map((_, i) => i))).toEqual(
      expectedValues(precision, Float32Array.from(kept.flatMap((v) => [...v])), D),
    );
    await index.add(row(30));
    expect(await nearest()).toEqual(truth([...kept, row(30)]));
  });

  test("rule 6: invalid ones are skipped when asked, and their place is not", async () => {
    const index = await open({ precision, metric, invalid: "skip" });
    const bad = rows.slice(0, 5 * D);
    bad[D] = Number.NaN;
    if (precision === "f16") bad[3 * D + 2] = 1e5;
    const skipped = precision === "f16" ? [1, 3] : [1];
    expect(await index.add(bad)).toEqual({ first: 0, count: 5 - skipped.length, skipped });
    const good = [0, 1, 2, 3, 4].filter((i) => !skipped.includes(i)).map((i) => [...row(i)]);
    expect(await index.get(good.map((_, i) => i))).toEqual(
      expectedValues(precision, Float32Array.from(good.flat()), D),
    );
  });

  test("rule 8: take the memory that their precision says", async () => {
    const d = 256;
    const count = 65_536;
    const index = await open({ precision, metric, dimensions: d, threads: 1, scan: "full" }, { usesWorkers: false });
    const input = precision === "b1" ? new Uint8Array((count * d) / 8) : vectors(count, d);
    await index.add(input);
    // Elements, scale, row term; and of i8 rows, which are codes, the facts of a certified scan.
    const bytes = { f16: 2 * d, i8: d + 4 + 20, b1: d / 8 }[precision] + 4;
    expect(index.stats().cpu.storeBytes).toBeGreaterThanOrEqual(count * bytes);
    // Scratch of two slots (32 queries in three forms, hits, decoded rows), and at most one block beyond the rows.
    expect(index.stats().cpu.storeBytes).toBeLessThan(count * bytes + 2 * 500_000 + 4096 * bytes);
  });

  test("rule 9: keep to the work budget in add, get, search, replace and compact, on the caller's thread too", async () => {
    const d = 4096;
    const index = await open({ precision, metric, dimensions: d }, { usesWorkers: false });
    await index.add(vectors(300, d));
    await index.get(Array.from({ length: 300 }, (_, i) => i));
    await index.search(vectors(9, d), { k: 5 });
    await index.remove([3]);
    await index.compact();
    const { slices, sliceBudget } = index.stats();
    expect(slices.largest).toBeLessThanOrEqual(sliceBudget);
    expect(slices.count).toBeGreaterThan(3);
  });
});

test("rule 4: packed bits are stored as given, spare bits ignored, and equal the floats of the same signs", async () => {
  const index = await open({ precision: "b1", dimensions: 11 });
  await index.add(Uint8Array.of(0b10101010, 0xff, 0x0f, 0b11111000));
  expect(await index.get([0, 1])).toEqual(Uint8Array.of(0b10101010, 0b111, 0x0f, 0));
  await index.add([-1, 2, 0, 2, -1, 2, -0, 2, 1, 1, 1]);
  expect(await index.get([2])).toEqual(Uint8Array.of(0b10101010, 0b111));
  const packed = await index.search(Uint8Array.of(0b10101010, 0xf8), { k: 3 });
  expect(packed.hits()).toEqual([
    { row: 0, distance: 3 },
    { row: 2, distance: 3 },
    { row: 1, distance: 4 },
  ]);
  const floats = await index.search([-1, 2, 0, 2, -1, 2, -0, 2, -1, -1, -1], { k: 3 });
  expect(floats.hits()).toEqual(packed.hits());
});

test("two empty sets are at jaccard distance 0, and bits have no invalid vector but NaN", async () => {
  const index = await open({ precision: "b1", metric: "jaccard", dimensions: 3 });
  await index.add([0, -1, 0, 1, 1, 0, 1, 1, 1]);
  expect((await index.search([-1, -1, -1], { k: 3 })).hits()).toEqual([
    { row: 0, distance: 0 },
    { row: 1, distance: 1 },
    { row: 2, distance: 1 },
  ]);
  expect((await index.search([0, 1, 0], { k: 1 })).hits()).toEqual([{ row: 1, distance: 0.5 }]);
});
