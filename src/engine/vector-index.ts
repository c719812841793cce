/**
 * The index: the public contract over the row store, the scheduler and the executor. Owns all of
 * them; `close` lets go of everything.
 *
 * What a search sees is fixed when it is called: the store, the live rows, the filter, the row
 * count. Changes happen one after the other; those that only append or hide rows may overlap
 * searches, `replace` waits for searches called before it, `compact` builds a second store and
 * searches called before it finish on the first.
 */
import { type BackendInfo, DeviceLostError, type Eligibility, type ExactBackend, type Rows } from "../core/backend.ts";
import { type Clock, nextTurn } from "../core/clock.ts";
import { abortedError, closedError } from "../core/errors.ts";
import type { EventSink } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import { readRows, type VectorInput } from "../core/matrix.ts";
import type { Metric, Precision } from "../core/metric.ts";
import type { WorkSlices } from "../core/slices.ts";
import { blankAnswer } from "./answer.ts";
import { Executor } from "./executor.ts";
import type { GpuSession } from "./gpu-session.ts";
import { checkAddOptions, ingest, readOne, readQueries } from "./ingest.ts";
import { type CheckedSearch, checkSearch, eligibilityOf, newTally, type SearchJob } from "./job.ts";
import { copyLive, type Generation, newGeneration } from "./generation.ts";
import type { Liveness } from "./liveness.ts";
import { checkedRows, checkLive } from "./row-list.ts";
import { beginChange } from "./removal.ts";
import type { AddOptions, AddResult, IndexStats, SearchOptions, VectorIndex } from "./contract.ts";
import { type SearchReport, type SearchResult, searchResult } from "./result.ts";
import { valuesOf } from "./row-values.ts";
import { Scheduler } from "./scheduler.ts";
import { SerialQueue } from "./serial.ts";

export interface IndexParts {
  readonly metric: Metric;
  readonly precision: Precision;
  readonly dimensions: number;
  readonly skipsInvalid: boolean;
  readonly batchWindowMs: number;
  readonly maxQueued: number;
  readonly exact: ExactBackend;
  readonly session: GpuSession | undefined;
  /** Why searches are on the CPU, where they are. */
  readonly cpuReason: string;
  readonly emit: EventSink;
  readonly clock: Clock;
  readonly slices: WorkSlices;
}

/** Words of a bitmap that cost as much as one element of a vector: they are copied, nothing more. */
const BITMAP_WORDS_PER_ELEMENT = 8;

/** Rows as who changes them sees them. */
export interface RowAccess {
  readonly rows: Rows;
  readonly live: Liveness;
  readonly slices: WorkSlices;
  /** Says that rows were added. */
  readonly workAhead: () => void;
}

export class Index implements VectorIndex {
  /** Present only where the runtime knows the symbol: set in the constructor. */
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  readonly dimensions: number;
  readonly metric: Metric;
  readonly precision: Precision;
  readonly #parts: IndexParts;
  readonly #changes = new SerialQueue();
  readonly #scheduler: Scheduler<SearchJob>;
  #generation: Generation;
  #closing: Promise<void> | undefined;
  #searches = 0;
  #queries = 0;
  #running = 0;
  #onIdle: (() => void) | undefined;

