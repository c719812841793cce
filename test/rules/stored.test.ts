/** Indexes as collections use them (engine/stored-index.ts): adopting, replacing and exporting rows as stored obeys the rules that `add` and `remove` obey. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { nextTurn, systemClock } from "../../src/core/clock.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { FLOAT_METRICS, type Metric, type Precision } from "../../src/core/metric.ts";
import { RowSet } from "../../src/core/rowset.ts";
import { readColumn } from "../../src/core/stored-column-reader.ts";
import { StoredColumnWriter } from "../../src/core/stored-column-writer.ts";
import type { StoredColumn, StoredColumnReader } from "../../src/core/stored-column.ts";
import { nodeSpawner } from "../../src/cpu/spawn-node.ts";
import type { IndexOptions } from "../../src/engine/contract.ts";
import { createIndexOn, type Internals, withInternals } from "../../src/engine/create-index.ts";
import { type StoredIndex, withStoredRows } from "../../src/engine/stored-index.ts";
import { nodeGpu } from "../../src/gpu/provider-node.ts";
import { platformOf } from "../../src/platform.ts";
import { normal } from "../contract/random.ts";
import { gpuAvailable } from "../setup/backends.ts";

const D = 13; // rows have padding in every precision
const platform = platformOf(nodeSpawner, nodeGpu);
const SMALL = { blockRows: 32 };

const opened: StoredIndex[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(opened.splice(0).map((index) => index.close()));
});

async function open(options: Partial<IndexOptions> = {}, internals: Internals = {}): Promise<StoredIndex> {
  const all = { dimensions: D, backend: "cpu" as const, metric: "euclidean" as const, threads: 2, ...options };
  const index = withStoredRows(await createIndexOn(platform, withInternals(all, { cpu: SMALL, ...internals })));
  opened.push(index);
  return index;
}

function vectors(count: number, d = D, seed = 11): Float32Array {
  return Float32Array.from({ length: count * d }, normal(seed));
}

function columnOf(
  rows: Float32Array,
  { precision, metric, dimensions }: { precision: Precision; metric: Metric; dimensions: number },
): StoredColumn {
  const writer = new StoredColumnWriter({ precision, metric, dimensions });
  for (let at = 0; at < rows.length; at += dimensions) {
    expect(writer.push(rows.subarray(at, at + dimensions))).toBeUndefined();
  }
  return writer.take();
}

/** A reader whose every read waits for `before`, which may throw. */
function hooked(column: StoredColumn, before: (read: number) => Promise<void> | void): StoredColumnReader {
  const reader = readColumn(column);
  let reads = 0;
  return {
    ...reader,
    async read(first, into) {
      // Half of it is there before anything goes wrong.
      into.rows.fill(0xff);
      into.terms.fill(Number.NaN);
      await before(++reads);
      await reader.read(first, into);
    },
  };
}

const ROWS = 203;
const QUERIES = vectors(4, D, 99);

async function answers(index: StoredIndex, k = 9): Promise<unknown> {
  const { rows, distances, counts } = await index.search(QUERIES, { k });
  return { rows, distances, counts };
}

const KINDS: readonly [Precision, Metric][] = [
  ...(["f32", "f16", "i8"] as const).flatMap((precision) =>
    FLOAT_METRICS.map((metric): [Precision, Metric] => [precision, metric]),
  ),
  ["b1", "hamming"],
  ["b1", "jaccard"],
];

interface Place {
  readonly name: string;
  readonly isHere: boolean;
  readonly kinds: readonly [Precision, Metric][];
  readonly options?: Partial<IndexOptions>;
  readonly internals: Internals;
}

/** A software GPU takes a second for each kind; precisions differ in how rows get there, metrics hardly. */
const GPU_KINDS: Place["kinds"] = [
  ["f32", "cosine"],
  ["f16", "dot"],
  ["i8", "euclidean"],
  ["b1", "hamming"],
];

