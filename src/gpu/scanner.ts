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
import type { WorkSlices } from "../core/slices.ts";
import { Commands, type CommandCounters } from "./commands.ts";
import type { OpenDevice } from "./device.ts";
import { GpuOutOfMemory } from "./error-scopes.ts";
import { MAP_READ, USAGE } from "./flags.ts";
import { DeviceMemory, GrowingBuffer } from "./memory.ts";
import { type Kernel, type Pipelines, pipelinesOf } from "./pipelines.ts";
import {
  countGroups,
  grid,
  type PlanLimits,
  readBackCapacity,
  registerQueries,
  scanQuery,
  tileQueries,
} from "./plan.ts";
import { Residency, type Shard } from "./residency.ts";

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

/** The queries of a batch that the GPU takes, and where their parameters are. */
interface Tile {
  /** Numbers of the queries in the batch. */
  readonly queries: readonly number[];
  /** The largest rank wanted. */
  readonly k: number;
}

interface TileBuffers {
  readonly queries: GPUBuffer;
  readonly queryParams: GPUBuffer;
  readonly eligible: GPUBuffer;
  /** Words of one bitmap in `eligible`. */
  readonly words: number;
  readonly selections: GPUBuffer;
  readonly counts: GPUBuffer;
  readonly survivors: GPUBuffer;
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
  readonly #buffers: Record<
    "queries" | "queryParams" | "eligible" | "selections" | "histograms" | "counts" | "survivors",
    GrowingBuffer
  >;
  #turn: Promise<unknown> = Promise.resolve();
  #uploadedBytes = 0;
  #readBackBytes = 0;
  #streamedRows = 0;
  #isLost = false;