  constructor(parts: IndexParts) {
    this.#parts = parts;
    this.metric = parts.metric;
    this.precision = parts.precision;
    this.dimensions = parts.dimensions;
    this.#generation = newGeneration(parts.exact);
    if (typeof Symbol.asyncDispose === "symbol") {
      Object.defineProperty(this, Symbol.asyncDispose, { value: () => this.close() });
    }
    const executor = new Executor(parts);
    this.#scheduler = new Scheduler({
      clock: parts.clock,
      windowMs: parts.batchWindowMs,
      maxQueued: parts.maxQueued,
      batchesInFlight: () =>
        parts.session?.proposer === undefined ? LIMITS.batchesInFlight : LIMITS.gpuBatchesInFlight,
      execute: (pieces) => executor.execute(pieces),
    });
  }

  get size(): number {
    return this.#generation.live.count;
  }

  get rowCount(): number {
    return this.#generation.live.rowCount;
  }

  get backend(): BackendInfo {
    const { session, exact, cpuReason } = this.#parts;
    if (session?.isServing === true) return session.last.info;
    const reason = session === undefined ? cpuReason : session.absenceReason;
    return { kind: "cpu", software: false, features: [], limits: {}, ...exact.info, reason };
  }

  async add(vectors: VectorInput, options: AddOptions = {}): Promise<AddResult> {
    checkAddOptions(options);
    return this.change("add", options.signal, async () => {
      const { rows, live } = this.#generation;
      const { skipsInvalid, slices, emit } = this.#parts;
      const result = await ingest(rows, vectors, options, skipsInvalid, slices);
      rows.commit(result.first + result.count);
      live.append(result.count);
      if (result.skipped.length > 0) {
        emit({
          code: "rows-skipped",
          level: "warning",
          message: `${result.skipped.length} invalid rows were left out of ${result.count + result.skipped.length}`,
        });
      }
      this.#workAhead(rows);
      return result;
    });
  }

  async get(rows: readonly number[]): Promise<Float32Array | Uint8Array> {
    this.#checkOpen("get");
    const { rows: store, live } = this.#generation;
    const list = await checkedRows(rows, live.rowCount, this.#parts.slices);
    return valuesOf(store, list, this.#parts.slices, (row) => checkLive(live, row));
  }

  replace(row: number, vector: VectorInput): Promise<void> {
    return this.change("replace", undefined, async () => {
      const { rows, live, lock } = this.#generation;
      await checkedRows([row], live.rowCount, this.#parts.slices);
      checkLive(live, row);
      const stored = readOne(vector, rows);
      await lock.write(() => {
        rows.discard();
        rows.put(row, stored);
        rows.commit(rows.rowCount);
        rows.touch(row);
      });
      this.#workAhead(rows);
    });
  }

  remove(rows: Iterable<number>): Promise<number> {
    return this.change("remove", undefined, async () => {
      const { live } = this.#generation;
      const change = await beginChange(live, 0, rows, this.#parts.slices);
      return change.apply();
    });
  }

  compact(): Promise<Uint32Array> {
    return this.change("compact", undefined, async () => {
      const old = this.#generation;
      const next = newGeneration(this.#parts.exact);
      const mapping = await copyLive(old, next, this.#parts.slices);
      next.rows.commit(next.live.rowCount);
      this.#generation = next;
      this.#workAhead(next.rows);
      old.isRetired = true;
      this.#releaseIfUnread(old);
      return mapping;
    });
  }

  async search(queries: VectorInput, options: SearchOptions): Promise<SearchResult> {
    this.#checkOpen("search");
    const generation = this.#generation;
    const { live, lock } = generation;
    const count = readRows(queries, this.dimensions, this.precision).count;
    const checked = checkSearch(options, count, live.rowCount);
    const { signal } = options;
    if (signal?.aborted === true) throw abortedError(signal);
    const snapshot = live.snapshot();
    const calledAt = this.#parts.clock.now();
    const admission = lock.beginRead(signal);
    this.#running++;
    if (admission !== undefined) {
      await admission.catch((error: unknown) => {
        this.#leave(generation, false);
        throw error;
      });
    }
    let isHandedOver = false;
    try {
      const job = await this.#prepareJob(generation, queries, checked, snapshot, calledAt, signal);
      if (count > 0 && checked.width > 0) {
        isHandedOver = true; // from here the scheduler says when nobody reads the rows any more
        await this.#scheduler.submit(job, () => this.#leave(generation, true));
      }
      this.#searches++;
      this.#queries += count;
      return searchResult(count, job.answer, this.#report(job));
    } finally {
      if (!isHandedOver) this.#leave(generation, true);
    }
  }

  stats(): IndexStats {
    const { live, rows } = this.#generation;
    const { session, exact, slices } = this.#parts;
    const { batches, largestBatch, queuedQueries } = this.#scheduler.stats;
    return {
      rows: live.count,
      removedRows: live.rowCount - live.count,
      searches: this.#searches,
      queries: this.#queries,
      batches,
      largestBatch,
      queuedQueries,
      slices: slices.stats,
      sliceBudget: slices.budget,
      cpu: { ...exact.stats, storeBytes: rows.memoryBytes, codes: exact.codesOf(rows) },
      gpu: session?.last.stats ?? null,
      deviceLosses: session?.losses ?? 0,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  /** Fault injection, for nearfield/testing. */
  async loseDevice(): Promise<void> {
    await this.#parts.session?.lose();
  }

  /** Fault injection, for nearfield/testing. */
  crashWorker(): Promise<void> {
    return this.#parts.exact.crashWorker();
  }

  async #shutDown(): Promise<void> {
    const refusal = (): Error => closedError("work queued");
    await Promise.all([this.#scheduler.close(refusal), this.#changes.close(refusal)]);
    // Searches that were still reading their queries are refused by the scheduler; wait until they know.
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    this.#parts.session?.close();
    this.#parts.exact.close();
    await nextTurn(this.#parts.clock);
  }

  /** For collections (stored-index.ts): the rows there are now. Throws CLOSED. */
  access(action: string): RowAccess {
    this.#checkOpen(action);
    const { rows, live } = this.#generation;
    return { rows, live, slices: this.#parts.slices, workAhead: () => this.#workAhead(rows) };
  }

  #checkOpen(action: string): void {
    if (this.#closing !== undefined) throw closedError(action);
  }

  /** Does one change after the other. For collections too (stored-index.ts). */
  change<T>(action: string, signal: AbortSignal | undefined, task: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) return Promise.reject(closedError(action));
    if (signal?.aborted === true) return Promise.reject(abortedError(signal));
    return this.#changes.run(task, signal);
  }

  /** Reads the queries and works out which rows each may find, in slices. */
  async #prepareJob(
    { rows, live }: Generation,
    queries: VectorInput,
    checked: CheckedSearch,
    snapshot: Eligibility,
    calledAt: number,
    signal: AbortSignal | undefined,
  ): Promise<SearchJob> {
    const { slices } = this.#parts;
    const { vectors, norms } = await readQueries(queries, rows, slices);
    const { filters, width, maxDistance } = checked;
    const eligibilities = filters.length === 0 ? [snapshot] : await this.#filtered(live, snapshot, filters);
    const [first] = eligibilities;
    const bitmap = Math.ceil(snapshot.bits.length / BITMAP_WORDS_PER_ELEMENT);
    const isShared = eligibilities.length === 1 && first !== undefined;
    return {
      group: rows,
      queries: norms.length,
      width,
      elements: rows.stride + (isShared ? 0 : bitmap),
      shared: isShared ? { key: first, elements: bitmap } : undefined,
      vectors,
      norms,
      eligibilities,
      maxDistance,
      answer: await blankAnswer(norms.length, width, slices),
      tally: newTally(calledAt),
      signal,
    };
  }

  /** A search no longer reads the rows. */
  #leave(generation: Generation, hasEntered: boolean): void {
    if (hasEntered) generation.lock.endRead();
    this.#releaseIfUnread(generation);
    if (--this.#running === 0) this.#onIdle?.();
  }

  /** Has the backend that serves work on new rows now rather than in the first search. A failure is told; the next search tries again. */
  #workAhead(rows: Rows): void {
    const { session, exact, emit } = this.#parts;
    const proposer = session?.proposer;
    if (proposer === undefined) {
      exact.prepare(rows);
      return;
    }
    proposer.sync(rows).catch((cause: unknown) => {
      if (cause instanceof DeviceLostError) return; // the session tells of it
      emit({
        code: "gpu-failed",
        level: "warning",
        message: `sending rows to the GPU failed: ${String(cause)}`,
        cause,
      });
    });
  }

  async #filtered(live: Liveness, snapshot: Eligibility, filters: readonly Uint32Array[]): Promise<Eligibility[]> {
    const distinct = new Map<Uint32Array, Eligibility>();
    const eligibilities: Eligibility[] = [];
    for (const filter of filters) {
      let eligibility = distinct.get(filter);
      if (eligibility === undefined) {
        const turn = this.#parts.slices.take(filter.length);
        if (turn !== undefined) await turn;
        distinct.set(filter, (eligibility = live.filtered(snapshot, filter)));
      }
      eligibilities.push(eligibility);
    }
    return eligibilities;
  }

  #report(job: SearchJob): SearchReport {
    const { tally } = job;
    let total = 0;
    for (let q = 0; q < job.queries; q++) total += eligibilityOf(job, q).count;
    const answered = tally.answeredByGpu + tally.answeredByCpu;
    const byGpu =
      answered > 0 ? tally.answeredByGpu >= tally.answeredByCpu : this.#parts.session?.proposer !== undefined;
    const byCodes = tally.certified + tally.partlyCertified;
    const now = this.#parts.clock.now();
    const startedAt = Math.min(tally.startedAt, tally.finishedAt);
    return {
      backend: byGpu ? "gpu" : "cpu",
      exact: tally.scanned === total,
      scanned: tally.scanned,
      total,
      degraded: [...tally.degraded],
      scan: {
        // Of the queries that any row could answer.
        method: byCodes === 0 ? "full" : tally.certified === answered ? "certified" : "mixed",
        prefixDimensions: byCodes === 0 ? this.dimensions : tally.directions,
        survivors: tally.survivors,
        rescans: tally.rescans,
      },
      batch: tally.batch,
      queuedMs: Math.max(0, startedAt - tally.calledAt),
      computeMs: Math.max(0, tally.finishedAt - startedAt),
      totalMs: now - tally.calledAt,
    };
  }

  /** Lets go of a compacted-away store once the last search that reads it is done. */
  #releaseIfUnread(generation: Generation): void {
    if (!generation.isRetired || generation.lock.readers > 0) return;
    generation.isRetired = false;
    this.#parts.exact.release(generation.rows);
    this.#parts.session?.proposer?.release(generation.rows);
  }
}
