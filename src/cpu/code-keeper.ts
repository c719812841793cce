/**
 * Keeps a store's codes (layout.ts) up: which basis they have, that every row gets them, and that
 * none change while a search reads them. Works in the background, in turns: rows are coded as they
 * are (m = d) at first, and anew by their leading principal directions once those are learnt and
 * found worth it. Rows without codes are scanned in full, so nothing here can make an answer wrong
 * or late; a failure only leaves searches slower, and is told.
 */
import type { CodeStats } from "../core/backend.ts";
import type { ProductMetric } from "../core/basis.ts";
import { COMFORT_MAX } from "../core/comfort.ts";
import type { EventSink } from "../core/events.ts";
import type { LearnRequest, LearntProjection } from "../core/learn.ts";
import { LIMITS } from "../core/limits.ts";
import { ReadersWriterLock } from "../core/lock.ts";
import { rowNorm } from "../core/matrix.ts";
import { encodingWork, identityProjection, type Projection } from "../core/projection.ts";
import { basisSampleRows, meanOf, sampleRows } from "../core/sample.ts";
import { inSlices, type WorkSlices } from "../core/slices.ts";
import type { RowStore } from "./row-store.ts";
import type { CodeUse, EncodeTask } from "./tasks.ts";

/** What the keeper has done elsewhere. */
export interface CodeWorkshop {
  /** How many blocks can be coded at once. */
  readonly width: number;
  encode(store: RowStore, blocks: EncodeTask["blocks"]): Promise<void>;
  /** `onProgress`: what share of it is done, about. Undefined when stopped. */
  learn(
    store: RowStore,
    request: LearnRequest,
    onProgress: (share: number) => void,
    isStopped: () => boolean,
  ): Promise<LearntProjection | undefined>;
}

export interface CodeOptions {
  readonly scan: "auto" | "full" | "certified";
  /** Bytes of rows from which `"auto"` makes codes, and rows from which directions are learnt. */
  readonly codedBytes: number;
  readonly learnRows: number;
  /** The number of directions where it is not to be chosen. */
  readonly directions: number | undefined;
  readonly slices: WorkSlices;
  readonly emit: EventSink;
}

/** Rows are learnt from anew when there are so many times as many. */
const GROWTH = 16;
/**
 * What a byte of a row that survives its codes costs, in bytes of codes scanned: a look at a row
 * waits for memory (100 ns for 400 B, where scanning 2,000 B of codes takes as long), and bounds are
 * looser than their last for most of a scan. GloVe, 341k × 100, single query: 64 directions 4.7 ms
 * and 26,600 survivors at the default of 2.
 */
const GATHER_COST = 10;
/** Attempts that may fail, of all that a store's keeper makes: each may have cost a worker. */
const MOST_FAILURES = 3;
/** Scans of the whole store without codes after which a store nobody prepared gets them. */
const LEAST_SCANS = 8;

export class CodeKeeper {
  readonly #store: RowStore;
  readonly #metric: ProductMetric;
  readonly #workshop: CodeWorkshop;
  readonly #options: CodeOptions;
  readonly #lock = new ReadersWriterLock();
  /** What of each block has codes of the present basis, as far as this thread knows. */
  readonly #coded = new Map<number, { readonly version: number; readonly rows: number }>();
  #lastId = 0;
  /** What rows are coded by now, what they are to be coded by, and what that is before anything is learnt. */
  #applied: Projection | undefined;
  #learnt: Projection | undefined;
  #plain: Projection | undefined;
  /** Rows when directions were last learnt, or that was tried. */
  #triedRows = 0;
  #learning: number | null = null;
  #scannedUnprepared = 0;
  #isPrepared = false;
  /** Something changed since the keeper last looked. */
  #isAsked = false;
  /** Rows when codes were found not to be worth it; +∞ where they could not be made. */
  #givenUpRows = 0;
  #failures = 0;
  #isStopped = false;
  #running: Promise<void> | undefined;
  /** Blocks before this one have their codes, as far as this run has seen. */
  #cursor = 0;

  constructor(store: RowStore, metric: ProductMetric, workshop: CodeWorkshop, options: CodeOptions) {
    this.#store = store;
    this.#metric = metric;
    this.#workshop = workshop;
    this.#options = options;
  }

  /** Runs a scan, during which no codes change. */
  async read<T>(scan: () => Promise<T>): Promise<T> {
    await this.#lock.beginRead();
    try {
      return await scan();
    } finally {
      this.#lock.endRead();
    }
  }

