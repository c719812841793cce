/**
 * The exact backend: cuts a batch into parts, lets workers (or, where none can run, this thread in
 * slices) scan or settle them, and merges what they found. Owns the pool; the engine owns the rows.
 *
 * Where memory is shared a batch of many queries is cut by queries, so that nothing needs merging
 * and every bound is the global one; a batch of few is cut by blocks of rows. Where workers hold
 * copies, rows have owners and every batch is cut by blocks.
 */
import type { BackendInfo, Batch, CodeStats, CpuStats, ExactAnswer, ExactBackend, Proposal } from "../core/backend.ts";
import { NearfieldError } from "../core/errors.ts";
import type { EventSink } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import type { Metric, Precision } from "../core/metric.ts";
import type { LearnRequest, LearntProjection } from "../core/learn.ts";
import type { WorkSlices } from "../core/slices.ts";
import { rowFormat } from "../core/stored-rows.ts";
import { emptyTopK, type TopK, TopKMerge } from "../core/topk.ts";
import { kernelLevel } from "./kernel-level.ts";
import type { KernelBytes, KernelLevel } from "./kernels.ts";
import { storeShape, type StoreShape } from "./layout.ts";
import { CodeKeeper, type CodeWorkshop } from "./code-keeper.ts";
import { blocksOf, byOwner, type Part } from "./parts.ts";
import { SlotRetiredError, WorkerPool, WorkersBlockedError } from "./pool.ts";
import { PageThread } from "./page-thread.ts";
import { RowStore } from "./row-store.ts";
import type { TaskResult } from "./tasks.ts";
import type { WorkerSpawner } from "./spawner.ts";
import { encodeWork, learnOnWork, scanWork, settleWork, startLearningWork, type Work } from "./work.ts";

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
  /** How an exact answer is to be found: the caller's option; and from how many bytes and rows on codes are made and directions learnt. */
  readonly scan: "auto" | "full" | "certified";
  readonly codedBytes: number;
  readonly learnRows: number;
  /** The number of directions where it is not to be chosen. */
  readonly directions: number | undefined;
  /** The most int8 multiply-adds of a search that the caller's thread takes upon itself. */
  readonly pageWork: number;
  /** Most rows of a block: a power of two, at least 32. */
  readonly blockRows: number | undefined;
  readonly slices: WorkSlices;
  readonly emit: EventSink;
}

/** A part that is done, and where. */
interface Done<T> {
  readonly part: Part;
  readonly result: T;
  readonly isInPage: boolean;
}

const LEVEL_NAMES: Readonly<Record<KernelLevel, string>> = {
  "relaxed-simd": "WASM relaxed SIMD",
  simd128: "WASM SIMD",
  none: "plain JS",
};

/** What a worker is to learn. */
type Learning = [store: RowStore, request: LearnRequest, onProgress: (share: number) => void, isStopped: () => boolean];

/** The caller's thread, where a slot is asked for. */
const PAGE = -1;
/** What a multiply-add of float32 costs in those of int8, and one of 32 bits: four times the bytes. */
const FULL_COST = 4;

/** How many of a query's rows were judged by codes. */
const [NONE, SOME, ALL] = [0, 1, 2];

