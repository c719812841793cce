/**
 * The CPU search over the rows that one thread can see: estimate scan, canonical distances of
 * what survives, exact top-k. Runs in a worker, or in slices on the caller's thread.
 *
 * A tile of queries passes over the rows in spans. Each query keeps a heap of its exact nearest
 * rows so far; the heap's bound, carried into estimate scale with the margin of core/margin.ts,
 * is the limit that a row's estimate must not exceed. Survivors get their canonical distance at
 * once, so the bound is always a true one (KERNELS b.5: T from rows already rescored) and the
 * answer is exact by construction: about k·ln(N/k) distances a query on random row order.
 * Rejected: collecting estimates first and settling at the end, which needs a buffer without a
 * bound when rows tie. Blocks whose magnitudes float32 cannot hold are scanned canonically, and so
 * are rows of f16, i8 and b1.
 * One task at a time: tasks of one Scanner share its scratch area.
 */
import {
  admissibleEstimate,
  COMFORT_MAX,
  isComfortable,
  scanMargin,
  type ScanMargin,
  unitExponent,
} from "../core/margin.ts";
import type { FloatMetric } from "../core/metric.ts";
import { hasBit } from "../core/rowset.ts";
import type { WorkSlices } from "../core/slices.ts";
import { emptyTopK, NearestHeap } from "../core/topk.ts";
import { bindKernels, type KernelModules, type Kernels } from "./kernels.ts";
import { chunkBytes, rowsAt, scalesAt, scratchAt, type StoreShape, termsAt } from "./layout.ts";
import { type ChunkMemory, ownMemory } from "./memory.ts";
import { type Chunk, type Located, StoreView } from "./store-view.ts";
import type { ScanTask, SettleTask, TaskBlock, TaskQueries, TaskResult } from "./tasks.ts";

interface Counters {
  readonly settled: Uint32Array;
  scanned: number;
  spansF32: number;
  spansCanonical: number;
}

function newCounters(queries: number): Counters {
  return { settled: new Uint32Array(queries), scanned: 0, spansF32: 0, spansCanonical: 0 };
}

/** Of queries that are compared canonically. */
const NO_MARGIN: ScanMargin = { relative: 0, perNorm: 0, absolute: 0 };

/** One query of a tile, prepared for scanning. */
interface TileQuery {
  readonly index: number;
  readonly heap: NearestHeap;
  /** What the estimate scan multiplies the query by, and how far its estimates may be off. */
  readonly scale: number;
  readonly margin: ScanMargin;
  readonly maxDistance: number;
  readonly bits: Uint32Array;
  readonly rowCount: number;
}

export class Scanner {
  readonly #modules: KernelModules;
  readonly #slot: number;
  readonly #slices: WorkSlices | undefined;
  readonly #stores = new Map<number, StoreView>();

  /** `slices` only on the caller's thread: workers have nobody to yield to. */
  constructor(modules: KernelModules, slot: number, slices?: WorkSlices) {
    this.#modules = modules;
    this.#slot = slot;
    this.#slices = slices;
  }

  /** Makes chunk `index` of store `store`, whose blocks lie at their natural places, visible here. */
  attachChunk(store: number, shape: StoreShape, index: number, memory: ChunkMemory): void {
    this.#view(store, shape).setChunk(index, { memory, kernels: this.#bind(memory, shape) });
  }

  /** Copies rows of a block into memory of this thread's own. `rows`: [n × rowBytes], `terms`: [n], `scales`: [n] or empty. */
  putRows(
    store: number,
    shape: StoreShape,
    block: number,
    first: number,
    rows: Uint8Array,
    terms: Float32Array,
    scales: Float32Array,
  ): void {
    const view = this.#view(store, shape);
    if (view.placement(block) === undefined) this.#placeNext(view, block);
    const { chunk, index } = view.locate(block);
    new Uint8Array(chunk.memory.buffer, rowsAt(shape, index, first), rows.length).set(rows);
    new Float32Array(chunk.memory.buffer, termsAt(shape, index, first), terms.length).set(terms);
    new Float32Array(chunk.memory.buffer, scalesAt(shape, index, first), scales.length).set(scales);
  }