const PLACES: readonly Place[] = [
  { name: "workers that share memory", isHere: true, kinds: KINDS, internals: { cpu: { ...SMALL, pageWork: 0 } } },
  { name: "workers with copies", isHere: true, kinds: KINDS, internals: { sharesMemory: false } },
  { name: "plain JS on this thread", isHere: true, kinds: KINDS, internals: { usesWorkers: false, kernels: "js" } },
  {
    name: "the GPU",
    isHere: gpuAvailable(),
    kinds: GPU_KINDS,
    options: { backend: "gpu" },
    internals: { usesWorkers: false },
  },
];

describe.each(PLACES)("on $name", ({ isHere, kinds, options = {}, internals }) => {
  const here = test.skipIf(!isHere);

  here.each(kinds)("rule 1: adopted %s rows answer like added ones, bit for bit (%s)", async (precision, metric) => {
    const rows = vectors(ROWS);
    const kind = { precision, metric, dimensions: D };
    const added = await open({ ...options, precision, metric }, internals);
    const adopted = await open({ ...options, precision, metric }, internals);
    await added.add(rows);
    await adopted.add(rows.subarray(0, 7 * D));
    expect(await adopted.adopt(readColumn(columnOf(rows.subarray(7 * D, 64 * D), kind)))).toEqual({
      first: 7,
      count: 57,
    });
    expect(await answers(adopted)).toBeDefined(); // copies of a store that grows
    expect(await adopted.adopt(readColumn(columnOf(rows.subarray(64 * D), kind)))).toEqual({
      first: 64,
      count: ROWS - 64,
    });
    const same = async (): Promise<void> => {
      expect(await answers(adopted)).toEqual(await answers(added));
      const live = Array.from({ length: added.rowCount }, (_, row) => row).filter(
        (row) => (((added.liveBits()[row >>> 5] ?? 0) >>> (row & 31)) & 1) === 1,
      );
      expect(await adopted.get(live)).toEqual(await added.get(live));
    };
    await same();
    for (const index of [added, adopted]) {
      await index.remove([0, 8, 63, 64, 202]);
      await index.replace(9, rows.subarray(0, D));
    }
    expect(adopted.liveBits()).toEqual(added.liveBits());
    await same();
    for (const index of [added, adopted]) await index.compact();
    await same();
  });
});

