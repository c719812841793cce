/**
 * The GPU backend: proposes, for each query of a batch, every row that could belong to its answer.
 *
 * Per tile of queries, in as few submits as the work allows: scan every shard into keys (upper
 * ends of the interval that holds each distance), radix-select the k-th smallest of them, collect
 * the rows whose lower end does not exceed it, read those back. A query with more survivors than
 * the read-back budget is collected again with room for all of them; one with too many to gather
 * is handed back (null) for the float64 scan. Which distance is the smallest the GPU never
 * decides: that is settled canonically, elsewhere.
 */
import {
  type BackendInfo,
  type Batch,
  DeviceLostError,
  type GpuStats,
  type Proposal,
  type Proposer,
  type RowSource,
} from "../core/backend.ts";
import { systemClock } from "../core/clock.ts";
import { NearfieldError } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";
import { floatMetric } from "../core/metric.ts";
import type { WorkSlices } from "../core/slices.ts";
import { Commands, type CommandCounters } from "./commands.ts";
import type { OpenDevice } from "./device.ts";
import { GpuOutOfMemory } from "./error-scopes.ts";
import { DeviceMemory } from "./memory.ts";
import { type Pipelines, pipelinesOf } from "./pipelines.ts";
import { type PlanLimits, readBackCapacity, type ScanQuery, scanQuery, tileQueries } from "./plan.ts";
import { Residency } from "./residency.ts";
import { bitmapWords, TileSearch } from "./tile.ts";

const WORKGROUP = 64;
/** How long after a failure the device's loss may still be announced. */
const LOSS_GRACE_MS = 50;

/** Limits that tests make small to reach sharding, streaming, tiling and rescans with few rows. */
export interface GpuTuning {
  readonly maxBindingBytes?: number;
  readonly maxWorkgroupsPerDimension?: number;
  readonly scoreBytes?: number;
  readonly rescanRows?: number;
  readonly marginRows?: number;
}

export interface GpuOptions {
  readonly open: OpenDevice;
  readonly memoryBudgetBytes: number | undefined;
  readonly slices: WorkSlices;
  readonly tuning?: GpuTuning;
}

export class GpuScanner implements Proposer {
  readonly info: BackendInfo;
  readonly #open: OpenDevice;
  readonly #options: GpuOptions;
  readonly #limits: PlanLimits;
  readonly #memory: DeviceMemory;
  readonly #pipelines: Pipelines;
  readonly #commands: Commands;
  readonly #counters: CommandCounters = { submits: 0, dispatches: 0, kernels: {} };
  readonly #residencies = new Map<RowSource, Residency>();
  readonly #tiles: TileSearch;
  #turn: Promise<unknown> = Promise.resolve();
  #uploadedBytes = 0;
  #isLost = false;
  #isClosed = false;