  release(store: number): void {
    this.#stores.delete(store);
  }

  async scan(task: ScanTask): Promise<TaskResult> {
    const view = this.#known(task.store);
    const k = task.wanted.reduce((a, b) => Math.max(a, b), 0);
    const counters = newCounters(task.count);
    const topK = emptyTopK(task.count, k);
    const tile = this.#fitting(view.shape.scratch.tileQueries, 32 * view.shape.stride, 1);
    for (let first = 0; first < task.count; first += tile) {
      const queries = this.#prepare(view.shape, task, first, Math.min(tile, task.count - first));
      const loaded = new Set<Chunk>();
      for (const block of task.blocks) {
        const located = view.locate(block.block);
        if (!loaded.has(located.chunk)) {
          this.#loadQueries(view.shape, located.chunk, task, queries);
          loaded.add(located.chunk);
        }
        await this.#scanBlock(view.shape, located, block, queries, task, counters);
      }
      for (const q of queries) topK.counts[q.index] = q.heap.drainInto(topK, q.index * k);
    }
    return { topK, level: view.firstChunk?.kernels.level ?? "none", ...counters };
  }

  async settle(task: SettleTask): Promise<TaskResult> {
    const view = this.#known(task.store);
    const k = task.wanted.reduce((a, b) => Math.max(a, b), 0);
    const topK = emptyTopK(task.count, k);
    const counters = newCounters(task.count);
    const { shape } = view;
    const base = scratchAt(shape, this.#slot);
    const query = base + shape.scratch.givenQueries;
    for (let q = 0; q < task.count; q++) {
      const heap = new NearestHeap(task.wanted[q] ?? 0);
      const maxDistance = task.maxDistances[q] ?? Infinity;
      const loaded = new Set<Chunk>();
      for (let i = task.starts[q] ?? 0; i < (task.starts[q + 1] ?? 0); i++) {
        const row = task.rows[i] ?? 0;
        const { chunk, index } = view.locate(Math.floor(row / shape.blockRows));
        if (!loaded.has(chunk)) {
          copyQuery(shape, chunk, task, q, query);
          loaded.add(chunk);
        }
        const slot = row % shape.blockRows;
        const [at, scale] = [rowsAt(shape, index, slot), scalesAt(shape, index, slot)];
        const distance = chunk.kernels.distance(query, at, scale, base + shape.scratch.distances);
        if (distance <= maxDistance) heap.offer(distance, row);
        counters.settled[q] = (counters.settled[q] ?? 0) + 1;
        const turn = this.#slices?.take(shape.stride);
        if (turn !== undefined) await turn;
      }
      topK.counts[q] = heap.drainInto(topK, q * k);
    }
    return { topK, level: view.firstChunk?.kernels.level ?? "none", ...counters };
  }

  /** At most `most` units of `elements` each, as many as one slice takes, in steps of `step`; on a worker, all of them. */
  #fitting(most: number, elements: number, step: number): number {
    if (this.#slices === undefined) return most;
    const units = Math.floor(this.#slices.budget / elements);
    return Math.min(most, Math.max(step, units - (units % step)));
  }

  #known(store: number): StoreView {
    const view = this.#stores.get(store);
    if (view === undefined) throw new Error(`no rows of store ${store} were ever given to this thread`);
    return view;
  }

  #view(store: number, shape: StoreShape): StoreView {
    let view = this.#stores.get(store);
    if (view === undefined) {
      view = new StoreView(shape);
      this.#stores.set(store, view);
    }
    return view;
  }

  #bind(memory: ChunkMemory, shape: StoreShape): Kernels {
    return bindKernels(this.#modules, memory, shape);
  }

