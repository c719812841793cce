/**
 * The exact backend: cuts a batch into parts, lets workers (or, where none can run, this thread in
 * slices) scan or settle them, and merges what they found. Owns the pool; the engine owns the rows.
 *
 * Where memory is shared a batch of many queries is cut by queries, so that nothing needs merging
 * and every bound is the global one; a batch of few is cut by blocks of rows. Where workers hold
 * copies, rows have owners and every batch is cut by blocks.
 */
import * as Comlink from "comlink";
import type { BackendInfo, Batch, CpuStats, ExactAnswer, ExactBackend, Proposal } from "../core/backend.ts";
import { NearfieldError } from "../core/errors.ts";
import type { EventSink } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import type { Metric, Precision } from "../core/metric.ts";
import type { WorkSlices } from "../core/slices.ts";
import { emptyTopK, type TopK, TopKMerge } from "../core/topk.ts";
import { compileKernels, type KernelBytes, kernelLevel, type KernelLevel } from "./kernels.ts";
import { storeShape, type StoreShape } from "./layout.ts";
import { blocksOf, byOwner, ownBuffers, type Part, type PartTask, scanTask, settleTask } from "./parts.ts";
import { SlotRetiredError, WorkerPool, WorkersBlockedError } from "./pool.ts";
import { RowStore } from "./row-store.ts";
import { Scanner } from "./scan.ts";
import type { TaskResult } from "./tasks.ts";
import type { WorkerSpawner } from "./spawner.ts";

export interface CpuOptions {
  readonly precision: Precision;
  readonly metric: Metric;
  readonly dimensions: number;
  readonly threads: number;
  readonly spawner: WorkerSpawner;
  readonly workerUrl: string | URL | undefined;
  /** null: plain-JS kernels. */
  readonly kernels: KernelBytes | null;
  readonly sharesMemory: boolean;
  /** False: everything on this thread, in slices. */
  readonly usesWorkers: boolean;
  readonly slices: WorkSlices;
  readonly emit: EventSink;
}

interface PartAnswer {
  readonly part: Part;
  readonly result: TaskResult;
}

export class CpuBackend implements ExactBackend {
  readonly info: Pick<BackendInfo, "name" | "threads" | "simd">;
  readonly shape: StoreShape;
  readonly #options: CpuOptions;
  readonly #pool: WorkerPool | undefined;
  #isBlocked = false;
  #inPage: Promise<Scanner> | undefined;
  #inPageTurn: Promise<unknown> = Promise.resolve();
  readonly #inPageChunks = new Map<number, number>();
  readonly #kernelSpans: Record<string, number> = {};
  #rowsScannedInWorkers = 0;
  #rowsScannedInPage = 0;
  #rowsSettled = 0;