describe("rule 5: an adoption that fails", () => {
  const kind = { precision: "f32", metric: "euclidean", dimensions: D } as const;
  const failure = new Error("the file is damaged");

  test.each<[string, (read: number, controller: AbortController) => void, object]>([
    [
      "because its reader does",
      (read): void => {
        if (read === 3) throw failure;
      },
      { message: failure.message },
    ],
    [
      "because it is aborted half-way",
      (read, controller): void => {
        if (read === 3) controller.abort(failure);
      },
      { code: "ABORTED", cause: failure },
    ],
    [
      "because it is aborted during the last read",
      (read, controller): void => {
        if (read === 4) controller.abort(failure);
      },
      { code: "ABORTED" },
    ],
  ])("%s leaves the index as it was, and the next rows are right", async (_, hook, error) => {
    const rows = vectors(120);
    const index = await open();
    await index.add(rows.subarray(0, 10 * D));
    const before = await answers(index);
    const controller = new AbortController();
    // Rows 10 … 119: four blocks, four reads.
    const reader = hooked(columnOf(rows.subarray(10 * D), kind), (read) => hook(read, controller));
    await expect(index.adopt(reader, { signal: controller.signal })).rejects.toMatchObject(error);
    expect([index.rowCount, index.size]).toEqual([10, 10]);
    expect(await answers(index)).toEqual(before);
    expect(await index.add(rows.subarray(10 * D))).toMatchObject({ first: 10, count: 110 });
    const fresh = await open();
    await fresh.add(rows);
    expect(await answers(index)).toEqual(await answers(fresh));
    expect((await index.exportColumn(0, 120)).rows).toEqual((await fresh.exportColumn(0, 120)).rows);
  });

  test.each([
    [undefined, 1],
    [2, 2],
    [100, LIMITS.adoptReads],
  ])("with %s reads at once has %i under way, and waits for all before the next rows", async (readsAtOnce, most) => {
    const rows = vectors(32 * 9);
    const index = await open();
    const column = columnOf(rows, kind);
    const reader = readColumn(column);
    const gates: (() => void)[] = [];
    const begun: number[] = [];
    let ended = 0;
    const gated: StoredColumnReader = {
      ...reader,
      ...(readsAtOnce === undefined ? {} : { readsAtOnce }),
      async read(first, into) {
        const number = begun.push(first) - 1;
        await new Promise<void>((resolve) => gates.push(resolve));
        if (isFailing && number === 0) throw failure;
        into.rows.fill(0xff); // late, as a read that is under way does
        if (!isFailing) await reader.read(first, into);
        ended++;
      },
    };
    let isFailing = true;
    let isDone = false;
    const run = async (): Promise<unknown> => {
      begun.length = gates.length = ended = 0;
      isDone = false;
      const result = index.adopt(gated).then(
        (value: unknown) => value,
        (error: unknown) => error,
      );
      void result.then(() => {
        isDone = true;
      });
      for (let released = 0; !isDone; await nextTurn(systemClock)) {
        expect(begun.length - released).toBeLessThanOrEqual(most);
        if (begun.length - released === most || begun.length === 9 || (isFailing && released > 0))
          gates[released++]?.();
      }
      return result;
    };
    expect(await run()).toBe(failure);
    expect([begun.length, ended]).toEqual([most, most - 1]);
    isFailing = false;
    expect(await run()).toEqual({ first: 0, count: 32 * 9 });
    expect(begun).toEqual(Array.from({ length: 9 }, (_, i) => i * 32));
    expect((await index.exportColumn(0, 32 * 9)).rows).toEqual(column.rows);
  });

  test("for bounds of norms that are none reads nothing", async () => {
    const index = await open();
    const reader = {
      ...hooked(columnOf(vectors(5), kind), () => expect.unreachable("it was read")),
      maxNorm: Infinity,
    };
    await expect(index.adopt(reader)).rejects.toMatchObject({ code: "CORRUPT" });
    expect(index.rowCount).toBe(0);
  });

  test("for rows to be removed that do not exist reads nothing", async () => {
    const index = await open();
    await index.add(vectors(3));
    const reader = hooked(columnOf(vectors(5), kind), () => expect.unreachable("it was read"));
    await expect(index.adoptAndRemove([reader], [0, 8])).rejects.toMatchObject({ code: "INVALID_ROW" });
    expect([index.rowCount, index.size]).toEqual([3, 3]);
  });

  test("for more rows than there are numbers is TOO_LARGE", async () => {
    const index = await open();
    await index.add(vectors(3));
    const reader = { ...readColumn(columnOf(vectors(5), kind)), count: 2 ** 32 - 3 };
    await expect(index.adopt(reader)).rejects.toMatchObject({ code: "TOO_LARGE" });
  });

  test("for want of memory is OUT_OF_MEMORY, and can be tried again", async () => {
    const index = await open();
    const reader = readColumn(columnOf(vectors(5), kind));
    vi.spyOn(WebAssembly, "Memory").mockImplementation(function () {
      throw new RangeError("could not allocate memory");
    });
    await expect(index.adopt(reader)).rejects.toMatchObject({ code: "OUT_OF_MEMORY" });
    vi.restoreAllMocks();
    expect(index.rowCount).toBe(0);
    expect(await index.adopt(reader)).toEqual({ first: 0, count: 5 });
    expect((await index.search(vectors(1), { k: 1 })).hits()).toEqual([{ row: 0, distance: 0 }]);
  });

  test("on a closed index is CLOSED, as is looking at its rows", async () => {
    const index = await open();
    await index.close();
    const closed = { code: "CLOSED" };
    await expect(index.adopt(readColumn(columnOf(vectors(5), kind)))).rejects.toMatchObject(closed);
    await expect(index.exportColumn(0, 0)).rejects.toMatchObject(closed);
    expect(() => index.liveBits()).toThrow(expect.objectContaining(closed));
  });
});