  constructor(options: GpuOptions) {
    this.#options = options;
    this.#open = options.open;
    this.info = options.open.info;
    const { device } = options.open;
    this.#limits = planLimits(device, options);
    this.#memory = new DeviceMemory(device);
    this.#pipelines = pipelinesOf(device, WORKGROUP);
    this.#commands = new Commands(this.#memory, this.#counters);
    this.#tiles = new TileSearch({
      memory: this.#memory,
      pipelines: this.#pipelines,
      commands: this.#commands,
      limits: this.#limits,
      mostRegisterQueries: this.info.software ? 8 : 16,
    });
    device.lost.then(
      () => {
        this.#isLost = true;
      },
      () => {}, // `lost` never rejects
    );
  }

  get stats(): GpuStats {
    const residencies = [...this.#residencies.values()];
    return {
      submits: this.#counters.submits,
      dispatches: this.#counters.dispatches,
      kernels: { ...this.#counters.kernels },
      uploadedBytes: this.#uploadedBytes,
      readBackBytes: this.#tiles.readBackBytes,
      buffersCreated: this.#memory.buffersCreated,
      bytesAllocated: this.#memory.bytesAllocated,
      residentBytes: residencies.reduce((sum, r) => sum + r.residentBytes, 0),
      streamedRows: this.#tiles.streamedRows,
      shards: residencies.reduce((sum, r) => sum + r.shardCount, 0),
    };
  }

  sync(source: RowSource): Promise<void> {
    return this.#inTurn(async () => {
      await this.#residency(source).sync(source.rowCount);
    });
  }

  propose(source: RowSource, batch: Batch): Promise<Proposal> {
    return this.#inTurn(async () => {
      const rowCount = batch.eligibilities.reduce((most, e) => Math.max(most, e.rowCount), 0);
      const residency = this.#residency(source);
      await residency.sync(Math.max(rowCount, source.rowCount));
      return this.#search(residency, source, batch, rowCount);
    });
  }

  release(source: RowSource): void {
    const drop = (): void => {
      this.#residencies.get(source)?.dispose();
      this.#residencies.delete(source);
    };
    this.#turn = this.#turn.then(drop, drop);
  }

  close(): void {
    this.#isClosed = true;
    this.#forgetCopies();
    this.#memory.destroyAll();
    this.#open.close();
  }

  #residency(source: RowSource): Residency {
    let residency = this.#residencies.get(source);
    if (residency === undefined) {
      residency = new Residency(source, {
        memory: this.#memory,
        pipelines: this.#pipelines,
        commands: this.#commands,
        limits: this.#limits,
        slices: this.#options.slices,
        onUpload: (bytes) => {
          this.#uploadedBytes += bytes;
        },
      });
      this.#residencies.set(source, residency);
    }
    return residency;
  }

  /** One piece of work at a time; WebGPU's own errors count as its failure, and a lost device is told from a failed one. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = async (): Promise<T> => {
      if (this.#isLost || this.#isClosed) throw new DeviceLostError("the GPU device is lost or was let go of");
      try {
        const value = await work();
        await this.#memory.errors.settle();
        if (this.#isLost) throw new DeviceLostError("the GPU device was lost during the search");
        return value;
      } catch (cause) {
        this.#commands.discard();
        const reported = await this.#memory.errors.settle().catch((error: unknown) => error);
        if (this.#isClosed || (await this.#wasLost()))
          throw new DeviceLostError("the GPU device was lost during the search", { cause });
        this.#forgetCopies();
        const failure = reported ?? cause;
        if (failure instanceof GpuOutOfMemory) throw outOfDeviceMemory(failure, this.#memory.bytesAllocated);
        throw failure;
      }
    };
    const result = this.#turn.then(run, run);
    this.#turn = result.catch(() => {}); // whoever asked sees the failure; the next piece has its own turn
    return result;
  }

  /** After a failure nobody knows which uploads arrived: the next search sends them again. */
  #forgetCopies(): void {
    for (const residency of this.#residencies.values()) residency.dispose();
    this.#residencies.clear();
  }

  /** Whether the failure just seen was the device's loss, which may be announced a little after its effects. */
  async #wasLost(): Promise<boolean> {
    if (this.#isLost) return true;
    await Promise.race([
      this.#memory.device.lost,
      new Promise<void>((resolve) => systemClock.after(LOSS_GRACE_MS, resolve)),
    ]);
    return this.#isLost;
  }

  async #search(residency: Residency, source: RowSource, batch: Batch, rowCount: number): Promise<Proposal> {
    const candidates: (Uint32Array | null)[] = Array.from({ length: batch.count }, () => null);
    const rescans = new Uint8Array(batch.count);
    const taken: { number: number; scan: ScanQuery }[] = [];
    const marginRows = this.#options.tuning?.marginRows ?? LIMITS.marginRows;
    const rescanRows = this.#options.tuning?.rescanRows ?? LIMITS.rescanRows;
    for (let number = 0; number < batch.count; number++) {
      const norm = batch.norms[number] ?? 0;
      const maxDistance = batch.maxDistances[number] ?? Infinity;
      // A query that asks for more rows than one binding lists, or that float32 cannot hold, stays null.
      if (readBackCapacity(batch.wanted[number] ?? 0, marginRows) * 4 > this.#limits.maxBindingBytes) continue;
      const scan = scanQuery(floatMetric(source.metric), source.dimensions, norm, residency.exponent, maxDistance);
      if (scan !== undefined) taken.push({ number, scan });
    }
    const shards = residency.shards(rowCount);
    const most = taken.reduce(
      (a, { number }) => Math.max(a, readBackCapacity(batch.wanted[number] ?? 0, marginRows)),
      1,
    );
    const tileSize = tileQueries(taken.length, shards, most, bitmapWords(batch), this.#limits);
    for (let at = 0; at < taken.length; at += tileSize) {
      const queries = taken.slice(at, at + tileSize);
      const k = queries.reduce((a, { number }) => Math.max(a, batch.wanted[number] ?? 0), 0);
      const capacity = readBackCapacity(k, marginRows);
      const request = { source, residency, shards, batch, queries, capacity };
      const { counts, lists } = await this.#tiles.run(request);
      for (const [i, { number }] of queries.entries()) {
        const count = counts[i] ?? 0;
        if (count <= capacity) {
          candidates[number] = lists.slice(i * capacity, i * capacity + count);
          continue;
        }
        rescans[number] = 1;
        if (count <= rescanRows) candidates[number] = await this.#tiles.collectAll(request, i, count);
      }
    }
    return { candidates, rescans };
  }
}

function planLimits(device: GPUDevice, { memoryBudgetBytes, tuning }: GpuOptions): PlanLimits {
  // NVIDIA's Vulkan driver refuses bindings of 2 GiB and more whatever it reports (crbug 435684920).
  const largest = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize, 2 ** 31 - 4);
  return {
    maxBindingBytes: tuning?.maxBindingBytes ?? largest,
    maxWorkgroupsPerDimension: tuning?.maxWorkgroupsPerDimension ?? device.limits.maxComputeWorkgroupsPerDimension,
    workgroup: WORKGROUP,
    memoryBudgetBytes: memoryBudgetBytes ?? Infinity,
    scoreBytes: tuning?.scoreBytes ?? LIMITS.scoreBytes,
    batchQueries: LIMITS.batchQueries,
  };
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
