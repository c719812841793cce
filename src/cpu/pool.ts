/**
 * Worker slots: started on first use, watched, replaced when they die, retired when they die too
 * often. The pool moves rows to workers and calls out; what to compute is backend.ts's business.
 *
 * comlink does not notice that its other end died, so each call races with the worker's death.
 */
import * as Comlink from "comlink";
import { type Clock, systemClock } from "../core/clock.ts";
import { NearfieldError } from "../core/errors.ts";
import type { EventSink } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import type { WorkSlices } from "../core/slices.ts";
import { kernelLevel } from "./kernel-level.ts";
import type { KernelBytes, KernelLevel } from "./kernels.ts";
import type { RowStore } from "./row-store.ts";
import type { WorkerHandle, WorkerSpawner } from "./spawner.ts";
import type { WorkerApi } from "./worker-api.ts";

/** No worker could be started at all: the caller should compute on its own thread. */
export class WorkersBlockedError extends Error {
  override readonly name = "WorkersBlockedError";
}

/** The slot has failed too often and takes no more work. */
export class SlotRetiredError extends Error {
  override readonly name = "SlotRetiredError";
}

export interface PoolOptions {
  readonly spawner: WorkerSpawner;
  readonly url: string | URL | undefined;
  /** null: plain-JS kernels. */
  readonly kernels: KernelBytes | null;
  readonly slots: number;
  readonly emit: EventSink;
  readonly slices: WorkSlices;
  readonly clock?: Clock;
}

/** A worker that answered its first call. */
interface LiveWorker {
  readonly handle: WorkerHandle;
  readonly api: Comlink.Remote<WorkerApi>;
  readonly level: KernelLevel;
  /** Rejects when the worker dies; never resolves. */
  readonly death: Promise<never>;
  /** Rejects `death`: a terminated Web Worker says nothing of itself. */
  readonly die: (reason: unknown) => void;
  isDead: boolean;
  /** Chunks of each store attached, where memory is shared. */
  readonly attached: Map<number, number>;
  /** What the worker has of each block, where it is not. */
  readonly copied: Map<number, Map<number, { version: number; rows: number }>>;
  /** The basis that each store's codes have there, by id. */
  readonly bases: Map<number, number>;
  /** Row transfers under way, one after the other. */
  transfers: Promise<void>;
}

interface Slot {
  readonly index: number;
  crashes: number;
  isRetired: boolean;
  pending: number;
  worker: Promise<LiveWorker> | undefined;
}

