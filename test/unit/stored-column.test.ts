/** Stored columns: written like rows of the store, adopted by it, bounded by their terms. */
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { readRows } from "../../src/core/matrix.ts";
import { FLOAT_METRICS, type Metric, type Precision } from "../../src/core/metric.ts";
import { isNormRange, NO_NORMS, normsOfTerms } from "../../src/core/norm-range.ts";
import { WorkSlices } from "../../src/core/slices.ts";
import { readColumn } from "../../src/core/stored-column-reader.ts";
import { type OneVector, StoredColumnWriter } from "../../src/core/stored-column-writer.ts";
import type { StoredColumn } from "../../src/core/stored-column.ts";
import { rowTerm } from "../../src/core/stored-rows.ts";
import { storeShape } from "../../src/cpu/layout.ts";
import { RowStore } from "../../src/cpu/row-store.ts";
import { adoptColumns, exportRows } from "../../src/engine/adopt.ts";
import { normal } from "../contract/random.ts";

const D = 13;

const KINDS: readonly [Precision, Metric][] = [
  ...(["f32", "f16", "i8"] as const).flatMap((precision) =>
    FLOAT_METRICS.map((metric): [Precision, Metric] => [precision, metric]),
  ),
  ["b1", "hamming"],
  ["b1", "jaccard"],
];

/** A store of two blocks of 32 rows a chunk, so that few rows reach every border. */
function smallStore(precision: Precision, metric: Metric, isShared: boolean, dimensions = D): RowStore {
  return new RowStore({ ...storeShape(precision, metric, dimensions, 2, true, 32), blocksPerChunk: 2 }, isShared);
}

function vectors(count: number, seed = 7): Float32Array[] {
  const next = normal(seed);
  return Array.from({ length: count }, () => Float32Array.from({ length: D }, next));
}

function columnOf(precision: Precision, metric: Metric, rows: readonly OneVector[]): StoredColumn {
  const writer = new StoredColumnWriter({ precision, metric, dimensions: D });
  for (const row of rows) expect(writer.push(row)).toBeUndefined();
  return writer.take();
}

/** A store that `add` would have filled. */
function written(store: RowStore, rows: readonly Float32Array[]): RowStore {
  rows.forEach((row, i) => {
    store.reserve(i);
    expect(store.write(i, readRows(row, D, store.precision), 0)).toBeUndefined();
  });
  store.commit(rows.length);
  return store;
}

const slices = (): WorkSlices => new WorkSlices(systemClock, 2 ** 18);

afterEach(() => {
  vi.restoreAllMocks();
});

describe.each(KINDS)("%s rows under %s", (precision, metric) => {
  test("are written to a column as the row store stores them, with the same bounds of norms", async () => {
    const rows = vectors(150);
    const store = written(smallStore(precision, metric, false), rows);
    const column = columnOf(precision, metric, rows);
    const { minNorm, maxNorm, ...arrays } = await exportRows(store, 0, 150, slices());
    expect({ rows: column.rows, terms: column.terms, scales: column.scales }).toEqual(arrays);
    expect({ minNorm, maxNorm }).toEqual({ minNorm: column.minNorm, maxNorm: column.maxNorm });
    expect(column.maxNorm).toBe(store.maxNorm);
  });

  test.each([true, false])(
    "are adopted over block and chunk borders, at any start, as if they had been added (shared: %s)",
    async (isShared) => {
      const rows = vectors(203);
      const wanted = written(smallStore(precision, metric, isShared), rows);
      const store = written(smallStore(precision, metric, isShared), rows.slice(0, 5));
      for (const [from, to] of [
        [5, 6],
        [6, 64],
        [64, 203],
      ]) {
        const reader = readColumn(columnOf(precision, metric, rows.slice(from, to)));
        const { first, count } = await adoptColumns(store, [reader], {}, slices());
        expect([first, count]).toEqual([from, (to ?? 0) - (from ?? 0)]);
        store.commit(first + count);
      }
      expect(store.chunks.map((chunk) => chunk.buffer.byteLength)).toEqual(
        wanted.chunks.map((chunk) => chunk.buffer.byteLength),
      );
      const { minNorm, maxNorm, ...arrays } = await exportRows(store, 0, 203, slices());
      const { minNorm: least, maxNorm: most, ...wantedArrays } = await exportRows(wanted, 0, 203, slices());
      expect(arrays).toEqual(wantedArrays);
      // Bounds: as tight as terms in float32 allow.
      expect(minNorm).toBeLessThanOrEqual(least);
      expect(minNorm).toBeGreaterThan(least * (1 - 2 ** -20));
      expect(maxNorm).toBeGreaterThanOrEqual(most);
      expect(maxNorm).toBeLessThan(most * (1 + 2 ** -20));
      store.blocks.forEach((block, i) => {
        expect(block.minNorm).toBeLessThanOrEqual(wanted.blocks[i]?.minNorm ?? 0);
        expect(block.maxNorm).toBeGreaterThanOrEqual(wanted.blocks[i]?.maxNorm ?? Infinity);
      });
    },
  );
});

