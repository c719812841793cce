/** The seam as a proposer uses it: stored bytes, terms and scales of each precision, and settling what was proposed. */
import { LIMITS } from "../../src/core/limits.ts";
import { beforeAll, describe, expect, test } from "vitest";
import type { Batch } from "../../src/core/backend.ts";
import { systemClock } from "../../src/core/clock.ts";
import { readRows } from "../../src/core/matrix.ts";
import type { Metric, Precision } from "../../src/core/metric.ts";
import { reference, storedRow } from "../../src/core/reference.ts";
import { WorkSlices } from "../../src/core/slices.ts";
import { StoredRows } from "../../src/core/stored-rows.ts";
import { CpuBackend } from "../../src/cpu/backend.ts";
import { inlinedKernels } from "../../src/cpu/kernel-bytes.ts";
import { nodeSpawner } from "../../src/cpu/spawn-node.ts";
import { normal, uniform } from "../contract/random.ts";

const D = 21;
const ROWS = 2500; // three blocks
const QUERIES = 7;
const K = 5;
const kernels = await inlinedKernels();
const gauss = normal(3);
const rows = Float32Array.from({ length: ROWS * D }, gauss);
const queries = Float32Array.from({ length: QUERIES * D }, gauss);
const rowOf = (vectors: Float32Array, i: number): Float32Array => vectors.subarray(i * D, (i + 1) * D);

const KINDS: readonly (readonly [Precision, Metric])[] = [
  ["f32", "cosine"],
  ["f16", "cosine"],
  ["f16", "dot"],
  ["i8", "cosine"],
  ["i8", "euclidean"],
  ["b1", "hamming"],
  ["b1", "jaccard"],
];

const PLACES = [
  { place: "WASM workers on shared memory", wasm: true, sharesMemory: true, usesWorkers: true },
  { place: "JS workers with copies", wasm: false, sharesMemory: false, usesWorkers: true },
  { place: "WASM on the caller's thread", wasm: true, sharesMemory: false, usesWorkers: false },
] as const;

interface Setup {
  readonly backend: CpuBackend;
  readonly store: ReturnType<CpuBackend["createRows"]>;
}

function open(precision: Precision, metric: Metric, where: (typeof PLACES)[number]): Setup {
  const backend = new CpuBackend({
    precision,
    metric,
    dimensions: D,
    threads: 2,
    spawner: nodeSpawner,
    workerUrl: undefined,
    kernels: where.wasm ? kernels : null,
    sharesMemory: where.sharesMemory,
    usesWorkers: where.usesWorkers,
    scan: "auto",
    codedBytes: LIMITS.codedBytes,
    learnRows: LIMITS.learnRows,
    directions: undefined,
    pageWork: 0,
    blockRows: 1024,
    slices: new WorkSlices(systemClock, 1 << 15),
    emit: () => {},
  });
  const store = backend.createRows();
  const reader = readRows(rows, D, precision);
  for (let row = 0; row < ROWS; row++) {
    store.reserve(row);
    expect(store.write(row, reader, row)).toBeUndefined();
  }
  store.commit(ROWS);
  return { backend, store };
}

function batchOf({ store }: Setup): Batch {
  const { stride, precision } = store;
  const vectors = precision === "b1" ? new Uint32Array(QUERIES * stride) : new Float32Array(QUERIES * stride);
  const norms = new Float64Array(QUERIES);
  for (let q = 0; q < QUERIES; q++) {
    const query = rowOf(queries, q);
    if (vectors instanceof Uint32Array) {
      const packed = new StoredRows(store.shape, new Uint8Array(vectors.buffer, q * stride * 4, stride * 4));
      packed.write(0, readRows(query, D, precision), 0);
      norms[q] = packed.norm;
    } else {
      vectors.set(query, q * stride);
      norms[q] = Math.hypot(...query);
    }
  }
  return {
    count: QUERIES,
    queries: vectors,
    norms,
    wanted: new Uint32Array(QUERIES).fill(K),
    k: K,
    maxDistances: new Float32Array(QUERIES).fill(Infinity),
    eligibilities: [{ bits: new Uint32Array(Math.ceil(ROWS / 32)).fill(0xffffffff), rowCount: ROWS, count: ROWS }],
    eligibilityOf: new Uint32Array(QUERIES),
  };
}