  /** Finds room for one more block in memory that this thread owns. */
  #placeNext(view: StoreView, block: number): void {
    const { shape } = view;
    const place = view.placedCount;
    const chunk = Math.floor(place / shape.blocksPerChunk);
    const index = place % shape.blocksPerChunk;
    if (chunk === view.chunkCount) {
      const memory = ownMemory(chunkBytes(shape, 1));
      view.setChunk(chunk, { memory, kernels: this.#bind(memory, shape) });
    }
    view.place(block, chunk, index);
    view.locate(block).chunk.memory.ensure(chunkBytes(shape, index + 1));
  }

  #prepare(shape: StoreShape, task: ScanTask, first: number, count: number): TileQuery[] {
    return Array.from({ length: count }, (_, i) => {
      const index = first + i;
      const norm = task.norms[index] ?? 0;
      const eligibility = task.eligibilities[task.eligibilityOf[index] ?? 0];
      const scale = shape.metric === "dot" ? 2 ** unitExponent(norm) : 1;
      return {
        index,
        heap: new NearestHeap(task.wanted[index] ?? 0),
        scale,
        margin:
          shape.estimated === undefined
            ? NO_MARGIN
            : scanMargin(shape.estimated, shape.dimensions, norm * scale, scale),
        maxDistance: task.maxDistances[index] ?? Infinity,
        bits: eligibility?.bits ?? new Uint32Array(0),
        rowCount: eligibility?.rowCount ?? 0,
      };
    });
  }

  /** Copies a tile's queries into a chunk's scratch: as given, and as scanned (unit length for cosine, scaled for dot). */
  #loadQueries(shape: StoreShape, chunk: Chunk, task: ScanTask, queries: readonly TileQuery[]): void {
    const base = scratchAt(shape, this.#slot);
    const { stride, scratch } = shape;
    queries.forEach((q, i) => copyQuery(shape, chunk, task, q.index, base + scratch.givenQueries + i * stride * 4));
    if (shape.estimated === undefined) return;
    const scanned = new Float32Array(chunk.memory.buffer, base + scratch.scanQueries, queries.length * stride);
    const perNorms = new Float32Array(chunk.memory.buffer, base + scratch.perNorms, queries.length);
    queries.forEach((q, i) => {
      const vector = task.queries.subarray(q.index * stride, (q.index + 1) * stride);
      if (shape.estimated === "cosine" || shape.estimated === "dot") {
        const factor = shape.estimated === "cosine" ? 1 / (task.norms[q.index] ?? 1) : q.scale;
        for (let d = 0; d < vector.length; d++) scanned[i * stride + d] = (vector[d] ?? 0) * factor;
      } else {
        scanned.set(vector, i * stride);
      }
      perNorms[i] = q.margin.perNorm * (1 + 2 ** -20);
    });
  }