describe("a column writer", () => {
  const writer = (precision: Precision = "f32", metric: Metric = "cosine"): StoredColumnWriter =>
    new StoredColumnWriter({ precision, metric, dimensions: 3 });

  test("takes arrays of numbers, float32 arrays and packed bits alike", () => {
    const floats = writer();
    expect(floats.push([1, 2, 3])).toBeUndefined();
    expect(floats.push(Float32Array.of(1, 2, 3))).toBeUndefined();
    const { rows, terms } = floats.take();
    expect(rows.subarray(0, 16)).toEqual(rows.subarray(16));
    expect(terms[0]).toBe(Math.fround(1 / Math.sqrt(14)));
    const bits = writer("b1", "hamming");
    expect(bits.push(Uint8Array.of(0b11101))).toBeUndefined();
    expect(bits.push([1, -1, 5])).toBeUndefined();
    const column = bits.take();
    expect(column.rows.subarray(0, 16)).toEqual(column.rows.subarray(16));
    expect([...column.terms]).toEqual([2, 2]);
    expect([column.minNorm, column.maxNorm]).toEqual([2, 2]);
  });

  test("refuses what add refuses, in its words, and leaves no trace of it", () => {
    const half = writer("f16");
    expect(half.push([1, 2, 3])).toBeUndefined();
    const before = half.count;
    expect(half.push([1, Number.NaN, 3])).toMatch(/^a NaN or infinite element/);
    expect(half.push([0, 0, 0])).toMatch(/^a zero vector/);
    expect(half.push([1, 2, 1e5])).toMatch(/beyond ±65504/);
    expect(half.push([1e-10, 0, 0])).toMatch(/zero after rounding to f16/);
    expect(half.count).toBe(before);
    expect(half.push([4, 5, 6])).toBeUndefined();
    const untouched = writer("f16");
    untouched.push([1, 2, 3]);
    untouched.push([4, 5, 6]);
    expect(half.take()).toEqual(untouched.take());
  });

  test("tells a wrong length from other reasons, and refuses by it too", () => {
    const floats = writer();
    expect(floats.lengthReason([1, 2])).toBe("a vector of length 2 where there are 3 dimensions");
    expect(floats.lengthReason(new Float32Array(6))).toMatch(/length 6/);
    expect(floats.lengthReason([1, 2, Number.NaN])).toBeUndefined();
    expect(floats.push([])).toMatch(/length 0/);
    expect(floats.push([1, 2, 3, 4, 5, 6])).toMatch(/length 6/);
    const bits = writer("b1", "jaccard");
    expect(bits.push(new Uint8Array(2))).toBe("2 bytes of packed bits where 3 dimensions take 1");
    expect(bits.lengthReason(new Uint8Array(1))).toBeUndefined();
    expect(floats.count + bits.count).toBe(0);
  });

  test.each<[unknown, RegExp]>([
    [["1", 2, 3], /^"1" as element 0/],
    [[1, 2, null], /^null as element 2/],
    [new Uint8Array(3), /^a Uint8Array where precision f32 stores floats/],
    ["abc", /^"abc" where a vector should be/],
    [undefined, /^undefined where/],
    [new Float64Array(3), /^a Float64Array of 3 where/],
  ])("refuses what is no vector: %j", (value, reason) => {
    const floats = writer();
    expect(floats.push(value as OneVector)).toMatch(reason);
    expect(floats.count).toBe(0);
  });

  test("begins anew after take, which leaves what was taken alone", () => {
    const floats = writer("i8", "dot");
    floats.push([1, 2, 3]);
    expect(floats.sizeBytes).toBe(16);
    const taken = floats.take();
    const copy = structuredClone(taken);
    expect([floats.count, floats.sizeBytes]).toEqual([0, 0]);
    floats.push([100, 2, -3]);
    expect(taken).toEqual(copy);
    expect(floats.take().maxNorm).toBeGreaterThan(taken.maxNorm);
    expect(floats.take()).toMatchObject(NO_NORMS);
  });
});

