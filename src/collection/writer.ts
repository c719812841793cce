/**
 * Changes of a collection: staged, put in order, made durable, then shown. Owns the queue and the
 * log; the records are the collection's, and are swapped where they were rewritten (rewriting.ts).
 *
 * What is durable and cannot be shown is read again from the files. Where that fails too, for want
 * of memory, all further changes are refused: memory would be behind the disk. Queries go on, and
 * opening again shows everything.
 */
import { setBits } from "../core/bit-ranges.ts";
import { wallClockMs } from "../core/clock.ts";
import { abortedError, NearfieldError } from "../core/errors.ts";
import type { EventSink } from "../core/events.ts";
import { STORAGE_LIMITS } from "../core/limits.ts";
import type { StoredColumnShape } from "../core/stored-column.ts";
import { batchBytes } from "../storage/batch-columns.ts";
import type { ReadableFile, StorageDriver } from "../storage/driver.ts";
import type { CollectionSettings } from "../storage/manifest.ts";
import { readColumns } from "../core/stored-column-reader.ts";
import { segmentName } from "../storage/names.ts";
import { Segment } from "../storage/segment-reader.ts";
import { type Change, ChangeQueue } from "./change-queue.ts";
import { ChangePlan, type UpsertMode } from "./change-plan.ts";
import { checkpointPlan, checkpointRecords } from "./checkpoint.ts";
import { behindDisk, closedCollection } from "./collection-errors.ts";
import type { DeleteResult, UpsertResult, VectorRecord } from "./contract.ts";
import type { CurrentRecords } from "./current-records.ts";
import type { CompiledFilter } from "./filter.ts";
import type { SegmentStore } from "./segment-store.ts";
import { type Staged, Staging, type TakeOptions } from "./staging.ts";
import { matchBits } from "./matching.ts";
import type { VersionLog } from "./version-log.ts";

export interface WriterParts {
  readonly driver: StorageDriver;
  readonly settings: CollectionSettings;
  readonly shape: StoredColumnShape;
  readonly current: CurrentRecords;
  readonly log: VersionLog;
  readonly segments: SegmentStore;
  readonly emit: EventSink;
  /** Compacts the collection; called in turn, when many rows are removed. */
  readonly compact: () => Promise<void>;
  /** Takes the newest version from the files again. */
  readonly reload: () => Promise<void>;
}

export interface Intake extends TakeOptions {
  readonly mode: UpsertMode;
}

/** A change that waits for its turn, and is told once how it went. */
interface Pending {
  /** Of the journal, roughly. */
  readonly bytes: number;
  /** Adds to the plan; what it returns is called with the version when the change is there. */
  readonly plan: (plan: ChangePlan) => Promise<(version: number) => void>;
  /** `isStored`: whether it may be on the disk all the same. */
  readonly fail: (error: unknown, isStored: boolean) => Promise<void>;
  /** Called at the end, however it went. */
  readonly end: () => Promise<void>;
}

interface Settle<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
  readonly isRefused: () => boolean;
}

const NOTHING = (): Promise<void> => Promise.resolve();

export class CollectionWriter {
  readonly #parts: WriterParts;
  readonly #queue: ChangeQueue<Pending>;
  #behind: unknown;
  #isCompacting = false;
  /** Length of the journal below which no checkpoint is tried again after one failed. */
  #patienceBytes = 0;
  /** Removed rows below which no compaction is tried again after one failed. */
  #patienceRows = 0;