describe.each(KINDS)("%s rows under %s", (precision, metric) => {
  let elements: Float64Array;
  beforeAll(() => {
    elements = Float64Array.from(
      Array.from({ length: ROWS }, (_, i) => [...storedRow(precision, rowOf(rows, i))]).flat(),
    );
  });

  test.each(PLACES)("rule 1: what is proposed is settled exactly: $place", async (where) => {
    const setup = open(precision, metric, where);
    const draw = uniform(8);
    const sets = Array.from({ length: QUERIES }, (_, q) => {
      const some = Array.from({ length: ROWS }, (__, i) => ROWS - 1 - i).filter(() => draw() < q / 10); // none for the first
      return Uint32Array.from(some);
    });
    const none = new Uint8Array(QUERIES);
    const proposal = { candidates: sets, rescans: none, certified: none, directions: 0 };
    const { topK, settled } = await setup.backend.settle(setup.store, batchOf(setup), proposal);
    setup.backend.close();
    expect([...settled]).toEqual(sets.map((set) => set.length));
    for (let q = 0; q < QUERIES; q++) {
      const query = rowOf(queries, q);
      const allowed = new Set(sets[q]);
      const wanted = reference({
        metric,
        rows: elements,
        dimensions: D,
        query: precision === "b1" ? storedRow("b1", query) : query,
        k: K,
        isEligible: (row) => allowed.has(row),
      });
      const count = topK.counts[q] ?? 0;
      const hits = Array.from({ length: count }, (_, i) => ({
        row: topK.rows[q * topK.k + i],
        distance: topK.distances[q * topK.k + i],
      }));
      expect(hits).toEqual(wanted);
    }
  });

  test("terms, scales and norms are those of the stored values, and padding is zero", () => {
    const { backend, store } = open(precision, metric, PLACES[0]);
    expect(store.blocks.map((block) => block.firstRow)).toEqual([0, 1024, 2048]);
    const norms = Array.from({ length: ROWS }, (_, i) => {
      const row = elements.subarray(i * D, (i + 1) * D);
      return precision === "b1" ? row.reduce((a, b) => a + b, 0) : Math.sqrt(row.reduce((a, b) => a + b * b, 0));
    });
    for (const [first, count] of [
      [0, 1024],
      [1024, 3],
      [2040, 8],
      [2048, 452],
    ] as const) {
      const terms = store.terms(first, count);
      const scales = store.scales(first, count);
      const bytes = store.bytes(first, count);
      expect([terms.length, bytes.length]).toEqual([count, count * store.rowBytes]);
      expect(scales.length).toBe(precision === "i8" ? count : 0);
      for (let i = 0; i < count; i++) {
        const norm = norms[first + i] ?? 0;
        const term = metric === "cosine" ? 1 / norm : norm;
        // One float32 rounding, of a float64 sum in another order.
        expect(Math.abs((terms[i] ?? 0) - term)).toBeLessThanOrEqual(term * 2 ** -23);
        const largest = rowOf(rows, first + i).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        if (precision === "i8") expect(scales[i]).toBe(Math.fround(largest / 127));
        const used = Math.ceil((D * { f32: 32, f16: 16, i8: 8, b1: 1 }[precision]) / 8);
        const padding = bytes.subarray(i * store.rowBytes + used, (i + 1) * store.rowBytes);
        expect(padding.every((byte) => byte === 0)).toBe(true);
      }
    }
    const near = (got: number, wanted: number): void =>
      expect(Math.abs(got - wanted)).toBeLessThanOrEqual(wanted * 1e-12);
    near(store.maxNorm, Math.max(...norms));
    store.blocks.forEach((block) => {
      const inBlock = norms.slice(block.firstRow, block.firstRow + store.blockRows);
      near(block.maxNorm, Math.max(...inBlock));
      near(block.minNorm, Math.min(...inBlock.filter((norm) => norm > 0)));
    });
    backend.close();
  });
});

test("a stored vector put into another store is the same row: no second rounding", () => {
  for (const [precision, metric] of KINDS) {
    const { backend, store } = open(precision, metric, PLACES[2]);
    const other = backend.createRows();
    other.reserve(0);
    other.put(0, store.stored(1500));
    other.commit(1);
    expect(other.bytes(0, 1)).toEqual(store.bytes(1500, 1));
    expect(other.terms(0, 1)).toEqual(store.terms(1500, 1));
    expect(other.scales(0, 1)).toEqual(store.scales(1500, 1));
    const encoded = store.encode(readRows(rowOf(rows, 1500), D, precision), 0);
    expect(encoded).toEqual({ ...store.stored(1500), bytes: store.bytes(1500, 1).slice() });
    backend.close();
  }
});
