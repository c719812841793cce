/**
 * The CPU search over the rows that one thread can see, and the upkeep of their codes. Runs in a
 * worker, or in slices on the caller's thread.
 *
 * Tiles of queries (tile.ts) pass over the rows span by span (spans.ts). Rows with codes are judged
 * by them; others in full precision: by float32 estimates, by exact kernels for bits, and where
 * float32 cannot hold a block's magnitudes, canonically. Spans grow as the scan goes on: the first
 * rows all survive, later ones meet tight bounds.
 * One task at a time: tasks of one Scanner share its scratch area.
 */
import { encodingWork } from "../core/projection.ts";
import type { WorkSlices } from "../core/slices.ts";
import { emptyTopK, NearestHeap, type TopK } from "../core/topk.ts";
import { LIMITS } from "../core/limits.ts";
import { encodePiece, missingCodes, sealedRows } from "./coding.ts";
import { type CodeBasis, Encoder } from "./encoder.ts";
import { bindKernels, type KernelModules, type Kernels } from "./kernels.ts";
import { chunkBytes, rowsAt, scalesAt, sealAt, type StoreShape, termsAt } from "./layout.ts";
import { type ChunkMemory, ownMemory } from "./memory.ts";
import { type Range, rowsIn, sampledRanges, type SampleShape } from "./ranges.ts";
import { Scratch } from "./scratch.ts";
import { guessBounds, isGuessedRight, settleShortlists } from "./settling.ts";
import { type Span, scanByBits, scanByCodes, scanByEstimates, scanCanonically } from "./spans.ts";
import { type Chunk, StoreView } from "./store-view.ts";
import type { CodeUse, EncodeTask, ScanTask, SettleTask, TaskResult } from "./tasks.ts";
import { QueryTile } from "./tile.ts";

/** Rows of the first span of a tile. */
const FIRST_ROWS = 64;
/** What is looked at first, where few rows are wanted, and where many: from more places then, since a bound is guessed from it. */
const FEW_SAMPLE: SampleShape = { stretches: 16, rows: 256 };
const MANY_SAMPLE: SampleShape = { stretches: 64, rows: 32 };
/** Rows that the queries of a tile settle before they go on together. */
const SETTLED_ROWS = 32;
/** One in so many queries of a tile whose bounds were guessed wrong, and no more bounds are guessed. */
const MOST_WRONG = 8;
/** Whether codes rule anything out shows after one in so many of the rows, from so many pairs. GloVe, in order of frequency, lets 30 % of the first 8,192 rows through, and 2 % of all. */
const TRIAL_PART = 8;
const TRIAL_PAIRS = 1 << 13;

interface Counters {
  readonly settled: Uint32Array;
  readonly spans: Record<string, number>;
  readonly rescans: Uint8Array;
  scanned: number;
  judged: number;
  missing: number;
  survivors: number;
}

