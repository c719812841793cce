/**
 * The GPU backend: proposes, for each query of a batch, every row that could belong to its answer.
 *
 * A batch is cut into tiles (plan.ts); each is recorded and submitted in its turn (tile-search.ts),
 * and while its results come back the next batch records. A query whose candidates or survivors
 * outgrew their room is scanned again, alone or with its like, in full precision and with scores
 * kept, so that nothing can overflow; one with too many survivors even so is handed back (null) for
 * the float64 scan. Which distance is the smallest the GPU never decides: that is settled
 * canonically, elsewhere.
 */
import type { BackendInfo, Batch, GpuStats, LearnDirections, Proposal, Proposer, RowSource } from "../core/backend.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { NearfieldError } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";
import type { WorkSlices } from "../core/slices.ts";
import type { Certificate } from "./certificate-copy.ts";
import { Copies } from "./copies.ts";
import { Commands, type CommandCounters } from "./commands.ts";
import type { OpenDevice } from "./device.ts";
import { GpuOutOfMemory } from "./error-scopes.ts";
import { KernelTimer } from "./kernel-timer.ts";
import { DeviceMemory } from "./memory.ts";
import { pipelinesOf } from "./pipelines.ts";
import type { Gemm } from "./probe.ts";
import { type PlanLimits, planTile, readBackRoom, type TileQuestion } from "./plan.ts";
import { type ScanQuery, scanQuery } from "./query.ts";
import { ReadBackRing } from "./read-back.ts";
import type { Residency, Shard } from "./residency.ts";
import type { ScanChoice } from "./scan-choice.ts";
import { Throughput } from "./throughput.ts";
import { bitmapWords } from "./tile.ts";
import { type Survivors, TileSearch } from "./tile-search.ts";
import { type GpuTuning, planLimits, WORKGROUP } from "./tuning.ts";
import { OvertakenError, Turns } from "./turns.ts";
import { GemmChoice } from "./gemm-choice.ts";

export interface GpuOptions {
  readonly open: OpenDevice;
  readonly memoryBudgetBytes: number | undefined;
  readonly scan: "auto" | "full" | "certified";
  readonly slices: WorkSlices;
  readonly learn: LearnDirections;
  /** Called when directions could not be learnt: codes stay those of the rows. */
  readonly onLearningFailed: (cause: unknown) => void;
  readonly onVariantFailed: (variant: string, cause: unknown) => void;
  /** Called when code that was to be loaded on demand could not be; the scanner does without, and tries again. */
  readonly onCodeMissing: (what: string, cause: unknown) => void;
  readonly tuning?: GpuTuning;
  readonly clock?: Clock;
}

interface TakenQuery {
  readonly number: number;
  readonly scan: ScanQuery;
}

/** A tile whose results are on their way. */
interface TileUnderWay {
  readonly queries: readonly TakenQuery[];
  readonly survivors: Promise<Survivors>;
  readonly room: number;
  readonly capacity: number;
  readonly isCertified: boolean;
}

/** A batch whose tiles are all submitted. */
interface BatchUnderWay {
  readonly tiles: readonly TileUnderWay[];
  readonly directions: number;
  readonly work: number;
  readonly submittedAt: number;
  readonly choice: ScanChoice;
  /** Every row has a place of its own on the device. */
  readonly isWhole: boolean;
  /** Of a second try what is to follow. */
  readonly rest: readonly Again[];
}

/** Queries to scan again, with room for so many survivors each. */
interface Again {
  readonly queries: readonly TakenQuery[];
  readonly room: number;
}

export class GpuScanner implements Proposer {
  readonly info: BackendInfo;
  readonly #open: OpenDevice;
  readonly #options: GpuOptions;
  readonly #clock: Clock;
  readonly #limits: PlanLimits;
  readonly #memory: DeviceMemory;
  readonly #commands: Commands;
  readonly #counters: CommandCounters = { submits: 0, dispatches: 0, bindGroupsCreated: 0, kernels: {} };
  readonly #copies: Copies;
  readonly #tiles: TileSearch;
  readonly #readBack: ReadBackRing;
  readonly #throughput = new Throughput();
  readonly #gemm: GemmChoice;
  readonly #timer: KernelTimer | undefined;
  readonly #turns: Turns;
  #memoryBudgetBytes: number;
  #scoreBytes: number;
  #uploadedBytes = 0;
  #candidates = 0;
  #underWay = 0;
  #isClosed = false;
  readonly #closing: (() => void)[] = [];