  constructor(options: GpuOptions) {
    this.#options = options;
    this.#open = options.open;
    this.info = options.open.info;
    const { device } = options.open;
    this.#limits = planLimits(device, options);
    this.#memory = new DeviceMemory(device);
    this.#pipelines = pipelinesOf(device, WORKGROUP);
    this.#commands = new Commands(this.#memory, this.#counters);
    const buffer = (label: string): GrowingBuffer =>
      new GrowingBuffer(this.#memory, label, USAGE.storage | USAGE.copyDst | USAGE.copySrc);
    this.#buffers = {
      queries: buffer("queries"),
      queryParams: buffer("query params"),
      eligible: buffer("eligible"),
      selections: buffer("selections"),
      histograms: buffer("histograms"),
      counts: buffer("counts"),
      survivors: buffer("survivors"),
    };
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
      readBackBytes: this.#readBackBytes,
      buffersCreated: this.#memory.buffersCreated,
      bytesAllocated: this.#memory.bytesAllocated,
      residentBytes: residencies.reduce((sum, r) => sum + r.residentBytes, 0),
      streamedRows: this.#streamedRows,
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
    this.#memory.destroyAll();
    this.#residencies.clear();
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
      if (this.#isLost) throw new DeviceLostError("the GPU device is lost");
      try {
        const value = await work();
        await this.#memory.errors.settle();
        if (this.#isLost) throw new DeviceLostError("the GPU device was lost during the search");
        return value;
      } catch (cause) {
        this.#commands.discard();
        const reported = await this.#memory.errors.settle().catch((error: unknown) => error);
        if (await this.#wasLost()) throw new DeviceLostError("the GPU device was lost during the search", { cause });
        if (reported instanceof GpuOutOfMemory) throw outOfDeviceMemory(reported, this.#memory.bytesAllocated);
        throw reported ?? cause;
      }
    };
    const result = this.#turn.then(run, run);
    this.#turn = result.catch(() => {}); // whoever asked sees the failure; the next piece has its own turn
    return result;
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
    const taken: number[] = [];
    const params = new Map<number, NonNullable<ReturnType<typeof scanQuery>>>();
    for (let q = 0; q < batch.count; q++) {
      const query = scanQuery(
        source.metric,
        source.dimensions,
        batch.norms[q] ?? 0,
        residency.exponent,
        batch.maxDistances[q] ?? Infinity,
      );
      if (query === undefined) continue;
      params.set(q, query);
      taken.push(q);
    }
    const shards = residency.shards(rowCount);
    const marginRows = this.#options.tuning?.marginRows ?? LIMITS.marginRows;
    const tileSize = tileQueries(
      taken.length,
      shards,
      readBackCapacity(batch.k, marginRows),
      eligibleWords(batch),
      this.#limits,
    );
    const rescans = new Uint8Array(batch.count);
    for (let at = 0; at < taken.length; at += tileSize) {
      const queries = taken.slice(at, at + tileSize);
      const k = queries.reduce((most, q) => Math.max(most, batch.wanted[q] ?? 0), 0);
      const capacity = readBackCapacity(k, marginRows);
      const tile: Tile = { queries, k };
      const buffers = this.#prepare(source, batch, tile, params, capacity);
      await this.#encode(residency, source, shards, tile, buffers, capacity);
      const { counts, lists } = await this.#readBack(buffers, queries.length, capacity);
      for (const [i, q] of queries.entries()) {
        const count = counts[i] ?? 0;
        if (count <= capacity) {
          candidates[q] = lists.slice(i * capacity, i * capacity + count);
        } else {
          rescans[q] = 1;
          if (count <= (this.#options.tuning?.rescanRows ?? LIMITS.rescanRows)) {
            candidates[q] = await this.#collectAll(source, shards, buffers, i, count);
          }
        }
      }
    }
    return { candidates, rescans };
  }

  /** Writes a tile's queries, parameters, bitmaps and ranks. */
  #prepare(
    source: RowSource,
    batch: Batch,
    tile: Tile,
    params: ReadonlyMap<number, NonNullable<ReturnType<typeof scanQuery>>>,
    capacity: number,
  ): TileBuffers {
    const { stride } = source;
    const count = tile.queries.length;
    const vectors = new Float32Array(count * stride);
    const queryParams = new ArrayBuffer(count * 32);
    const floats = new Float32Array(queryParams);
    const integers = new Uint32Array(queryParams);
    const selections = new Uint32Array(count * 2);
    const bitmaps = new Map<number, number>();
    tile.queries.forEach((q, i) => {
      const query = params.get(q);
      if (query === undefined) throw new Error(`query ${q} was not prepared`);
      for (let d = 0; d < stride; d++) vectors[i * stride + d] = (batch.queries[q * stride + d] ?? 0) * query.factor;
      const eligibility = batch.eligibilityOf[q] ?? 0;
      let bitmap = bitmaps.get(eligibility);
      if (bitmap === undefined) bitmaps.set(eligibility, (bitmap = bitmaps.size));
      floats.set(query.params, i * 8);
      integers.set([batch.wanted[q] ?? 0, bitmap], i * 8 + 6);
      selections[i * 2 + 1] = batch.wanted[q] ?? 0;
    });
    const words = eligibleWords(batch);
    const eligible = new Uint32Array(bitmaps.size * words);
    for (const [index, bitmap] of bitmaps) eligible.set(batch.eligibilities[index]?.bits ?? [], bitmap * words);

    const write = (buffer: GrowingBuffer, data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): GPUBuffer => {
      const target = buffer.atLeast(data.byteLength);
      this.#memory.write(target, 0, data);
      return target;
    };
    const own = this.#buffers;
    return {
      queries: write(own.queries, vectors),
      queryParams: write(own.queryParams, integers),
      eligible: write(own.eligible, eligible),
      words,
      selections: write(own.selections, selections),
      counts: own.counts.atLeast(count * 4),
      survivors: own.survivors.atLeast(count * capacity * 4),
    };
  }

  async #encode(
    residency: Residency,
    source: RowSource,
    shards: readonly Shard[],
    tile: Tile,
    buffers: TileBuffers,
    capacity: number,
  ): Promise<void> {
    const count = tile.queries.length;
    const qb = registerQueries(count, this.info.software ? 8 : 16);
    const scan = await this.#pipelines.get("scan_f32", { metric: source.metric, qb });
    const counting = await this.#pipelines.get("select_count");
    const choosing = await this.#pipelines.get("select_digit");
    const collecting = await this.#pipelines.get("collect", { metric: source.metric });
    for (const shard of shards) {
      if (!shard.isResident) {
        await residency.stream(shard);
        this.#streamedRows += shard.count;
      }
      this.#encodeScan(scan, qb, source, shard, count, buffers);
    }
    const { maxWorkgroupsPerDimension, workgroup } = this.#limits;
    const histograms = this.#buffers.histograms.atLeast(count * 1024);
    this.#commands.clear(histograms, count * 1024);
    this.#commands.clear(buffers.counts, count * 4);
    for (const shift of [24, 16, 8, 0]) {
      for (const shard of shards) {
        this.#commands.dispatch({
          kernel: counting,
          params: [shard.count, shard.count, shift],
          buffers: [shard.keys.atLeast(0), buffers.selections, histograms],
          grid: { x: countGroups(shard.count, maxWorkgroupsPerDimension), y: count },
        });
      }
      const { x } = grid(count, workgroup, maxWorkgroupsPerDimension);
      this.#commands.dispatch({
        kernel: choosing,
        params: [count],
        buffers: [buffers.selections, histograms],
        grid: { x, y: 1 },
      });
    }
    for (const shard of shards) this.#encodeCollect(collecting, shard, buffers, 0, count, capacity);
  }

  #encodeScan(kernel: Kernel, qb: number, source: RowSource, shard: Shard, count: number, buffers: TileBuffers): void {
    const { maxWorkgroupsPerDimension, workgroup } = this.#limits;
    const shape = grid(shard.count, workgroup, maxWorkgroupsPerDimension);
    const keys = shard.keys.atLeast(count * shard.count * 4);
    const chunks = source.stride / 4;
    const workPerGroup = shard.count * source.stride * qb;
    const groupsAtOnce = Math.max(1, Math.floor(LIMITS.submitWork / workPerGroup));
    const groups = Math.ceil(count / qb);
    for (let group = 0; group < groups; group += groupsAtOnce) {
      const z = Math.min(groupsAtOnce, groups - group);
      this.#commands.dispatch({
        kernel,
        params: [shard.count, chunks, shard.first / 32, buffers.words, count, shape.width, shard.count, group * qb],
        buffers: [shard.rows, shard.terms, buffers.queries, buffers.queryParams, buffers.eligible, keys],
        grid: shape,
        z,
        work: workPerGroup * z,
      });
    }
  }

  #encodeCollect(
    kernel: Kernel,
    shard: Shard,
    buffers: TileBuffers,
    firstQuery: number,
    count: number,
    capacity: number,
  ): void {
    const { maxWorkgroupsPerDimension, workgroup } = this.#limits;
    const shape = grid(shard.count, workgroup, maxWorkgroupsPerDimension);
    this.#commands.dispatch({
      kernel,
      params: [shard.count, shard.count, shape.width, shard.first, capacity, firstQuery],
      buffers: [
        shard.keys.atLeast(0),
        shard.terms,
        buffers.selections,
        buffers.queryParams,
        buffers.counts,
        buffers.survivors,
      ],
      grid: shape,
      z: count,
    });
  }

  /** Collects one query of the tile again, with room for all `count` survivors. */
  async #collectAll(
    source: RowSource,
    shards: readonly Shard[],
    buffers: TileBuffers,
    query: number,
    count: number,
  ): Promise<Uint32Array> {
    const kernel = await this.#pipelines.get("collect", { metric: source.metric });
    const survivors = this.#buffers.survivors.atLeast(count * 4);
    const again = { ...buffers, survivors };
    this.#commands.clear(buffers.counts, 4);
    for (const shard of shards) this.#encodeCollect(kernel, shard, again, query, 1, count);
    const { lists } = await this.#readBack(again, 1, count);
    return lists;
  }

  async #readBack(
    buffers: TileBuffers,
    queries: number,
    capacity: number,
  ): Promise<{ counts: Uint32Array; lists: Uint32Array }> {
    const countBytes = queries * 4;
    const bytes = countBytes + queries * capacity * 4;
    const target = this.#memory.create("read-back", bytes, USAGE.mapRead | USAGE.copyDst);
    try {
      this.#commands.copy(buffers.counts, 0, target, 0, countBytes);
      this.#commands.copy(buffers.survivors, 0, target, countBytes, bytes - countBytes);
      this.#commands.submit();
      await target.mapAsync(MAP_READ);
      const words = new Uint32Array(target.getMappedRange().slice(0));
      target.unmap();
      this.#readBackBytes += bytes;
      return { counts: words.slice(0, queries), lists: words.subarray(queries, queries + queries * capacity) };
    } finally {
      this.#memory.destroy(target);
    }
  }
}

/** Words of one bitmap when all bitmaps of a batch are laid out alike. */
function eligibleWords(batch: Batch): number {
  return batch.eligibilities.reduce((most, e) => Math.max(most, e.bits.length), 1);
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