describe("bounds of norms from terms", () => {
  const norm = fc.oneof(
    fc.constant(0),
    fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
    fc.double({ min: 0, max: 1e43, noNaN: true }),
    fc.integer({ min: -1070, max: 140 }).map((e) => 1.999 * 2 ** e),
  );

  test.each(["cosine", "dot"] as const)("hold for every row, and lie within what is known (%s)", (metric) => {
    fc.assert(
      fc.property(
        fc.array(norm, { minLength: 1, maxLength: 20 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (all, wider) => {
          const norms = metric === "cosine" ? all.filter((x) => x > 0) : all;
          const positive = norms.filter((x) => x > 0);
          const known = {
            minNorm: Math.min(...positive, Infinity) * (1 - wider / 2),
            maxNorm: Math.max(...norms, 0) * (1 + wider),
          };
          const terms = Float32Array.from(norms, (x) => rowTerm(metric, x));
          const bounds = normsOfTerms(terms, metric, known);
          for (const x of positive) expect(x).toBeGreaterThanOrEqual(bounds.minNorm);
          for (const x of norms) expect(x).toBeLessThanOrEqual(bounds.maxNorm);
          if (norms.length > 0) {
            expect(bounds.minNorm).toBeGreaterThanOrEqual(known.minNorm);
            expect(bounds.maxNorm).toBeLessThanOrEqual(known.maxNorm);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("one row out of all proportion widens its own block only", async () => {
    const rows = vectors(96);
    rows[40] = (rows[40] ?? new Float32Array(D)).map((x) => x * 1e25);
    const store = smallStore("f32", "euclidean", false);
    await adoptColumns(store, [readColumn(columnOf("f32", "euclidean", rows))], {}, slices());
    store.commit(96);
    expect(store.blocks.map((block) => block.maxNorm > 1e20)).toEqual([false, true, false]);
    expect(store.maxNorm).toBeGreaterThan(1e20);
  });

  test("what a damaged file may say is told from bounds", () => {
    for (const [minNorm, maxNorm] of [
      [Infinity, 0],
      [1, 1],
      [1e-300, 1e300],
    ] as const)
      expect(isNormRange({ minNorm, maxNorm })).toBe(true);
    for (const [minNorm, maxNorm] of [
      [Number.NaN, 1],
      [1, Number.NaN],
      [0, 1],
      [-1, 1],
      [2, 1],
      [1, Infinity],
      [Infinity, 1],
    ] as const)
      expect(isNormRange({ minNorm, maxNorm })).toBe(false);
  });
});

describe.each([true, false])("memory that runs out (shared: %s)", (isShared) => {
  test("while room for many chunks is made leaves the store as it was, and working", async () => {
    const rows = vectors(200);
    const store = written(smallStore("f32", "dot", isShared), rows.slice(0, 40));
    const chunks = store.chunks.length;
    const blocks = store.blocks.length;
    const { Memory } = WebAssembly;
    let left = 1;
    vi.spyOn(WebAssembly, "Memory").mockImplementation(function (descriptor) {
      if (left-- === 0) throw new RangeError("could not allocate memory");
      return new Memory(descriptor);
    });
    const reader = readColumn(columnOf("f32", "dot", rows.slice(40)));
    await expect(adoptColumns(store, [reader], {}, slices())).rejects.toMatchObject({ code: "OUT_OF_MEMORY" });
    vi.restoreAllMocks();
    expect([store.rowCount, store.chunks.length, store.blocks.length]).toEqual([40, chunks, blocks]);
    await adoptColumns(store, [reader], {}, slices());
    store.commit(200);
    expect((await exportRows(store, 0, 200, slices())).rows).toEqual(columnOf("f32", "dot", rows).rows);
  });
});
