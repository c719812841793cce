/**
 * Who searches when. Concurrent searches are gathered into batches: while batches are under way
 * further searches queue, and leave together. Large searches are cut, and while others wait each
 * gets at most a quantum of a batch in turn, so that nobody waits for somebody's million queries.
 * Pure of backends: it knows counts, an injected clock and a function that executes a batch.
 */
import type { Clock } from "../core/clock.ts";
import { abortedError, NearfieldError } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";

/** A search, as the scheduler sees it. */
export interface Job {
  /** Queries to answer; at least 1. */
  readonly queries: number;
  /** Result slots of one query. */
  readonly width: number;
  /** Elements that one query brings along: its vector, and its bitmap where it has one of its own. */
  readonly elements: number;
  /** A bitmap that all queries of the job share, perhaps with other jobs, and what copying it costs in elements. */
  readonly shared?: { readonly key: object; readonly elements: number } | undefined;
  /** Jobs may share a batch only when they read the same rows. */
  readonly group: object;
  readonly signal?: AbortSignal | undefined;
}

/** Queries `first … first + count − 1` of a job. */
export interface Piece<J extends Job> {
  readonly job: J;
  readonly first: number;
  readonly count: number;
}

export interface SchedulerOptions<J extends Job> {
  readonly clock: Clock;
  readonly windowMs: number;
  readonly maxQueued: number;
  /** Batches that may be under way at once, now. */
  readonly batchesInFlight: () => number;
  /** Answers the pieces of one batch; writes into the jobs. */
  readonly execute: (pieces: readonly Piece<J>[]) => Promise<void>;
}

interface Entry<J extends Job> {
  readonly job: J;
  /** Queries not yet in a batch. */
  next: number;
  /** Queries answered. */
  done: number;
  /** Pieces in batches under way. */
  inFlight: number;
  isSettled: boolean;
  settle(error?: unknown): void;
  /** Tells the job's owner, if it is settled and in no batch. */
  release(): void;
}

export class Scheduler<J extends Job> {
  readonly #options: SchedulerOptions<J>;
  #queue: Entry<J>[] = [];
  #queuedQueries = 0;
  #inFlight = 0;
  #isFlushPlanned = false;
  #batches = 0;
  #largestBatch = 0;
  #closing: { readonly refusal: () => Error; readonly idle: () => void } | undefined;

  constructor(options: SchedulerOptions<J>) {
    this.#options = options;
  }

  get stats(): { batches: number; largestBatch: number; queuedQueries: number; batchesInFlight: number } {
    return {
      batches: this.#batches,
      largestBatch: this.#largestBatch,
      queuedQueries: this.#queuedQueries,
      batchesInFlight: this.#inFlight,
    };
  }

  /**
   * Resolves when all queries of the job are answered. Rejects with BUSY, ABORTED, CLOSED, or what
   * execute rejected with; at once, even while a batch still works on the job: `onReleased` is
   * called, once, when no batch does any more.
   */
  submit(job: J, onReleased: () => void = () => {}): Promise<void> {
    const refusal = this.#refusal(job);
    if (refusal !== undefined) {
      onReleased();
      return Promise.reject(refusal);
    }
    return this.#enqueue(job, onReleased);
  }