  constructor(parts: WriterParts) {
    this.#parts = parts;
    this.#queue = new ChangeQueue({
      commit: (changes) => this.#commit(changes),
      most: STORAGE_LIMITS.groupRecords,
      weigh: ({ bytes }) => bytes,
      mostWeight: STORAGE_LIMITS.journalRecordBytes,
    });
  }

  /** Records that come without waiting have their place by the order of calls, streams by when they end. */
  async upsert(records: Iterable<VectorRecord> | AsyncIterable<VectorRecord>, intake: Intake): Promise<UpsertResult> {
    const { settings, shape, segments, current } = this.#parts;
    const staging = new Staging(settings, shape, segments, current.records.slices);
    const taken = takenIn(staging, records, intake);
    if (!(Symbol.iterator in records)) await taken;
    return this.#submit<UpsertResult>(async (settle) => {
      const staged = await taken;
      if (settle.isRefused() || intake.signal?.aborted === true) {
        await staging.discard();
        if (intake.signal?.aborted === true) throw abortedError(intake.signal);
        return undefined;
      }
      const pending = this.#upsertOf(staged, staging, intake.mode, settle);
      return staged.segment === undefined
        ? { kind: "shared", change: pending }
        : { kind: "alone", run: () => this.#commit([pending]) };
    });
  }

  #upsertOf(staged: Staged, staging: Staging, mode: UpsertMode, settle: Settle<UpsertResult>): Pending {
    const { driver, shape } = this.#parts;
    const { count, batch, segment, retired, duplicates, rejected } = staged;
    let file: ReadableFile | undefined;
    return {
      bytes: batch === undefined ? 0 : batchBytes(batch),
      plan: async (plan) => {
        const written = count - (retired === undefined ? 0 : duplicates);
        if (count > 0) {
          if (staged.vectors !== undefined) {
            await plan.upsert(staged, mode, readColumns(staged.vectors));
          } else if (segment !== undefined) {
            const name = segmentName(segment.id);
            file = await driver.openToRead(name);
            await plan.upsert(staged, mode, (await Segment.open(file, name, shape, segment.facts)).vectors());
          }
        }
        return (version) => settle.resolve({ written, version, duplicates, rejected });
      },
      fail: async (error, isStored) => {
        settle.reject(error);
        await file?.close();
        if (!isStored) await staging.discard();
      },
      end: async () => file?.close(),
    };
  }

  deleteIds(ids: readonly string[]): Promise<DeleteResult> {
    const bytes = ids.reduce((sum, id) => sum + id.length * 3 + 4, 0);
    return this.#submit<DeleteResult>(async (settle) => {
      const pending = this.#deleteOf(settle, bytes, (plan) => plan.deleteIds(ids));
      return bytes < STORAGE_LIMITS.journalRecordBytes
        ? { kind: "shared", change: pending }
        : { kind: "alone", run: () => this.#commit([pending]) };
    });
  }

  deleteMatches(filter: CompiledFilter): Promise<DeleteResult> {
    return this.#submit<DeleteResult>(async (settle) => {
      const pending = this.#deleteOf(settle, 0, async (plan) =>
        plan.deleteRows(setBits(await matchBits(this.#parts.current.records, filter))),
      );
      return { kind: "alone", run: () => this.#commit([pending]) };
    });
  }

  #deleteOf(settle: Settle<DeleteResult>, bytes: number, apply: (plan: ChangePlan) => Promise<number>): Pending {
    return {
      bytes,
      plan: async (plan) => {
        const deleted = await apply(plan);
        return (version) => settle.resolve({ deleted, version });
      },
      fail: async (error) => settle.reject(error),
      end: NOTHING,
    };
  }

  /** `targetOf`: called when it is this change's turn; throws where there is no such version. */
  tag(name: string, targetOf: () => number): Promise<void> {
    return this.#submit<void>(async (settle) => ({
      kind: "shared",
      change: {
        bytes: name.length * 3,
        plan: async (plan) => {
          plan.tag(name, targetOf());
          return () => settle.resolve();
        },
        fail: async (error) => settle.reject(error),
        end: NOTHING,
      },
    }));
  }

  /** Runs a task when it is its turn, with no change before it unfinished and none after it begun. */
  alone<T>(task: () => Promise<T>): Promise<T> {
    return this.#submit<T>(async (settle) => ({
      kind: "alone",
      run: async () => {
        try {
          if (this.#behind !== undefined) throw behindDisk(this.#behind);
          settle.resolve(await task());
        } catch (error) {
          settle.reject(error);
        }
      },
    }));
  }

  /** Lets what is being committed finish; what waits rejects with CLOSED. A long journal ends in a checkpoint, so that opening is quick. */
  async close(): Promise<void> {
    await this.#queue.close(() => closedCollection("a change"));
    const { log } = this.#parts;
    if (this.#behind === undefined && log.isUsable && this.#isWorthCheckpoint) await this.#checkpoint();
    await log.close();
  }

  get #isWorthCheckpoint(): boolean {
    const { goodBytes, recordCount } = this.#parts.log.journalEnd;
    return (
      recordCount > 0 &&
      (goodBytes >= STORAGE_LIMITS.closeJournalBytes ||
        recordCount >= STORAGE_LIMITS.closeJournalRecords ||
        this.#parts.current.records.rowCount >= STORAGE_LIMITS.closeRows)
    );
  }

  #submit<T>(prepare: (settle: Settle<T>) => Promise<Change<Pending> | undefined>): Promise<T> {
    return new Promise((resolve, reject) => {
      let isRefused = false;
      const ready = prepare({ resolve, reject, isRefused: () => isRefused }).catch((error: unknown) => {
        reject(error);
        return undefined;
      });
      this.#queue.enqueue(ready, (error) => {
        isRefused = true;
        reject(error);
      });
    });
  }

  async #commit(changes: readonly Pending[]): Promise<void> {
    const { log } = this.#parts;
    const planned: { readonly change: Pending; readonly done: (version: number) => void; readonly version: number }[] =
      [];
    let isStored = false;
    try {
      const plan = await this.#begin(changes.length);
      for (const change of changes) {
        try {
          const done = await change.plan(plan);
          planned.push({ change, done, version: log.version + plan.versions });
        } catch (error) {
          await change.fail(error, false);
        }
      }
      isStored = await this.#store(plan);
      await this.#show(plan);
      for (const { done, version } of planned) done(version);
    } catch (error) {
      const failed = planned.length > 0 ? planned.map(({ change }) => change) : changes;
      for (const change of failed) await change.fail(error, isStored || !log.isUsable);
    }
    for (const change of changes) await change.end();
    await this.#upkeep();
  }

  async #begin(changes: number): Promise<ChangePlan> {
    const { log, current } = this.#parts;
    if (this.#behind !== undefined) throw behindDisk(this.#behind);
    if (log.needsCheckpoint) await checkpointRecords(this.#parts, current.records);
    await current.records.prepareIds();
    return new ChangePlan(current.records, changes);
  }

  /** Returns whether anything is on the disk now. */
  async #store(plan: ChangePlan): Promise<boolean> {
    if (plan.logged.length === 0) return false;
    if (plan.fitsJournal) await this.#parts.log.append(plan.logged, wallClockMs());
    else await checkpointPlan(this.#parts, this.#parts.current.records, plan);
    return true;
  }

  async #show(plan: ChangePlan): Promise<void> {
    const { current, log, reload } = this.#parts;
    if (plan.appended.length > 0 || plan.removed.length > 0) {
      try {
        await current.records.apply(plan);
      } catch (cause) {
        await reload().catch((again: unknown) => {
          this.#behind = new AggregateError([cause, again], `${String(cause)}; reading it again: ${String(again)}`);
          throw cause;
        });
      }
    }
    current.shows(log.version);
  }

  /** What a collection does by itself between changes. A failure costs nobody's change; it is told, and tried again when there is twice as much to do. */
  async #upkeep(): Promise<void> {
    const { log, current } = this.#parts;
    if (this.#behind !== undefined || !log.isUsable) return;
    if (log.isLong && log.journalEnd.goodBytes >= this.#patienceBytes) await this.#checkpoint();
    const { rowCount, size } = current.records;
    const removed = rowCount - size;
    const isDue = removed >= STORAGE_LIMITS.compactRows && removed * 4 > rowCount && removed >= this.#patienceRows;
    if (!isDue || this.#isCompacting) return;
    this.#isCompacting = true;
    const compacting = this.alone(() => this.#parts.compact());
    void compacting
      .catch((cause: unknown) => {
        if (cause instanceof NearfieldError && cause.code === "CLOSED") return; // there was no turn left for it
        this.#patienceRows = removed * 2;
        this.#tellFailure("compacting", cause);
      })
      .finally(() => {
        this.#isCompacting = false;
      });
  }

  async #checkpoint(): Promise<void> {
    const { log, current } = this.#parts;
    try {
      await checkpointRecords(this.#parts, current.records);
      this.#patienceBytes = 0;
    } catch (cause) {
      this.#patienceBytes = log.journalEnd.goodBytes * 2;
      this.#tellFailure("writing a checkpoint", cause);
    }
  }

  #tellFailure(what: string, cause: unknown): void {
    this.#parts.emit({
      code: "collection-upkeep-failed",
      level: "warning",
      message: `${what} failed, nothing is lost: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    });
  }
}

async function takenIn(
  staging: Staging,
  records: Iterable<VectorRecord> | AsyncIterable<VectorRecord>,
  intake: Intake,
): Promise<Staged> {
  try {
    await staging.takeAll(records, intake);
    return await staging.finish();
  } catch (error) {
    await staging.discard();
    throw error;
  }
}