export class CpuBackend implements ExactBackend {
  /** What the runtime validates; what workers run may be less. */
  readonly #simd: KernelLevel;
  readonly shape: StoreShape;
  readonly #options: CpuOptions;
  readonly #pool: WorkerPool | undefined;
  #isBlocked = false;
  readonly #page: PageThread;
  readonly #kernelSpans: Record<string, number> = {};
  readonly #keepers = new Map<RowStore, CodeKeeper>();
  readonly #released = new WeakSet<RowStore>();
  /** What is being learnt of a store; settles, whatever came of it. */
  readonly #learningOf = new WeakMap<RowStore, Promise<void>>();
  #learning: Promise<void> = Promise.resolve();
  readonly #counts = {
    rowsScannedInWorkers: 0,
    rowsScannedInPage: 0,
    rowsSettled: 0,
    rowsJudged: 0,
    survivors: 0,
    rescans: 0,
  };

  constructor(options: CpuOptions) {
    this.#options = options;
    this.#simd = options.kernels === null ? "none" : kernelLevel(options.kernels);
    // One scratch area more than workers: the caller's thread may have to join in.
    const { precision, metric, dimensions, scan } = options;
    const { rowBytes } = rowFormat(precision, metric, dimensions);
    // i8 rows are their own codes, whatever the scan is called.
    const isCoded = precision === "i8" || scan === "certified" || (scan === "auto" && rowBytes >= LIMITS.codedRowBytes);
    this.#page = new PageThread(options);
    this.shape = storeShape(precision, metric, dimensions, options.threads + 1, isCoded, options.blockRows);
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

  get info(): Pick<BackendInfo, "name" | "threads" | "simd"> {
    const { threads, usesWorkers } = this.#options;
    const simd = this.#pool?.level ?? this.#simd;
    const where = usesWorkers ? `${threads} worker thread${threads === 1 ? "" : "s"}` : "this thread";
    return { name: `${LEVEL_NAMES[simd]} on ${where}`, threads, simd };
  }

  createRows(): RowStore {
    const store = new RowStore(this.shape, this.#options.sharesMemory);
    const { coded } = this.shape;
    if (coded !== undefined) this.#keepers.set(store, new CodeKeeper(store, coded, this.#workshop(), this.#options));
    return store;
  }

  prepare(store: RowStore): void {
    this.#keepers.get(store)?.prepare();
  }

  codesOf(store: RowStore): CodeStats | null {
    return this.#keepers.get(store)?.stats ?? null;
  }

  /** The exact answer of every query, by scanning all rows. */
  async search(store: RowStore, batch: Batch): Promise<ExactAnswer> {
    const keeper = this.#keepers.get(store);
    return keeper === undefined ? this.#search(store, batch) : keeper.read(() => this.#search(store, batch, keeper));
  }

  async #search(store: RowStore, batch: Batch, keeper?: CodeKeeper): Promise<ExactAnswer> {
    const blocks = blocksOf(store, batch);
    const rows = batch.eligibilities.reduce((most, e) => Math.max(most, e.rowCount), 0);
    const cost = rows * batch.count * (store.basis?.length ?? FULL_COST * store.stride);
    const parts = this.#plan(store, "scan", batch.count, blocks, await this.#crew(store, cost));
    const answers = await this.#runParts(store, parts, (part) => scanWork(store, batch, part));
    if (keeper !== undefined) for (const { result } of answers) keeper.tell(result.codes, result.scanned);
    return this.#merged(batch, answers);
  }

  /** The exact answer of every query among the rows proposed for it; none of the proposals may be null. */
  async settle(store: RowStore, batch: Batch, proposal: Proposal): Promise<ExactAnswer> {
    const rows = proposal.candidates.reduce((sum, list) => sum + (list?.length ?? 0), 0);
    const cost = FULL_COST * rows * store.stride;
    // A worker's answer would take longer to arrive than these few rows take here.
    const isFew = rows <= LIMITS.pageSettles && cost <= LIMITS.pageAlone && (await this.#mayWorkInPage(store));
    const slots = isFew ? [PAGE] : this.#slotsFor(cost);
    const parts = this.#plan(store, "settle", batch.count, blocksOf(store, batch), slots);
    const seesAll = this.#sharesRows(store);
    return this.#merged(
      batch,
      await this.#runParts(store, parts, (part) => settleWork(store, batch, part, proposal, seesAll)),
    );
  }

  release(store: RowStore): void {
    const stopped = this.#keepers.get(store)?.stop() ?? Promise.resolve();
    this.#keepers.delete(store);
    this.#released.add(store);
    // What the keeper, or learning, has under way still gives workers rows.
    void Promise.all([stopped, this.#learningOf.get(store)]).then(async () => {
      this.#pool?.release(store);
      await this.#page.release(store);
    });
  }

  /** Fault injection: kills a worker, if there are any. */
  async crashWorker(): Promise<void> {
    if (!this.#isBlocked) await this.#pool?.crashOne();
  }

  get stats(): Omit<CpuStats, "storeBytes" | "codes"> {
    return {
      workers: this.#pool?.workers ?? 0,
      crashes: this.#pool?.crashes ?? 0,
      ...this.#counts,
      kernels: { ...this.#kernelSpans },
    };
  }

  close(): void {
    for (const keeper of this.#keepers.values()) void keeper.stop();
    this.#pool?.close();
  }

  /** What a keeper of codes has done by the workers. */
  #workshop(): CodeWorkshop {
    return {
      width: this.#options.threads,
      encode: async (store, blocks) => {
        const numbers = blocks.map(({ block }) => block);
        const usable = this.#usable();
        const parts = this.#sharesRows(store)
          ? blocks.map(({ block }, i) => ({
              slot: usable[i % usable.length] ?? 0,
              first: 0,
              count: 0,
              blocks: [block],
            }))
          : byOwner(usable, this.#options.threads, 0, 0, numbers);
        await this.#runParts(store, parts, (part) => encodeWork(store, blocks, part));
      },
      learn: (store, request, onProgress, isStopped) => this.#learnInTurn(store, request, onProgress, isStopped),
    };
  }

  learn(store: RowStore, request: LearnRequest, isStopped: () => boolean): Promise<LearntProjection | undefined> {
    return this.#learnInTurn(store, request, () => {}, isStopped);
  }

  /** One after the other: a worker learns one thing of a store at a time. */
  #learnInTurn(...args: Learning): Promise<LearntProjection | undefined> {
    const [store] = args;
    const turn = this.#learning.then(() => this.#learnInWorker(...args));
    const end = (): void => {}; // whoever asked for it sees what came of it
    this.#learning = turn.then(end, end);
    this.#learningOf.set(store, this.#learning);
    return turn;
  }

  async #learnInWorker(...[store, request, onProgress, isStopped]: Learning): Promise<LearntProjection | undefined> {
    const isOver = (): boolean => isStopped() || this.#released.has(store);
    if (this.#pool === undefined || this.#isBlocked) return undefined;
    for (let hasBegun = false; !isOver(); hasBegun = true) {
      const part = { slot: this.#usable()[0] ?? 0, first: 0, count: 0, blocks: [] };
      const work = hasBegun ? learnOnWork(store) : startLearningWork(store, request);
      const [answer] = await this.#runParts(store, [part], () => work);
      const step = answer?.result;
      if (isOver() || this.#isBlocked) return undefined;
      if (step === undefined) throw new Error("the worker that was learning is no more");
      if (step.failure !== undefined) throw new Error(step.failure);
      if (step.learnt !== undefined) return step.learnt;
      onProgress(step.share);
    }
    return undefined;
  }

  #usable(): readonly number[] {
    const usable = this.#isBlocked ? [0] : (this.#pool?.usable ?? [0]);
    if (usable.length === 0) throw allWorkersFailed(undefined);
    return usable;
  }

  /** As many worker slots as `cost`, in multiply-adds of int8, is worth waking up. */
  #slotsFor(cost: number): readonly number[] {
    const usable = this.#usable();
    return usable.slice(0, Math.max(1, Math.min(usable.length, Math.ceil(cost / LIMITS.workPerThread))));
  }

  /**
   * Who scans: workers, with the caller's thread in place of one of them where its part takes a few
   * ms. It need not be woken up, nor its answer be waited for: 0.6 ms of a single query of 3 ms.
   */
  async #crew(store: RowStore, cost: number): Promise<readonly number[]> {
    const slots = this.#slotsFor(cost);
    const { pageWork } = this.#options;
    const isAlone = cost <= Math.min(LIMITS.pageAlone, pageWork);
    if ((!isAlone && cost / slots.length > pageWork) || !(await this.#mayWorkInPage(store))) return slots;
    return isAlone ? [PAGE] : [PAGE, ...slots.slice(1)];
  }

  /** Whether the caller's thread sees the rows and has kernels as fast as the workers'. Where there are no workers it is asked anyway. */
  async #mayWorkInPage(store: RowStore): Promise<boolean> {
    if (this.#simd === "none" || !this.#sharesRows(store)) return false;
    return this.#pool !== undefined && !this.#isBlocked && this.#page.isAsFast();
  }

  #sharesRows(store: RowStore): boolean {
    return store.chunks[0]?.isShared === true || this.#pool === undefined || this.#isBlocked;
  }

  #plan(
    store: RowStore,
    kind: "scan" | "settle",
    queries: number,
    blocks: readonly number[],
    slots: readonly number[],
  ): Part[] {
    if (!this.#sharesRows(store)) return byOwner(this.#usable(), this.#options.threads, 0, queries, blocks);
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

  /** Runs every part, on other slots where its own is retired meanwhile. */
  async #runParts<T>(store: RowStore, parts: readonly Part[], workOf: (part: Part) => Work<T>): Promise<Done<T>[]> {
    const outcomes = await Promise.allSettled(
      parts.map(async (part) => {
        // Workers are to have their messages before this thread is busy.
        if (part.slot === PAGE && parts.length > 1) await this.#options.slices.turn();
        return this.#runPart(store, part, workOf);
      }),
    );
    // Nobody is still at work when a failure is told.
    return outcomes.flatMap((outcome) => {
      if (outcome.status === "rejected") throw outcome.reason;
      return outcome.value;
    });
  }

  async #runPart<T>(store: RowStore, part: Part, workOf: (part: Part) => Work<T>): Promise<Done<T>[]> {
    try {
      return [await this.#runWork(store, part, workOf(part))];
    } catch (cause) {
      if (!(cause instanceof SlotRetiredError)) throw cause;
      const usable = this.#pool?.usable ?? [];
      if (usable.length === 0) throw allWorkersFailed(cause);
      const parts = this.#sharesRows(store)
        ? [{ ...part, slot: usable[part.slot % usable.length] ?? 0 }]
        : byOwner(usable, this.#options.threads, part.first, part.count, part.blocks);
      return this.#runParts(store, parts, workOf);
    }
  }

  async #runWork<T>(store: RowStore, part: Part, work: Work<T>): Promise<Done<T>> {
    if (part.slot !== PAGE && this.#pool !== undefined && !this.#isBlocked) {
      try {
        return {
          part,
          result: await this.#pool.run(part.slot, store, part.blocks, (api) => work.inWorker(api), work.isExpendable),
          isInPage: false,
        };
      } catch (cause) {
        if (!(cause instanceof WorkersBlockedError)) throw cause;
        this.#stepDownToPage(cause);
      }
    }
    return { part, result: await this.#page.run(store, work), isInPage: true };
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

  async #merged(batch: Batch, answers: readonly Done<TaskResult>[]): Promise<ExactAnswer> {
    const settled = new Uint32Array(batch.count);
    const rescans = new Uint8Array(batch.count);
    const certified = new Uint8Array(batch.count).fill(ALL);
    const isScanned = new Uint8Array(batch.count);
    let directions = 0;
    for (const done of answers) {
      const { part, result } = done;
      const { codes, scanned } = result;
      this.#count(done);
      const isCertifying = this.#options.scan !== "full";
      const use = codes.judged === 0 || !isCertifying ? NONE : codes.judged < scanned ? SOME : ALL;
      if (isCertifying) directions = Math.max(directions, codes.directions);
      for (let q = 0; q < part.count; q++) {
        const query = part.first + q;
        settled[query] = (settled[query] ?? 0) + (result.settled[q] ?? 0);
        rescans[query] = Math.max(rescans[query] ?? 0, codes.rescans[q] ?? 0);
        if (scanned === 0) continue;
        const before = isScanned[query] === 1 ? certified[query] : use;
        certified[query] = before === use ? use : SOME;
        isScanned[query] = 1;
      }
    }
    for (let q = 0; q < batch.count; q++) if (isScanned[q] === 0) certified[q] = NONE;
    return { topK: await this.#merge(batch, answers), settled, certified, rescans, directions };
  }

  #count({ result, isInPage }: Done<TaskResult>): void {
    const settled = result.settled.reduce((a, b) => a + b, 0);
    const counts = this.#counts;
    counts.rowsSettled += settled;
    counts.rowsJudged += result.codes.judged;
    counts.survivors += result.codes.survivors;
    counts.rescans += result.codes.rescans.reduce((a, b) => a + b, 0);
    if (isInPage) counts.rowsScannedInPage += result.scanned;
    else counts.rowsScannedInWorkers += result.scanned;
    const add = (name: string, count: number): void => {
      if (count > 0) this.#kernelSpans[name] = (this.#kernelSpans[name] ?? 0) + count;
    };
    for (const [stem, spans] of Object.entries(result.spans)) add(kernelName(stem, result.level), spans);
    const { precision } = this.shape;
    add(kernelName(precision === "f32" ? "distance_f64" : `distance_${precision}`, result.level), settled);
  }

  async #merge(batch: Batch, answers: readonly Done<TaskResult>[]): Promise<TopK> {
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
  return `${stem}/${level === "none" ? "js" : "wasm"}`;
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