type ScanKind = "codes" | "estimates" | "bits" | "canonical";

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
    this.#view(store, shape).setChunk(index, this.#chunk(memory, shape));
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
    const { buffer } = chunk.memory;
    new Uint8Array(buffer, rowsAt(shape, index, first), rows.length).set(rows);
    new Float32Array(buffer, termsAt(shape, index, first), terms.length).set(terms);
    new Float32Array(buffer, scalesAt(shape, index, first), scales.length).set(scales);
    // Codes of rows that are written over are of rows that are no more.
    if (shape.coded !== undefined) {
      const seal = new Uint32Array(buffer, sealAt(shape, index), 3);
      seal[2] = Math.min(seal[2] ?? 0, first);
    }
  }

  /** What rows and queries of the store are coded by from now on. */
  setBasis(store: number, shape: StoreShape, basis: CodeBasis | undefined): void {
    this.#view(store, shape).basis = basis;
  }

  release(store: number): void {
    this.#stores.delete(store);
  }

  async scan(task: ScanTask): Promise<TaskResult> {
    const view = this.#known(task.store);
    const { shape } = view;
    const k = task.wanted.reduce((a, b) => Math.max(a, b), 0);
    const counters = newCounters(task.count);
    const topK = emptyTopK(task.count, k);
    const perQuery = Math.max(32 * shape.stride, view.basis === undefined ? 0 : encodingWork(view.basis));
    const most = this.#fitting(shape.scratch.tileQueries, this.#cost(perQuery));
    view.longest = task.blocks.reduce((norm, block) => Math.max(norm, block.maxNorm), 0);
    let isGuessing = true;
    for (let first = 0; first < task.count; first += most) {
      const count = Math.min(most, task.count - first);
      const queries = Array.from({ length: count }, (_, i) => first + i);
      const wrong = await this.#scanTile(view, task, queries, isGuessing, counters, topK);
      // Rows in an order that a sample misjudges: searching twice is worth it for a few only.
      if (wrong.length * MOST_WRONG > count) isGuessing = false;
      for (const query of wrong) counters.rescans[query] = 1;
      if (wrong.length > 0) await this.#scanTile(view, task, wrong, false, counters, topK);
    }
    const { settled, scanned, spans, judged, missing, survivors, rescans } = counters;
    const codes: CodeUse = {
      judged,
      missing,
      survivors,
      rescans,
      directions: judged > 0 ? (view.basis?.length ?? 0) : 0,
    };
    return { topK, settled, scanned, spans, level: levelOf(view), codes };
  }

  async settle(task: SettleTask): Promise<TaskResult> {
    const view = this.#known(task.store);
    const k = task.wanted.reduce((a, b) => Math.max(a, b), 0);
    const topK = emptyTopK(task.count, k);
    const settled = new Uint32Array(task.count);
    const { shape } = view;
    for (let q = 0; q < task.count; q++) {
      const heap = new NearestHeap(task.wanted[q] ?? 0);
      const maxDistance = task.maxDistances[q] ?? Infinity;
      const given = task.queries.subarray(q * shape.stride, (q + 1) * shape.stride);
      const loaded = new Set<Chunk>();
      for (let i = task.starts[q] ?? 0; i < (task.starts[q + 1] ?? 0); i++) {
        const row = task.rows[i] ?? 0;
        const { chunk, index } = view.locate(Math.floor(row / shape.blockRows));
        const { base, views } = chunk.scratch;
        if (!loaded.has(chunk)) {
          views.givenQueries.set(new Uint32Array(given.buffer, given.byteOffset, given.length));
          loaded.add(chunk);
        }
        const slot = row % shape.blockRows;
        const [at, scale] = [rowsAt(shape, index, slot), scalesAt(shape, index, slot)];
        const query = base + shape.scratch.givenQueries;
        const distance = chunk.kernels.distance(query, at, scale, base + shape.scratch.distances);
        if (distance <= maxDistance) heap.offer(distance, row);
        settled[q] = (settled[q] ?? 0) + 1;
        const turn = this.#slices?.take(shape.stride);
        if (turn !== undefined) await turn;
      }
      topK.counts[q] = heap.drainInto(topK, q * k);
    }
    const codes = { judged: 0, missing: 0, survivors: 0, rescans: new Uint8Array(task.count), directions: 0 };
    return { topK, settled, scanned: 0, spans: {}, level: levelOf(view), codes };
  }

  /** Makes the codes that are missing. Nothing may scan these blocks meanwhile. */
  async encode(task: EncodeTask): Promise<void> {
    const view = this.#known(task.store);
    const { basis } = view;
    if (basis === undefined || view.shape.coded === undefined) return;
    const cost = this.#cost(encodingWork(basis));
    const most = this.#fitting(view.shape.blockRows, cost);
    for (const piece of missingCodes(view, basis, task.blocks, most)) {
      const turn = this.#slices?.take(piece.count * cost);
      if (turn !== undefined) await turn;
      encodePiece(view, this.#encoder(view), basis, piece);
    }
  }

  /**
   * Answers some queries of the task. Where `isGuessing`, bounds of those that want many rows are
   * guessed after a sample; returns the queries for which that was too low, which have no answer.
   */
  async #scanTile(
    view: StoreView,
    task: ScanTask,
    queries: readonly number[],
    isGuessing: boolean,
    counters: Counters,
    topK: TopK,
  ): Promise<number[]> {
    const { shape, basis, firstChunk } = view;
    const tile = new QueryTile(shape, task, queries);
    if (basis !== undefined && firstChunk !== undefined) {
      const turn = this.#slices?.take(this.#cost(queries.length * encodingWork(basis)));
      if (turn !== undefined) await turn;
      tile.encode(this.#encoder(view), basis, firstChunk.kernels.queryLevels);
    }
    const { sample, rest } = sampledRanges(task.blocks, tile.hasShortlists ? MANY_SAMPLE : FEW_SAMPLE);
    for (const range of sample) await this.#scanRange(view, range, tile, counters);
    if (isGuessing && sample.length > 0) guessBounds(view, tile, rowsIn(sample));
    for (const range of rest) await this.#scanRange(view, range, tile, counters);
    const window = this.#fitting(SETTLED_ROWS, shape.stride * queries.length);
    for (const pairs of settleShortlists(view, tile, task.blocks, window, counters.settled)) {
      const turn = this.#slices?.take(pairs * shape.stride);
      if (turn !== undefined) await turn;
    }
    return tile.queries.flatMap((q) => {
      if (!isGuessedRight(view, q)) return [q.index];
      topK.counts[q.index] = q.heap.drainInto(topK, q.index * topK.k);
      return [];
    });
  }

  async #scanRange(
    view: StoreView,
    { block, first: from, end: to }: Range,
    tile: QueryTile,
    counters: Counters,
  ): Promise<void> {
    const { shape, basis } = view;
    const { chunk, index } = view.locate(block.block);
    tile.load(chunk);
    const isEstimable = tile.canEstimate(block);
    let coded = 0;
    if (basis !== undefined && tile.isCoded && isEstimable) {
      coded = Math.min(to, sealedRows(shape, chunk, index, basis, block.version));
      counters.missing += (to - Math.max(from, coded)) * tile.queries.length;
    }
    const rest =
      shape.precision === "b1" ? "bits" : isEstimable && shape.estimated !== undefined ? "estimates" : "canonical";
    for (let first = from; first < to; ) {
      const kind: ScanKind = first < coded && tile.isCoded ? "codes" : rest;
      const end = kind === "codes" ? coded : to;
      const perRow = this.#cost((kind === "codes" ? tile.codeStride : shape.stride) * tile.queries.length);
      const rowCount = Math.min(end - first, this.#spanRows(shape, kind, tile, perRow));
      const firstRow = block.block * shape.blockRows + first;
      const turn = this.#slices?.take(rowCount * perRow);
      if (turn !== undefined) await turn;
      const words = tile.loadEligible(chunk, firstRow, rowCount);
      if (words !== undefined)
        runSpan(kind, { view, shape, chunk, index, first, rowCount, firstRow, words }, tile, counters);
      tile.rows += rowCount;
      first += rowCount;
    }
  }

  /** Rows of the next span: as many as hits have room, as stay in the cache while the queries pass over them, as the slice takes. */
  #spanRows(shape: StoreShape, kind: ScanKind, tile: QueryTile, perRow: number): number {
    const queries = tile.queries.length;
    const bytes = kind === "codes" ? tile.codeStride : shape.rowBytes;
    const limits = [shape.blockRows, shape.scratch.spanPairs / queries, Math.max(FIRST_ROWS, tile.rows)];
    if (queries >= 4) limits.push(LIMITS.spanBytes / bytes);
    // What codes let through is looked up in the rows: many of them where many are wanted.
    if (kind === "codes" && tile.hasShortlists) limits.push((2 * LIMITS.spanBytes) / shape.rowBytes);
    if (kind === "estimates" && shape.precision !== "f32") limits.push(shape.scratch.decodedRows);
    return this.#fitting(Math.max(1, Math.floor(Math.min(...limits))), perRow);
  }

  /** Multiply-adds, in elements of the work budget. */
  #cost(multiplyAdds: number): number {
    const isWasm = this.#modules.owned !== undefined;
    return multiplyAdds / (isWasm ? LIMITS.wasmScanElements : LIMITS.scanElements);
  }

  /** At most `most` units of `elements` each, as many as one slice takes; on a worker, all of them. */
  #fitting(most: number, elements: number): number {
    return this.#slices === undefined ? most : Math.min(most, Math.max(1, Math.floor(this.#slices.budget / elements)));
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

  #encoder(view: StoreView): Encoder {
    if (view.shape.coded === undefined) throw new Error("rows of this store have no codes");
    view.encoder ??= new Encoder(this.#modules.owned?.simd, view.shape, view.shape.coded);
    return view.encoder;
  }

  #chunk(memory: ChunkMemory, shape: StoreShape): Chunk {
    const kernels: Kernels = bindKernels(this.#modules, memory, shape);
    return { memory, kernels, scratch: new Scratch(shape, memory, this.#slot) };
  }

  /** Finds room for one more block in memory that this thread owns. */
  #placeNext(view: StoreView, block: number): void {
    const { shape } = view;
    const place = view.placedCount;
    const chunk = Math.floor(place / shape.blocksPerChunk);
    const index = place % shape.blocksPerChunk;
    if (chunk === view.chunkCount) view.setChunk(chunk, this.#chunk(ownMemory(chunkBytes(shape, 1)), shape));
    view.place(block, chunk, index);
    view.locate(block).chunk.memory.ensure(chunkBytes(shape, index + 1));
  }
}

function newCounters(queries: number): Counters {
  return {
    settled: new Uint32Array(queries),
    spans: {},
    rescans: new Uint8Array(queries),
    scanned: 0,
    judged: 0,
    missing: 0,
    survivors: 0,
  };
}

function levelOf(view: StoreView): TaskResult["level"] {
  return view.firstChunk?.kernels.level ?? "none";
}

/** One span by the scan that fits it. */
function runSpan(kind: ScanKind, span: Span, tile: QueryTile, counters: Counters): void {
  const pairs = span.rowCount * tile.queries.length;
  counters.scanned += pairs;
  const count = (stem: string): void => {
    counters.spans[stem] = (counters.spans[stem] ?? 0) + 1;
  };
  switch (kind) {
    case "codes": {
      count("scan_i8");
      counters.judged += pairs;
      const survivors = scanByCodes(span, tile, counters.settled);
      counters.survivors += survivors;
      // Bounds are loose at first, whatever the codes are worth.
      if (tile.rows * TRIAL_PART < tile.totalRows) return;
      tile.pairs += pairs;
      tile.survivors += survivors;
      if (tile.pairs < TRIAL_PAIRS || tile.survivors * LIMITS.codeSurvivors < tile.pairs) return;
      // Not worth it for these queries: the next rung is the full scan.
      tile.dropCodes();
      for (const q of tile.queries) counters.rescans[q.index] = 1;
      return;
    }
    case "estimates":
      count("scan_f32");
      return scanByEstimates(span, tile, counters.settled);
    case "bits":
      count("scan_b1");
      return scanByBits(span, tile, counters.settled);
    case "canonical":
      if (span.shape.precision === "f32") count("scan_f64");
      return scanCanonically(span, tile, counters.settled);
    default:
      return kind satisfies never;
  }
}