export class WorkerPool {
  readonly #options: PoolOptions;
  readonly #clock: Clock;
  readonly #slots: Slot[];
  readonly #live = new Set<LiveWorker>();
  #hasEverStarted = false;
  /** First calls under way; each settles by itself. */
  readonly #greetings = new Set<Promise<LiveWorker>>();
  #isClosed = false;
  #level: KernelLevel | undefined;
  #crashes = 0;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#slots = Array.from({ length: options.slots }, (_, index) => ({
      index,
      crashes: 0,
      isRetired: false,
      pending: 0,
      worker: undefined,
    }));
  }

  /** Slots that still take work. */
  get usable(): readonly number[] {
    return this.#slots.filter((slot) => !slot.isRetired).map((slot) => slot.index);
  }

  get workers(): number {
    return this.#live.size;
  }

  /** What workers run, once one has started. */
  get level(): KernelLevel | undefined {
    return this.#level;
  }

  get crashes(): number {
    return this.#crashes;
  }

  /**
   * Runs `call` on the worker of slot `index`, which sees `blocks` of `store` as they are now. A
   * worker that dies or throws meanwhile is replaced and the call made again, but for expendable
   * work, which rejects with the cause. Rejects with
   * SlotRetiredError after too many deaths, with WorkersBlockedError when none ever started, with
   * WORKER_FAILED when the call throws on a fresh worker too.
   */
  async run<T>(
    index: number,
    store: RowStore,
    blocks: readonly number[],
    call: (api: Comlink.Remote<WorkerApi>) => Promise<T>,
    isExpendable = false,
  ): Promise<T> {
    const slot = this.#slots[index];
    if (slot === undefined) throw new Error(`no slot ${index}`);
    for (let exceptions = 0; ; ) {
      if (slot.isRetired) throw new SlotRetiredError(`worker slot ${index} is retired after ${slot.crashes} crashes`);
      const worker = await this.#worker(slot);
      slot.pending++;
      worker.handle.setBusy(true);
      try {
        const work = this.#give(worker, store, blocks).then(() => call(worker.api));
        work.catch(() => {}); // reported through the race; a loser must not become an unhandled rejection
        return await Promise.race([work, worker.death]);
      } catch (cause) {
        if (this.#isClosed) throw cause;
        // A death was noticed before this line: the pool listens to it longer than the race does.
        const hasThrown = !worker.isDead;
        this.#replace(slot, worker, cause, false);
        if (isExpendable) throw cause;
        if (hasThrown && ++exceptions === 2) throw taskFailed(cause);
      } finally {
        if (--slot.pending === 0 && !worker.isDead) worker.handle.setBusy(false);
      }
    }
  }

  /** Forgets a store in every worker. */
  release(store: RowStore): void {
    for (const worker of this.#live) {
      worker.attached.delete(store.id);
      worker.copied.delete(store.id);
      worker.bases.delete(store.id);
      worker.api.release(store.id).catch(() => {}); // a dead worker has forgotten it anyway
    }
  }

  /** Makes a worker die, for fault injection; starts one where none runs. */
  async crashOne(): Promise<void> {
    const slot =
      this.#slots.find((s) => !s.isRetired && s.worker !== undefined) ?? this.#slots.find((s) => !s.isRetired);
    if (slot === undefined) return;
    const worker = await this.#worker(slot);
    worker.handle.setBusy(true);
    worker.api.crash().catch(() => {}); // it dies before or after it answers
    await worker.death.catch((cause: unknown) => this.#replace(slot, worker, cause, true));
  }

  close(): void {
    this.#isClosed = true;
    for (const worker of this.#live) {
      worker.isDead = true;
      worker.handle.terminate();
      worker.die(new Error("the index was closed"));
    }
    this.#live.clear();
  }

  #worker(slot: Slot): Promise<LiveWorker> {
    slot.worker ??= this.#start(slot);
    return slot.worker;
  }

  async #start(slot: Slot): Promise<LiveWorker> {
    const { spawner, url, kernels } = this.#options;
    for (;;) {
      let handle: WorkerHandle | undefined;
      let greeting: Promise<LiveWorker> | undefined;
      try {
        handle = spawner.spawn(url);
        greeting = this.#greet(slot, handle, kernels);
        this.#greetings.add(greeting);
        return await greeting;
      } catch (cause) {
        handle?.terminate();
        if (this.#isClosed) throw cause;
        // One refusal is not all: workers are blocked only when none of those starting now comes up.
        if (!this.#hasEverStarted) await Promise.allSettled(this.#greetings);
        if (!this.#hasEverStarted) {
          slot.worker = undefined;
          throw new WorkersBlockedError("no worker could be started", { cause });
        }
        this.#countCrash(slot, cause);
        if (slot.isRetired) throw new SlotRetiredError(`worker slot ${slot.index} could not be started`, { cause });
      } finally {
        if (greeting !== undefined) this.#greetings.delete(greeting);
      }
    }
  }

  async #greet(slot: Slot, handle: WorkerHandle, kernels: KernelBytes | null): Promise<LiveWorker> {
    handle.setBusy(true);
    const api = Comlink.wrap<WorkerApi>(handle.endpoint);
    let die: (reason: unknown) => void = () => {};
    const death = new Promise<never>((_, reject) => {
      die = reject;
    });
    death.catch(() => {}); // awaited by whoever calls; an idle death is noticed below
    let cancel: () => void = () => {};
    const late = new Promise<never>((_, reject) => {
      cancel = this.#clock.after(LIMITS.workerStartMs, () => reject(new Error("the worker did not answer")));
    });
    late.catch(() => {});
    handle.onDeath(die);
    try {
      const level = await Promise.race([api.start(slot.index, kernels), death, late]);
      const worker: LiveWorker = {
        handle,
        api,
        level,
        death,
        die,
        isDead: false,
        attached: new Map(),
        copied: new Map(),
        bases: new Map(),
        transfers: Promise.resolve(),
      };
      this.#hasEverStarted = true;
      if (this.#isClosed) throw new Error("closed while a worker was starting");
      this.#live.add(worker);
      if (kernels !== null) this.#noteLevel(level, kernelLevel(kernels));
      death.catch((cause: unknown) => this.#replace(slot, worker, cause, true));
      handle.setBusy(slot.pending > 0);
      return worker;
    } finally {
      cancel();
    }
  }

  /** Tells, once, when workers run less than what this runtime validates. */
  #noteLevel(level: KernelLevel, expected: KernelLevel): void {
    const isNew = this.#level === undefined;
    this.#level = level;
    if (!isNew || level === expected) return;
    this.#options.emit({
      code: "cpu-step-down",
      level: "warning",
      message:
        level === "none"
          ? "workers could not compile WASM here (a Content-Security-Policy without 'wasm-unsafe-eval', or no SIMD): they run plain JS, which is slower"
          : "this runtime's relaxed SIMD gave a wrong answer when probed: kernels without it are used, which are slower",
    });
  }

  /** Takes a dead or failed worker out of its slot; the next call starts another. Counts each worker once. */
  #replace(slot: Slot, worker: LiveWorker, cause: unknown, isDeath: boolean): void {
    if (worker.isDead || this.#isClosed) return;
    worker.isDead = true;
    this.#live.delete(worker);
    worker.handle.terminate();
    worker.die(cause); // whatever else it was working on runs again too
    slot.worker = undefined;
    this.#countCrash(slot, cause, isDeath);
  }

  /** Only deaths count against the slot: an exception may be the task's fault, and would retire every slot in turn. */
  #countCrash(slot: Slot, cause: unknown, isDeath = true): void {
    this.#crashes++;
    if (isDeath) slot.crashes++;
    this.#options.emit({
      code: "worker-crashed",
      level: "warning",
      message: `CPU worker ${slot.index} failed (${String(cause)}); its queries run again`,
      cause,
    });
    if (slot.crashes < LIMITS.workerCrashes) return;
    slot.isRetired = true;
    this.#options.emit({
      code: "worker-retired",
      level: "error",
      message: `CPU worker ${slot.index} failed ${slot.crashes} times and is retired; its rows go to the others`,
      cause,
    });
  }

  /** Lets the worker see the blocks as they are now: by attaching shared chunks, or by copying what changed; and what they are coded by. */
  #give(worker: LiveWorker, store: RowStore, blocks: readonly number[]): Promise<void> {
    const transfer = worker.transfers.then(async () => {
      if (store.chunks[0]?.isShared === true) await attachChunks(worker, store);
      else await this.#copyBlocks(worker, store, blocks);
      await giveBasis(worker, store);
    });
    worker.transfers = transfer.catch(() => {}); // the caller sees the failure; the next transfer starts afresh
    return transfer;
  }

  async #copyBlocks(worker: LiveWorker, store: RowStore, blocks: readonly number[]): Promise<void> {
    const { shape } = store;
    let copied = worker.copied.get(store.id);
    if (copied === undefined) worker.copied.set(store.id, (copied = new Map()));
    const { slices } = this.#options;
    const rowWords = shape.rowBytes / 4;
    const most = Math.max(1, Math.floor(slices.budget / rowWords));
    for (const index of blocks) {
      const block = store.blocks[index];
      if (block === undefined) throw new Error(`no block ${index}`);
      /** First row of the block that the worker lacks, and the end of the block's rows. */
      const missing = (): { first: number; end: number } => {
        const known = copied.get(index);
        const end = Math.min(shape.blockRows, store.rowCount - block.firstRow);
        return { first: known?.version === block.version ? known.rows : 0, end };
      };
      for (let { first, end } = missing(); first < end; { first, end } = missing()) {
        const turn = slices.take(Math.min(most, end - first) * rowWords);
        if (turn !== undefined) await turn;
        // From here to the copy nothing may wait: the block is to be copied as it is now.
        ({ first, end } = missing());
        const { version } = block;
        const count = Math.min(most, end - first);
        const rows = store.bytes(block.firstRow + first, count).slice();
        const terms = store.terms(block.firstRow + first, count).slice();
        const scales = store.scales(block.firstRow + first, count).slice();
        const message = Comlink.transfer(rows, [rows.buffer]);
        await Promise.race([worker.api.putRows(store.id, shape, index, first, message, terms, scales), worker.death]);
        copied.set(index, { version, rows: first + count });
      }
    }
  }
}

function taskFailed(cause: unknown): NearfieldError {
  return new NearfieldError("WORKER_FAILED", {
    got: `the same exception from two workers (${String(cause)})`,
    expected: "workers that can do this search",
    remedy: "search for fewer queries or a smaller k at once if memory ran out; else report a bug",
    cause,
  });
}

async function giveBasis(worker: LiveWorker, store: RowStore): Promise<void> {
  const { basis } = store;
  const id = basis?.id ?? 0;
  if ((worker.bases.get(store.id) ?? 0) === id) return;
  await Promise.race([worker.api.setBasis(store.id, store.shape, basis), worker.death]);
  worker.bases.set(store.id, id);
}

async function attachChunks(worker: LiveWorker, store: RowStore): Promise<void> {
  for (let index = worker.attached.get(store.id) ?? 0; index < store.chunks.length; index++) {
    const memory = store.chunks[index]?.wasm;
    if (memory === undefined) throw new Error("a shared chunk without WASM memory");
    await Promise.race([worker.api.attachChunk(store.id, store.shape, index, memory), worker.death]);
    worker.attached.set(store.id, index + 1);
  }
}