  #refusal(job: J): Error | undefined {
    if (this.#closing !== undefined) return this.#closing.refusal();
    if (job.signal?.aborted === true) return abortedError(job.signal);
    if (this.#queuedQueries > 0 && this.#queuedQueries + job.queries > this.#options.maxQueued) {
      return busy(this.#queuedQueries, job.queries, this.#options.maxQueued);
    }
    return undefined;
  }

  #enqueue(job: J, onReleased: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        if (job.signal !== undefined) entry.settle(abortedError(job.signal));
      };
      const entry: Entry<J> = {
        job,
        next: 0,
        done: 0,
        inFlight: 0,
        isSettled: false,
        release: () => {
          if (entry.isSettled && entry.inFlight === 0) onReleased();
        },
        settle: (error) => {
          if (entry.isSettled) return;
          entry.isSettled = true;
          job.signal?.removeEventListener("abort", onAbort);
          this.#withdraw(entry);
          if (error === undefined) resolve();
          else reject(error);
          entry.release();
        },
      };
      job.signal?.addEventListener("abort", onAbort, { once: true });
      this.#queue.push(entry);
      this.#queuedQueries += job.queries;
      this.#planFlush();
    });
  }

  /** Refuses what is queued, lets what runs finish; resolves when nothing runs. */
  close(refusal: () => Error): Promise<void> {
    return new Promise((resolve) => {
      this.#closing = { refusal, idle: resolve };
      for (const entry of [...this.#queue]) entry.settle(refusal());
      if (this.#inFlight === 0) resolve();
    });
  }

  /** Takes the rest of a job out of the queue. */
  #withdraw(entry: Entry<J>): void {
    const at = this.#queue.indexOf(entry);
    if (at < 0) return;
    this.#queue.splice(at, 1);
    this.#queuedQueries -= entry.job.queries - entry.next;
  }

  #planFlush(): void {
    if (this.#isFlushPlanned || this.#queue.length === 0 || this.#inFlight >= this.#options.batchesInFlight()) return;
    this.#isFlushPlanned = true;
    this.#options.clock.after(this.#options.windowMs, () => {
      this.#isFlushPlanned = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#queue.length > 0 && this.#inFlight < this.#options.batchesInFlight()) void this.#execute(this.#form());
  }

  /** Takes the next batch off the queue, round robin. */
  #form(): { entry: Entry<J>; piece: Piece<J> }[] {
    const batch: { entry: Entry<J>; piece: Piece<J> }[] = [];
    const group = this.#queue[0]?.job.group;
    let room = LIMITS.batchQueries;
    let elements = LIMITS.batchElements;
    let width = 1;
    const sharedKeys = new Set<object>();
    for (;;) {
      const entry = this.#queue[0];
      if (entry === undefined || entry.job.group !== group) break;
      width = Math.max(width, entry.job.width);
      const taken = LIMITS.batchQueries - room;
      const slots = Math.floor(LIMITS.batchResults / width) - taken;
      const share = this.#queue.length > 1 ? LIMITS.fairQueries : LIMITS.batchQueries;
      const { shared } = entry.job;
      const extra = shared === undefined || sharedKeys.has(shared.key) ? 0 : shared.elements;
      const fitting = Math.min(slots, Math.floor((elements - extra) / entry.job.elements));
      const least = batch.length === 0 ? 1 : 0; // one query goes through, whatever its size
      const count = Math.min(entry.job.queries - entry.next, room, share, Math.max(least, fitting));
      if (count <= 0) break;
      batch.push({ entry, piece: { job: entry.job, first: entry.next, count } });
      entry.next += count;
      room -= count;
      elements -= count * entry.job.elements + extra;
      if (shared !== undefined) sharedKeys.add(shared.key);
      this.#queuedQueries -= count;
      this.#queue.shift();
      if (entry.next < entry.job.queries) this.#queue.push(entry);
    }
    return batch;
  }

  async #execute(batch: readonly { entry: Entry<J>; piece: Piece<J> }[]): Promise<void> {
    this.#inFlight++;
    this.#batches++;
    this.#largestBatch = Math.max(
      this.#largestBatch,
      batch.reduce((sum, { piece }) => sum + piece.count, 0),
    );
    for (const { entry } of batch) entry.inFlight++;
    let failure: { readonly error: unknown } | undefined;
    try {
      await this.#options.execute(batch.map(({ piece }) => piece));
    } catch (error) {
      failure = { error };
    } finally {
      for (const { entry, piece } of batch) {
        entry.inFlight--;
        entry.done += piece.count;
        if (failure !== undefined) entry.settle(failure.error);
        else if (entry.isSettled)
          entry.release(); // aborted meanwhile
        else if (entry.done === entry.job.queries) entry.settle();
      }
      this.#inFlight--;
      if (this.#closing !== undefined && this.#inFlight === 0) this.#closing.idle();
      // What gathered meanwhile waited long enough: no further window.
      this.#flush();
    }
  }
}

function busy(queued: number, queries: number, maxQueued: number): NearfieldError {
  return new NearfieldError("BUSY", {
    got: `${queries} queries while ${queued} are queued`,
    expected: `at most ${maxQueued} queued queries`,
    remedy: "wait for running searches before starting more, or raise maxQueued",
    details: { queued, maxQueued },
  });
}