  constructor(options: GpuOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#open = options.open;
    this.info = options.open.info;
    const { tuning } = options;
    const { device } = options.open;
    this.#memoryBudgetBytes = options.memoryBudgetBytes ?? Infinity;
    this.#scoreBytes = tuning?.scoreBytes ?? LIMITS.scoreBytes;
    const budget = (): number => this.#memoryBudgetBytes;
    this.#limits = {
      ...planLimits(device, tuning),
      get memoryBudgetBytes() {
        return budget(); // shrinks where the device has less
      },
    };
    this.#memory = new DeviceMemory(device);
    const pipelines = pipelinesOf(device, WORKGROUP, this.info.software);
    const mayTime = tuning?.timestamps !== undefined && device.features.has("timestamp-query");
    this.#timer = mayTime ? new KernelTimer(this.#memory, () => tuning.timestamps === 1) : undefined;
    const workPerSubmit = (): number => tuning?.submitWork ?? this.#throughput.workPerSubmit();
    this.#commands = new Commands(this.#memory, this.#counters, workPerSubmit, this.#timer);
    this.#readBack = new ReadBackRing(this.#memory);
    this.#gemm = new GemmChoice({
      device,
      pipelines,
      isAllowed: tuning?.gemm === undefined ? !this.info.software : tuning.gemm === 1,
      autotunes: tuning?.autotune !== 0,
      firstShape: tuning?.gemmShape ?? 0,
      fewestQueries: tuning?.gemmFrom,
      matrix: tuning?.matrix,
      onFailure: options.onVariantFailed,
      onMissing: (cause) => options.onCodeMissing("large batches", cause),
    });
    this.#tiles = new TileSearch({
      memory: this.#memory,
      pipelines,
      commands: this.#commands,
      readBack: this.#readBack,
      limits: this.#limits,
      mostRegisterQueries: this.info.software ? 8 : 16,
      workPerSubmit,
    });
    this.#copies = new Copies({
      memory: this.#memory,
      pipelines,
      commands: this.#commands,
      limits: this.#limits,
      slices: options.slices,
      uploadBytesInFlight: tuning?.uploadBytesInFlight ?? LIMITS.uploadBytesInFlight,
      onUpload: (bytes) => {
        this.#uploadedBytes += bytes;
      },
      scan: options.scan,
      isSoftware: this.info.software,
      tuning,
      onLearningFailed: options.onLearningFailed,
      learn: options.learn,
    });
    this.#turns = new Turns(device, this.#memory.errors, this.#clock, () => {
      this.#commands.discard();
      // A buffer that there was no memory for looks like any other and stays invalid.
      this.#tiles.dispose();
      this.#readBack.dispose();
      this.#copies.forget();
    });
  }

  get stats(): GpuStats {
    return {
      submits: this.#counters.submits,
      dispatches: this.#counters.dispatches,
      kernels: { ...this.#counters.kernels },
      uploadedBytes: this.#uploadedBytes,
      readBackBytes: this.#readBack.bytesRead,
      buffersCreated: this.#memory.buffersCreated,
      bindGroupsCreated: this.#counters.bindGroupsCreated,
      bytesAllocated: this.#memory.bytesAllocated,
      residentBytes: this.#copies.sum((residency) => residency.residentBytes),
      peakResidentBytes: this.#copies.sum((residency) => residency.peakBytes),
      streamedRows: this.#tiles.streamedRows,
      candidates: this.#candidates,
      shards: this.#copies.sum((residency) => residency.shardCount),
      ...(this.#timer === undefined ? {} : { kernelMs: this.#timer.milliseconds }),
    };
  }

  async sync(source: RowSource): Promise<void> {
    try {
      await this.#turns.run(
        () => this.#copies.synchronised(source, source.rowCount),
        async () => {},
      );
    } catch (cause) {
      if (cause instanceof OvertakenError) return; // it was only to save time later
      throw cause;
    }
    if (!this.#isClosed) this.#copies.learnAhead(source);
  }

  async propose(source: RowSource, batch: Batch): Promise<Proposal> {
    const candidates: (Uint32Array | null)[] = Array.from({ length: batch.count }, () => null);
    const rescans = new Uint8Array(batch.count);
    const certified = new Uint8Array(batch.count);
    let directions = 0;
    let again: readonly Again[] | undefined;
    do {
      const pass = again;
      again = await this.#persistently(source, () =>
        this.#turns.run(
          () => this.#begin(source, batch, pass),
          async (under) => {
            directions = Math.max(directions, under.directions);
            return this.#finish(under, pass !== undefined, candidates, rescans, certified);
          },
        ),
      );
    } while (again.length > 0);
    if (!this.#isClosed) this.#copies.learnAhead(source);
    return { candidates, rescans, certified, directions };
  }

  release(source: RowSource): void {
    void this.#turns.alone(() => this.#copies.release(source));
  }

  /** Runs `task` at `close`: the device's loss is nobody's business afterwards. */
  onClose(task: () => void): void {
    this.#closing.push(task);
  }

  close(): void {
    this.#isClosed = true;
    for (const task of this.#closing.splice(0)) task();
    this.#turns.close();
    this.#copies.forget();
    this.#memory.destroyAll();
    this.#gemm.close();
    this.#open.close();
  }

  /** Records and submits what is asked of the batch: all of it, or, `again`, some of its queries with more room. */
  async #begin(source: RowSource, batch: Batch, again: readonly Again[] | undefined): Promise<BatchUnderWay> {
    const rowCount = batch.eligibilities.reduce((most, e) => Math.max(most, e.rowCount), 0);
    const { residency, choice } = await this.#copies.synchronised(source, Math.max(rowCount, source.rowCount));
    const shards = residency.shards(rowCount);
    const certificate = again === undefined && residency.isWhole ? residency.certificate : undefined;
    const before = this.#commands.workSubmitted;
    const tiles: TileUnderWay[] = [];
    const groups = again ?? [{ queries: this.#taken(residency, batch), room: undefined }];
    const queryCount = groups.reduce((most, { queries }) => Math.max(most, queries.length), 0);
    const { metric, precision } = source;
    const scanned = { metric, precision, isCoded: certificate !== undefined, rounding: certificate?.rounding };
    const gemm = await this.#gemm.choose(scanned, queryCount);
    // Each group of a second try has its own read-back buffer, a large one: some at a time.
    for (const { queries, room } of groups.slice(0, LIMITS.rescanTiles)) {
      for (let at = 0; at < queries.length; ) {
        const asked = { source, residency, shards, batch, certificate, choice, gemm };
        const tile = await this.#beginTile(asked, queries.slice(at), room, again !== undefined);
        tiles.push(tile);
        at += tile.queries.length;
      }
    }
    const directions = certificate?.directions ?? 0;
    const work = this.#commands.workSubmitted - before;
    const rest = again?.slice(LIMITS.rescanTiles) ?? [];
    return { tiles, directions, work, submittedAt: this.#clock.now(), choice, isWhole: residency.isWhole, rest };
  }

  /** Begins a tile with as many of the queries as fit. */
  async #beginTile(
    asked: {
      readonly source: RowSource;
      readonly residency: Residency;
      readonly shards: readonly Shard[];
      readonly batch: Batch;
      readonly certificate: Certificate | undefined;
      readonly choice: ScanChoice;
      readonly gemm: Gemm | undefined;
    },
    queries: readonly TakenQuery[],
    room: number | undefined,
    mustScore: boolean,
  ): Promise<TileUnderWay> {
    const { batch, shards, certificate, choice } = asked;
    const wanted = queries.reduce((most, { number }) => Math.max(most, batch.wanted[number] ?? 0), 1);
    const question: TileQuestion = {
      queries: queries.length,
      wanted,
      shards,
      bitmapWords: bitmapWords(batch),
      codedCandidates: certificate === undefined ? undefined : choice.codedCandidates,
      mustScore,
    };
    const plan = planTile(question, { ...this.#limits, scoreBytes: this.#scoreBytes });
    const taken = queries.slice(0, plan.queries);
    const marginRows = this.#options.tuning?.marginRows ?? LIMITS.marginRows;
    const most = Math.floor(this.#limits.maxBindingBytes / 4 / taken.length) - 2;
    const fitting = Math.min(
      room ?? readBackRoom(wanted, Math.max(marginRows, Math.ceil(wanted / 4))),
      most,
      plan.capacity,
    );
    const gemm = this.#gemm.forQueries(asked.gemm, taken.length);
    const { survivors } = await this.#tiles.begin({ ...asked, queries: taken, plan, room: fitting, gemm });
    survivors.catch(() => {}); // awaited in #finish; a failure before that must not go unhandled
    return {
      queries: taken,
      survivors,
      room: fitting,
      capacity: plan.capacity,
      isCertified: certificate !== undefined,
    };
  }

  /** Queries that the device can take; the others stay null: they want more rows than one binding lists, or float32 cannot hold them. */
  #taken(residency: Residency, batch: Batch): TakenQuery[] {
    const rows = residency.scanned;
    const taken: TakenQuery[] = [];
    for (let number = 0; number < batch.count; number++) {
      if ((batch.wanted[number] ?? 0) * 8 > this.#limits.maxBindingBytes) continue;
      const scan = scanQuery(rows, batch.norms[number] ?? 0, batch.maxDistances[number] ?? Infinity);
      if (scan !== undefined) taken.push({ number, scan });
    }
    return taken;
  }

  /** Takes in what came back; resolves with what has to be scanned again. */
  async #finish(
    under: BatchUnderWay,
    isAgain: boolean,
    candidates: (Uint32Array | null)[],
    rescans: Uint8Array,
    certified: Uint8Array,
  ): Promise<Again[]> {
    const again: { query: TakenQuery; room: number }[] = [];
    const isAlone = ++this.#underWay === 1;
    let certifiedQueries = 0;
    let certifiedRescans = 0;
    let mostCandidates = 0;
    try {
      for (const { queries, survivors, room, capacity, isCertified } of under.tiles) {
        const { counts, candidates: found, rows } = await survivors;
        if (isCertified) certifiedQueries += queries.length;
        for (const [i, query] of queries.entries()) {
          const count = counts[i] ?? 0;
          const all = found[i] ?? 0;
          this.#candidates += all;
          if (isCertified) mostCandidates = Math.max(mostCandidates, all);
          if (all <= capacity && count <= room) {
            candidates[query.number] = rows.slice(i * room, i * room + count);
            certified[query.number] = isCertified ? 1 : 0;
            continue;
          }
          rescans[query.number] = 1;
          if (isCertified && all > capacity) certifiedRescans++;
          // What overflowed the list is unknown in number; what only overflowed the way back is known.
          const needed = all > capacity ? this.#limits.rescanRows : count;
          // A second try has all the room there is: what overflows that is for the float64 scan.
          if (!isAgain && needed <= this.#limits.rescanRows) again.push({ query, room: needed });
        }
      }
    } finally {
      this.#underWay--;
    }
    // With several batches under way the time of one is not its own; streaming is done before it is submitted.
    if (isAlone && under.isWhole) this.#throughput.measured(under.work, this.#clock.now() - under.submittedAt);
    if (certifiedQueries > 0) under.choice.tell(certifiedQueries, certifiedRescans, mostCandidates);
    return [...grouped(again), ...under.rest];
  }

  /**
   * Runs the search; where the device has no memory for it, again with smaller tiles, then with rows
   * that take no more room than they must, then with rows streamed; and where an earlier search failed
   * under it, again as it is.
   */
  async #persistently<T>(source: RowSource, search: () => Promise<T>): Promise<T> {
    for (let shortages = 0, overtaken = 0; ; ) {
      try {
        return await search();
      } catch (cause) {
        if (cause instanceof OvertakenError && overtaken++ < LIMITS.memoryAttempts * LIMITS.batchesInFlight) continue;
        if (!(cause instanceof GpuOutOfMemory)) throw cause;
        const attempt = shortages++;
        if (attempt === LIMITS.memoryAttempts) throw outOfDeviceMemory(cause, this.#memory.bytesAllocated);
        await this.#turns.alone(() => this.#shrink(attempt, source));
      }
    }
  }

  /**
   * Takes less, in a turn of its own: see `#persistently`. The failure has let go of the tile's
   * buffers already. Never more than before, whatever the least is.
   */
  #shrink(attempt: number, source: RowSource): void {
    const { tuning } = this.#options;
    const halved = (bytes: number, least: number): number => Math.min(bytes, Math.max(least, bytes / 2));
    this.#scoreBytes = halved(this.#scoreBytes, tuning?.leastScoreBytes ?? LIMITS.leastScoreBytes);
    if (attempt === 0) return;
    // As much as the rows take without codes and without room to grow; then ever less.
    const facts = source.precision === "i8" ? 2 : 1;
    const needed = Math.ceil(source.rowCount / 32) * 32 * (source.rowBytes + facts * 4);
    const present = Math.min(this.#memoryBudgetBytes, needed);
    this.#memoryBudgetBytes =
      attempt === 1 ? present : halved(present, tuning?.leastBudgetBytes ?? LIMITS.leastBudgetBytes);
    this.#copies.forget(); // another batch may have made some meanwhile
  }
}

/** Room for a few thousand survivors is cheap for many queries together; more is for each alone. */
const SHARED_ROOM = 4096;

function grouped(again: readonly { readonly query: TakenQuery; readonly room: number }[]): Again[] {
  const few = again.filter(({ room }) => room <= SHARED_ROOM);
  const many = again.filter(({ room }) => room > SHARED_ROOM);
  const together = {
    queries: few.map(({ query }) => query),
    room: few.reduce((most, { room }) => Math.max(most, room), 1),
  };
  return [...(few.length > 0 ? [together] : []), ...many.map(({ query, room }) => ({ queries: [query], room }))];
}

function outOfDeviceMemory(cause: GpuOutOfMemory, bytes: number): NearfieldError {
  return new NearfieldError("OUT_OF_MEMORY", {
    got: `no device memory beyond the ${bytes} bytes in use (${cause.message})`,
    expected: "room for the scan copies and the scores",
    remedy: "set memoryBudgetBytes below the device's memory: rows beyond it are streamed",
    cause,
    details: { bytes },
  });
}