describe("rule 5: while rows are adopted", () => {
  const kind = { precision: "f32", metric: "euclidean", dimensions: D } as const;

  test.each([true, false])("searches see all of them or none, filters the old count (shared: %s)", async (shares) => {
    const rows = vectors(100);
    const index = await open({}, { sharesMemory: shares });
    await index.add(rows.subarray(0, 40 * D));
    const before = await answers(index);
    let reads = 0;
    const reader = hooked(columnOf(rows.subarray(40 * D), kind), async () => {
      reads++;
      expect([index.rowCount, index.size]).toEqual([40, 40]);
      expect(await answers(index)).toEqual(before);
      await index.search(QUERIES, { k: 1, filter: RowSet.of([1], 40) });
    });
    await index.adopt(reader);
    expect(reads).toBe(3); // blocks of 32: 40 … 63, 64 … 95, 96 … 99
    const fresh = await open();
    await fresh.add(rows);
    expect(await answers(index)).toEqual(await answers(fresh));
  });

  test("a search sees an upsert that replaces rows wholly or not at all, at every step", async () => {
    const rows = vectors(57);
    const index = await open();
    await index.add(rows.subarray(0, 40 * D));
    const parts = [rows.subarray(40 * D, 45 * D), rows.subarray(45 * D)].map((part) =>
      readColumn(columnOf(part, kind)),
    );
    let isDone = false;
    // Old rows 3, 4, 39 and new row 41 go: 40 of 40 become 53 of 57.
    const changing = index.adoptAndRemove(parts, [3, 41, 4, 39, 4]).finally(() => {
      isDone = true;
    });
    const seen = new Set<string>();
    const results: Promise<unknown>[] = [];
    const look = (): void => {
      seen.add(`${index.size} of ${index.rowCount}`);
      results.push(index.search(QUERIES, { k: 100 }).then(({ counts }) => [...counts]));
    };
    for (look(); !isDone; await Promise.resolve()) look();
    look();
    expect(await changing).toEqual({ first: 40, count: 17, removed: 4 });
    expect([...seen]).toEqual(["40 of 40", "53 of 57"]);
    for (const counts of await Promise.all(results))
      expect([Array(4).fill(40), Array(4).fill(53)]).toContainEqual(counts);
    const bits = RowSet.of([3, 4, 39, 41], 57).not().bits();
    expect(index.liveBits()).toEqual(bits);
    const fresh = await open();
    await fresh.add(rows);
    await fresh.remove([3, 4, 39, 41]);
    expect(await answers(index)).toEqual(await answers(fresh));
  });

  test("rows removed before stay removed, and a removal without readers is one", async () => {
    const index = await open();
    await index.add(vectors(40));
    await index.remove([5]);
    expect(await index.adoptAndRemove([], [5, 6])).toEqual({ first: 40, count: 0, removed: 1 });
    expect(await index.adoptAndRemove([readColumn(columnOf(vectors(0), kind))], [])).toEqual({
      first: 40,
      count: 0,
      removed: 0,
    });
    await index.adopt(readColumn(columnOf(vectors(2), kind)));
    expect([index.size, index.rowCount]).toEqual([40, 42]);
    expect(index.liveBits()).toEqual(RowSet.of([5, 6], 42).not().bits());
    index.liveBits().fill(0); // a copy
    expect(index.size).toBe(40);
  });

  test("changes happen in the order of their calls", async () => {
    const index = await open();
    const column = columnOf(vectors(33), kind);
    const slow = hooked(column, () => nextTurn(systemClock));
    const all = [index.add(vectors(2)), index.adopt(slow), index.add(vectors(3)), index.exportColumn(0, 38)] as const;
    const [a, b, c, exported] = await Promise.all(all);
    expect([a.first, b.first, c.first]).toEqual([0, 2, 35]);
    expect(exported.rows.subarray(2 * 64, 35 * 64)).toEqual(column.rows);
  });

  test("what was signalled to stop before its turn is not begun", async () => {
    const index = await open();
    const controller = new AbortController();
    const first = index.adopt(hooked(columnOf(vectors(2), kind), () => controller.abort()));
    const reader = hooked(columnOf(vectors(2), kind), () => expect.unreachable("it was read"));
    await expect(index.adopt(reader, { signal: controller.signal })).rejects.toMatchObject({ code: "ABORTED" });
    await first;
    expect(index.rowCount).toBe(2);
  });

  test("rule 10: progress is told, and ends at all rows", async () => {
    const d = 4096;
    const index = await open({ dimensions: d });
    const column = columnOf(vectors(200, d), { ...kind, dimensions: d });
    const told: number[] = [];
    await index.adopt(readColumn(column), {
      onProgress: ({ done, total }) => {
        expect(total).toBe(200);
        told.push(done);
      },
    });
    expect(told.length).toBeGreaterThan(2);
    expect(told).toEqual([...told].sort((a, b) => a - b));
    expect(told.at(-1)).toBe(200);
  });

  test.each(["f32", "i8"] as const)(
    "rule 9: no stretch exceeds the work budget, adopting or exporting (%s)",
    async (precision) => {
      const d = 4096;
      const index = await open({ dimensions: d, precision }, { cpu: {} });
      const column = columnOf(vectors(700, d), { ...kind, precision, dimensions: d });
      const { sliceBudget } = index.stats();
      const reader = readColumn(column);
      let failures = 0;
      await index.adopt({
        ...reader,
        read: (first, into) => {
          expect(into.rows.length / 4 + into.terms.length + into.scales.length).toBeLessThanOrEqual(sliceBudget);
          return reader.read(first, into);
        },
      });
      const { rows, terms, scales } = await index.exportColumn(0, 700);

      expect(Buffer.compare(rows, column.rows)).toBe(0); // toEqual takes a minute for so many
      expect({ terms, scales }).toEqual({ terms: column.terms, scales: column.scales });
      await index
        .adopt({
          ...reader,
          read: (first, into) => (first > 500 ? Promise.reject(new Error("no")) : reader.read(first, into)),
        })
        .catch(() => failures++);
      expect(failures).toBe(1);
      expect(index.stats().slices.largest).toBeLessThanOrEqual(sliceBudget);
      expect(index.stats().slices.count).toBeGreaterThan(4);
    },
  );
});

test("adopted rows get codes in the background, as added ones do", async () => {
  const index = await open({ scan: "certified" });
  await index.adopt(readColumn(columnOf(vectors(100), { precision: "f32", metric: "euclidean", dimensions: D })));
  const isCoded = (): boolean => index.stats().cpu.codes?.codedRows === 100;
  for (let turn = 0; turn < 20_000 && !isCoded(); turn++) {
    await new Promise((resolve) => {
      systemClock.after(turn < 1000 ? 0 : 1, () => resolve(undefined));
    });
  }
  expect(isCoded()).toBe(true);
  const { report } = await index.search(QUERIES, { k: 3 });
  expect(report).toMatchObject({ exact: true, scan: { method: "certified" } });
});

test("rows that do not exist cannot be exported", async () => {
  const index = await open();
  await index.add(vectors(3));
  await expect(index.exportColumn(1, 3)).rejects.toThrow(/rows 1 … 3 of 3/);
  await expect(index.exportColumn(-1, 1)).rejects.toThrow(/rows -1/);
  expect(await index.exportColumn(3, 0)).toMatchObject({ minNorm: Infinity, maxNorm: 0 });
});