  constructor(options: CpuOptions) {
    this.#options = options;
    const simd = options.kernels === null ? "none" : kernelLevel(options.kernels);
    const where = options.usesWorkers
      ? `${options.threads} worker thread${options.threads === 1 ? "" : "s"}`
      : "this thread";
    this.info = { name: `${simd === "none" ? "plain JS" : "WASM SIMD"} on ${where}`, threads: options.threads, simd };
    // One scratch area more than workers: the caller's thread may have to join in.
    this.shape = storeShape(options.precision, options.metric, options.dimensions, options.threads + 1);
    if (options.usesWorkers) {
      this.#pool = new WorkerPool({
        spawner: options.spawner,
        url: options.workerUrl,
        kernels: options.kernels,
        slots: options.threads,
        emit: options.emit,
        slices: options.slices,
      });
    }
  }

  createRows(): RowStore {
    return new RowStore(this.shape, this.#options.sharesMemory);
  }

  /** The exact answer of every query, by scanning all rows. */
  search(store: RowStore, batch: Batch): Promise<ExactAnswer> {
    const blocks = blocksOf(store, batch);
    const parts = this.#plan(
      store,
      "scan",
      batch.count,
      blocks,
      blocks.length * store.blockRows * store.stride * batch.count,
    );
    return this.#answer(store, batch, parts, (part) => ({ kind: "scan", task: scanTask(store, batch, part) }));
  }

  /** The exact answer of every query among the rows proposed for it; none of the proposals may be null. */
  settle(store: RowStore, batch: Batch, proposal: Proposal): Promise<ExactAnswer> {
    const rows = proposal.candidates.reduce((sum, list) => sum + (list?.length ?? 0), 0);
    const parts = this.#plan(store, "settle", batch.count, blocksOf(store, batch), rows * store.stride);
    return this.#answer(store, batch, parts, (part) => ({
      kind: "settle",
      task: settleTask(store, batch, part, proposal, this.#sharesRows(store)),
    }));
  }

  release(store: RowStore): void {
    this.#pool?.release(store);
    this.#inPageChunks.delete(store.id);
    void this.#inPage?.then((scanner) => scanner.release(store.id));
  }

  /** Fault injection: kills a worker, if there are any. */
  async crashWorker(): Promise<void> {
    if (!this.#isBlocked) await this.#pool?.crashOne();
  }

  get stats(): Omit<CpuStats, "storeBytes"> {
    return {
      workers: this.#pool?.workers ?? 0,
      crashes: this.#pool?.crashes ?? 0,
      rowsScannedInWorkers: this.#rowsScannedInWorkers,
      rowsScannedInPage: this.#rowsScannedInPage,
      rowsSettled: this.#rowsSettled,
      kernels: { ...this.#kernelSpans },
    };
  }

  close(): void {
    this.#pool?.close();
  }

  #sharesRows(store: RowStore): boolean {
    return store.chunks[0]?.isShared === true || this.#pool === undefined || this.#isBlocked;
  }

  /** `work`: multiply-adds, about. */
  #plan(store: RowStore, kind: "scan" | "settle", queries: number, blocks: readonly number[], work: number): Part[] {
    const usable = this.#isBlocked ? [0] : (this.#pool?.usable ?? [0]);
    if (usable.length === 0) throw allWorkersFailed(undefined);
    if (!this.#sharesRows(store)) return byOwner(usable, this.#options.threads, 0, queries, blocks);
    const slots = usable.slice(0, Math.max(1, Math.min(usable.length, Math.ceil(work / LIMITS.workPerThread))));
    const isLargeBatch = queries >= slots.length * this.shape.scratch.tileQueries;
    if (kind === "settle" || isLargeBatch || blocks.length < slots.length) {
      const share = Math.ceil(queries / slots.length);
      return slots
        .map((slot, i) => ({ slot, first: i * share, count: Math.min(share, queries - i * share), blocks }))
        .filter((part) => part.count > 0);
    }
    return slots.map((slot, i) => ({
      slot,
      first: 0,
      count: queries,
      blocks: blocks.slice((i * blocks.length) / slots.length, ((i + 1) * blocks.length) / slots.length),
    }));
  }

  async #answer(
    store: RowStore,
    batch: Batch,
    parts: readonly Part[],
    taskOf: (part: Part) => PartTask,
  ): Promise<ExactAnswer> {
    const answers = (await Promise.all(parts.map((part) => this.#runPart(store, part, taskOf)))).flat();
    const settled = new Uint32Array(batch.count);
    for (const { part, result } of answers) {
      for (let q = 0; q < part.count; q++) {
        settled[part.first + q] = (settled[part.first + q] ?? 0) + (result.settled[q] ?? 0);
      }
    }
    return { topK: await this.#merge(batch, answers), settled };
  }

  /** Runs a part, on other slots where its own is retired meanwhile. */
  async #runPart(store: RowStore, part: Part, taskOf: (part: Part) => PartTask): Promise<PartAnswer[]> {
    try {
      return [{ part, result: await this.#runTask(store, part, taskOf) }];
    } catch (cause) {
      if (!(cause instanceof SlotRetiredError)) throw cause;
      const usable = this.#pool?.usable ?? [];
      if (usable.length === 0) throw allWorkersFailed(cause);
      const parts = this.#sharesRows(store)
        ? [{ ...part, slot: usable[part.slot % usable.length] ?? 0 }]
        : byOwner(usable, this.#options.threads, part.first, part.count, part.blocks);
      return (await Promise.all(parts.map((p) => this.#runPart(store, p, taskOf)))).flat();
    }
  }

  async #runTask(store: RowStore, part: Part, taskOf: (part: Part) => PartTask): Promise<TaskResult> {
    if (this.#pool !== undefined && !this.#isBlocked) {
      try {
        const result = await this.#pool.run(part.slot, store, part.blocks, (api) => {
          const request = taskOf(part); // made anew for each try: what was transferred is gone
          return request.kind === "scan"
            ? api.scan(Comlink.transfer(request.task, ownBuffers(request.task)))
            : api.settle(Comlink.transfer(request.task, ownBuffers(request.task)));
        });
        this.#count(result);
        this.#rowsScannedInWorkers += result.scanned;
        return result;
      } catch (cause) {
        if (!(cause instanceof WorkersBlockedError)) throw cause;
        this.#stepDownToPage(cause);
      }
    }
    const turn = this.#inPageTurn.then(() => this.#runInPage(store, taskOf(part)));
    this.#inPageTurn = turn.catch(() => {}); // the caller sees the failure; the next task has its own turn
    const result = await turn;
    this.#count(result);
    this.#rowsScannedInPage += result.scanned;
    return result;
  }

  async #runInPage(store: RowStore, request: PartTask): Promise<TaskResult> {
    this.#inPage ??= this.#startInPage();
    const scanner = await this.#inPage;
    this.#options.slices.reset();
    for (let index = this.#inPageChunks.get(store.id) ?? 0; index < store.chunks.length; index++) {
      const memory = store.chunks[index];
      if (memory !== undefined) scanner.attachChunk(store.id, store.shape, index, memory);
      this.#inPageChunks.set(store.id, index + 1);
    }
    return request.kind === "scan" ? scanner.scan(request.task) : scanner.settle(request.task);
  }

  async #startInPage(): Promise<Scanner> {
    const { kernels, slices, emit } = this.#options;
    const compiled = kernels === null ? { modules: {} } : await compileKernels(kernels);
    if (kernels !== null && compiled.modules.owned === undefined) {
      emit({
        code: "cpu-step-down",
        level: "warning",
        message:
          "WASM could not be compiled in the page (a Content-Security-Policy without 'wasm-unsafe-eval', or no SIMD): plain JS is used, which is slower",
        cause: compiled.problem,
      });
    }
    return new Scanner(compiled.modules, this.#options.threads, slices);
  }

  #stepDownToPage(cause: WorkersBlockedError): void {
    if (this.#isBlocked) return;
    this.#isBlocked = true;
    this.#options.emit({
      code: "cpu-step-down",
      level: "warning",
      message: `workers could not be started; searching in slices on the page's own thread. ${
        this.#options.workerUrl === undefined
          ? "Where a Content-Security-Policy forbids blob: workers, give workerUrl"
          : `Is workerUrl (${String(this.#options.workerUrl)}) this version's nearfield/worker, served from this origin?`
      }`,
      cause: cause.cause,
    });
  }

  #count(result: TaskResult): void {
    const settled = result.settled.reduce((a, b) => a + b, 0);
    this.#rowsSettled += settled;
    const add = (name: string, spans: number): void => {
      if (spans > 0) this.#kernelSpans[name] = (this.#kernelSpans[name] ?? 0) + spans;
    };
    const { precision } = this.shape;
    add(kernelName("scan_f32", result.level), result.spansF32);
    if (precision === "f32") add(kernelName("scan_f64", result.level), result.spansCanonical);
    add(kernelName(precision === "f32" ? "distance_f64" : `distance_${precision}`, result.level), settled);
  }

  async #merge(batch: Batch, answers: readonly PartAnswer[]): Promise<TopK> {
    const whole = answers.length === 1 ? answers[0] : undefined;
    if (whole !== undefined && whole.result.topK.k === batch.k) return whole.result.topK;
    const out = emptyTopK(batch.count, batch.k);
    for (let q = 0; q < batch.count; q++) {
      const parts = answers
        .filter(({ part }) => q >= part.first && q < part.first + part.count)
        .map(({ part, result }) => queryOf(result.topK, q - part.first));
      const merge = new TopKMerge(parts);
      const wanted = batch.wanted[q] ?? 0;
      for (let taken = 0; taken < wanted; ) {
        const step = Math.min(wanted - taken, Math.floor(this.#options.slices.budget / parts.length));
        const turn = this.#options.slices.take(step * parts.length);
        if (turn !== undefined) await turn;
        const got = merge.take(out, q * batch.k + taken, step);
        if (got < step) break;
        taken += got;
      }
      out.counts[q] = merge.taken;
    }
    return out;
  }
}

/** The name under which `stats().cpu.kernels` counts a kernel: the shader's stem and the level. */
function kernelName(stem: string, level: KernelLevel): string {
  return `${stem}/${level === "simd128" ? "wasm" : "js"}`;
}

/** Query `q` of a partial answer, as a partial answer of one query. */
function queryOf(topK: TopK, q: number): TopK {
  return {
    k: topK.k,
    rows: topK.rows.subarray(q * topK.k, (q + 1) * topK.k),
    distances: topK.distances.subarray(q * topK.k, (q + 1) * topK.k),
    counts: topK.counts.subarray(q, q + 1),
  };
}

function allWorkersFailed(cause: unknown): NearfieldError {
  return new NearfieldError("WORKER_FAILED", {
    got: "every CPU worker failed repeatedly",
    expected: "at least one that keeps running",
    remedy: "see the worker-crashed events for the cause (often memory); close this index and create another",
    cause,
  });
}