  /** Rows were added or changed, and searches will scan them: begins to bring the codes up to them. */
  prepare(): void {
    this.#isPrepared = true;
    this.#isAsked = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** What a search of `pairs` rows, once for each query, got out of the codes. */
  tell(use: CodeUse, pairs: number): void {
    this.#scannedUnprepared += pairs;
    if (!this.#isPrepared && this.#scannedUnprepared < LEAST_SCANS * this.#store.rowCount) return;
    if (use.missing > 0 && this.#running === undefined) {
      // Codes went away with a worker, or its rows with it: find out which by asking for all.
      this.#coded.clear();
      this.prepare();
    } else if (!this.#isPrepared) this.prepare();
  }

  get stats(): CodeStats | null {
    const { basis } = this.#store;
    if (basis === undefined) return null;
    let codedRows = 0;
    for (const { rows } of this.#coded.values()) codedRows += rows;
    return { directions: basis.length, codedRows, learning: this.#learning };
  }

  /** Ends what is under way, for good; resolves when nothing is. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#isAsked && !this.#isStopped) {
      this.#isAsked = false;
      this.#cursor = 0;
      try {
        while (await this.#workOn());
      } catch (cause) {
        if (this.#isStopped) return; // the pool was closed under it
        await this.#fail(cause);
      }
    }
  }

  /** One turn of what is to be done; false when there is nothing. */
  async #workOn(): Promise<boolean> {
    if (this.#isStopped) return false;
    await this.#chooseBasis();
    if (this.#store.basis === undefined) return false;
    const blocks = this.#missing();
    if (blocks.length > 0) await this.#encode(blocks);
    else if (this.#shallLearn) await this.#learn();
    else return false;
    return true;
  }

  /** Tries again from the start a few times: a worker may have been killed for other reasons. */
  async #fail(cause: unknown): Promise<void> {
    this.#isAsked = true;
    this.#coded.clear();
    if (++this.#failures < MOST_FAILURES) return;
    this.#givenUpRows = Infinity;
    await this.#setBasis(undefined);
    this.#options.emit({
      code: "codes-abandoned",
      level: "warning",
      message: `int8 codes of the rows could not be made (${String(cause)}): searches scan rows in full, which is slower`,
      cause,
    });
  }

  async #chooseBasis(): Promise<void> {
    const wanted = this.#isWorthCodes ? (this.#learnt ?? this.#identity()) : undefined;
    if (wanted !== this.#applied) await this.#setBasis(wanted);
  }

  #identity(): Projection {
    const store = this.#store;
    const isCentred = this.#metric === "euclidean" && store.precision !== "i8";
    if (this.#plain === undefined) {
      const mean = isCentred ? meanOf(store, store.rowCount) : undefined;
      this.#plain = identityProjection(store.dimensions, mean !== undefined && isNear(mean) ? mean : undefined);
    }
    return this.#plain;
  }

  async #setBasis(projection: Projection | undefined): Promise<void> {
    await this.#lock.write(() => {
      this.#coded.clear();
      this.#cursor = 0;
      this.#applied = projection;
      this.#store.basis = projection === undefined ? undefined : { ...projection, id: ++this.#lastId };
    });
  }

  get #isWorthCodes(): boolean {
    const { rowCount, rowBytes, precision } = this.#store;
    if (rowCount === 0 || rowCount < GROWTH * this.#givenUpRows) return false;
    const { scan, codedBytes } = this.#options;
    // i8 rows are their own codes, and have no other fast scan.
    if (precision === "i8" || scan === "certified") return true;
    return rowBytes >= LIMITS.codedRowBytes && rowCount * rowBytes >= codedBytes;
  }

  /** The next rows to be coded: of as many blocks as there are hands, as many as one turn takes. */
  #missing(): EncodeTask["blocks"] {
    const store = this.#store;
    const { basis } = store;
    if (basis === undefined) return [];
    const most = Math.max(32, Math.floor(LIMITS.encodeWork / encodingWork(basis)));
    const found: EncodeTask["blocks"][number][] = [];
    for (let block = this.#cursor; block < store.blocks.length && found.length < this.#workshop.width; block++) {
      const { firstRow, version } = store.blocks[block] ?? { firstRow: 0, version: 0 };
      const end = Math.min(store.blockRows, store.rowCount - firstRow);
      const known = this.#coded.get(block);
      const from = known?.version === version ? known.rows : 0;
      if (from < end) found.push({ block, version, rowCount: Math.min(end, from + most) });
      else if (found.length === 0) this.#cursor = block + 1;
    }
    return found;
  }

  async #encode(blocks: EncodeTask["blocks"]): Promise<void> {
    await this.#lock.write(async () => {
      if (this.#isStopped) return;
      await this.#workshop.encode(this.#store, blocks);
      for (const { block, version, rowCount } of blocks) this.#coded.set(block, { version, rows: rowCount });
    });
  }

  get #shallLearn(): boolean {
    const { rowCount, precision } = this.#store;
    return precision !== "i8" && rowCount >= this.#options.learnRows && rowCount >= GROWTH * this.#triedRows;
  }

  async #learn(): Promise<void> {
    const store = this.#store;
    const { dimensions, rowCount, rowBytes } = store;
    this.#triedRows = rowCount;
    this.#learning = 0;
    try {
      const count = Math.min(rowCount, basisSampleRows(dimensions));
      const sample = await inSlices(sampleRows(store, rowCount, count), this.#options.slices, () => this.#isStopped);
      if (sample === undefined) return;
      const prefix = this.#options.directions;
      const request = {
        metric: this.#metric,
        dimensions,
        sample,
        count,
        rowCount,
        rowBytes,
        prefix,
        gatherCost: GATHER_COST,
      };
      const learnt = await this.#workshop.learn(
        store,
        request,
        (share) => {
          this.#learning = Math.min(1, share);
        },
        () => this.#isStopped,
      );
      if (learnt === undefined) return;
      const isWorthless = learnt.expectedBytesPerRow >= learnt.fullBytesPerRow;
      if (this.#options.scan === "auto" && isWorthless) this.#givenUpRows = rowCount;
      this.#learnt = isNear(learnt.mean) ? learnt.projection : undefined;
    } catch (cause) {
      this.#triedRows = 0;
      throw cause;
    } finally {
      this.#learning = null;
    }
  }
}

/** Whether float32 holds what becomes of rows of ordinary size when they are centred by it. */
function isNear(mean: Float32Array): boolean {
  return rowNorm(mean, 0, mean.length) <= COMFORT_MAX;
}