  async #scanBlock(
    shape: StoreShape,
    { chunk, index }: Located,
    block: TaskBlock,
    queries: readonly TileQuery[],
    task: ScanTask,
    counters: Counters,
  ): Promise<void> {
    const { estimated } = shape;
    const isEstimable = estimated !== undefined && canEstimate(estimated, block, queries, task.norms);
    const spanRows = this.#fitting(shape.scratch.spanRows, shape.stride * queries.length, 32);
    for (let first = 0; first < block.rowCount; first += spanRows) {
      const rowCount = Math.min(spanRows, block.rowCount - first);
      const turn = this.#slices?.take(rowCount * shape.stride * queries.length);
      if (turn !== undefined) await turn;
      const firstRow = block.block * shape.blockRows + first;
      if (!this.#loadEligible(shape, chunk, queries, firstRow, rowCount)) continue;
      counters.scanned += rowCount * queries.length;
      if (isEstimable) {
        counters.spansF32++;
        this.#scanSpanF32(shape, estimated, chunk, index, first, rowCount, firstRow, queries, counters.settled);
      } else {
        counters.spansCanonical++;
        for (const q of queries) counters.settled[q.index] = (counters.settled[q.index] ?? 0) + rowCount;
        this.#scanSpanCanonical(shape, chunk, index, first, rowCount, firstRow, queries);
      }
    }
  }

  /** Copies the span's eligibility words of every query into scratch; false when no query may find any of its rows. */
  #loadEligible(
    shape: StoreShape,
    chunk: Chunk,
    queries: readonly TileQuery[],
    firstRow: number,
    rowCount: number,
  ): boolean {
    const { spanWords, eligible } = shape.scratch;
    const at = scratchAt(shape, this.#slot) + eligible;
    const words = new Uint32Array(chunk.memory.buffer, at, queries.length * spanWords);
    let any = 0;
    for (let q = 0; q < queries.length; q++) {
      const bits = queries[q]?.bits;
      for (let w = 0; w < spanWords; w++) {
        const word = w * 32 < rowCount ? (bits?.[(firstRow >>> 5) + w] ?? 0) : 0;
        words[q * spanWords + w] = word;
        any |= word;
      }
    }
    return any !== 0;
  }

  #scanSpanF32(
    shape: StoreShape,
    metric: FloatMetric,
    { memory, kernels }: Chunk,
    index: number,
    first: number,
    rowCount: number,
    firstRow: number,
    queries: readonly TileQuery[],
    settled: Uint32Array,
  ): void {
    const { scratch, stride } = shape;
    const base = scratchAt(shape, this.#slot);
    const limits = new Float32Array(memory.buffer, base + scratch.limits, queries.length);
    queries.forEach((q, i) => {
      const bound = Math.min(q.heap.bound, q.maxDistance);
      const limit = admissibleEstimate(metric, bound, q.scale, q.margin);
      limits[i] = Number.isFinite(limit) ? limit + Math.abs(limit) * 2 ** -22 : limit;
    });
    const count = kernels.scanF32({
      rows: rowsAt(shape, index, first),
      terms: termsAt(shape, index, first),
      rowCount,
      queries: base + scratch.scanQueries,
      queryCount: queries.length,
      limits: base + scratch.limits,
      perNorms: base + scratch.perNorms,
      eligible: base + scratch.eligible,
      words: scratch.spanWords,
      hits: base + scratch.hits,
    });
    const hits = new Uint32Array(memory.buffer, base + scratch.hits, count);
    for (let h = 0; h < count; h++) {
      const hit = hits[h] ?? 0;
      const row = hit & 0xffff;
      const at = hit >>> 16;
      const query = queries[at];
      if (query === undefined) continue;
      const given = base + scratch.givenQueries + at * stride * 4;
      const distance = kernels.distance(given, rowsAt(shape, index, first + row), 0, base + scratch.distances);
      settled[query.index] = (settled[query.index] ?? 0) + 1;
      if (distance <= query.maxDistance) query.heap.offer(distance, firstRow + row);
    }
  }

  #scanSpanCanonical(
    shape: StoreShape,
    { memory, kernels }: Chunk,
    index: number,
    first: number,
    rowCount: number,
    firstRow: number,
    queries: readonly TileQuery[],
  ): void {
    const { scratch, stride } = shape;
    const base = scratchAt(shape, this.#slot);
    const [rows, scales] = [rowsAt(shape, index, first), scalesAt(shape, index, first)];
    queries.forEach((query, i) => {
      const given = base + scratch.givenQueries + i * stride * 4;
      kernels.distances(given, rows, scales, rowCount, base + scratch.distances);
      const distances = new Float32Array(memory.buffer, base + scratch.distances, rowCount);
      for (let r = 0; r < rowCount; r++) {
        const distance = distances[r] ?? Infinity;
        if (distance > query.heap.bound || distance > query.maxDistance) continue;
        if (hasBit(query.bits, firstRow + r)) query.heap.offer(distance, firstRow + r);
      }
    });
  }
}

/** Copies query `index` of a task, word by word, to `at` in a chunk. */
function copyQuery(
  { stride }: StoreShape,
  { memory }: Chunk,
  { queries }: TaskQueries,
  index: number,
  at: number,
): void {
  const words = queries.subarray(index * stride, (index + 1) * stride);
  if (words instanceof Uint32Array) new Uint32Array(memory.buffer, at, stride).set(words);
  else new Float32Array(memory.buffer, at, stride).set(words);
}

/** Whether float32 estimates of this block mean anything for every query of the tile (core/margin.ts). */
function canEstimate(
  metric: FloatMetric,
  block: TaskBlock,
  queries: readonly TileQuery[],
  norms: Float64Array,
): boolean {
  if (!isComfortable(block.maxNorm)) return false;
  if (metric === "cosine") return isComfortable(block.minNorm);
  if (metric === "dot") return true;
  return queries.every((q) => (norms[q.index] ?? 0) <= COMFORT_MAX);
}
