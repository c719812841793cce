/**
 * One tile of queries on the device: its buffers, its dispatches, its read-back. Knows kernels and
 * bindings (shaders/README.md); which queries make a tile and what becomes of its survivors is
 * scanner.ts's business. Buffers are kept from tile to tile and grow; `DeviceMemory` frees them.
 */
import type { Batch, RowSource } from "../core/backend.ts";
import { LIMITS } from "../core/limits.ts";
import { floatMetric } from "../core/metric.ts";
import type { Commands } from "./commands.ts";
import { MAP_READ, USAGE } from "./flags.ts";
import { type DeviceMemory, GrowingBuffer } from "./memory.ts";
import type { Kernel, Pipelines } from "./pipelines.ts";
import { countGroups, grid, type PlanLimits, registerQueries, type ScanQuery } from "./plan.ts";
import type { Residency, Shard } from "./residency.ts";

export interface TileDeps {
  readonly memory: DeviceMemory;
  readonly pipelines: Pipelines;
  readonly commands: Commands;
  readonly limits: PlanLimits;
  /** Most queries that share one pass over a row's registers. */
  readonly mostRegisterQueries: number;
}

/** What the scan is asked: queries of a batch by number, each with its parameters. */
export interface TileRequest {
  readonly source: RowSource;
  readonly residency: Residency;
  readonly shards: readonly Shard[];
  readonly batch: Batch;
  readonly queries: readonly { readonly number: number; readonly scan: ScanQuery }[];
  /** Survivors of a query that are read back. */
  readonly capacity: number;
}

/** Survivors by query of the tile: `counts[i]` in all, the first `capacity` of them listed. */
export interface Survivors {
  readonly counts: Uint32Array;
  readonly lists: Uint32Array;
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

type BufferName = "queries" | "queryParams" | "eligible" | "selections" | "histograms" | "counts" | "survivors";

const BUFFER_NAMES: readonly BufferName[] = [
  "queries",
  "queryParams",
  "eligible",
  "selections",
  "histograms",
  "counts",
  "survivors",
];

export class TileSearch {
  readonly #deps: TileDeps;
  readonly #buffers: Readonly<Record<BufferName, GrowingBuffer>>;
  #current: TileBuffers | undefined;
  #readBackBytes = 0;
  #streamedRows = 0;

  constructor(deps: TileDeps) {
    this.#deps = deps;
    const usage = USAGE.storage | USAGE.copyDst | USAGE.copySrc;
    const entries = BUFFER_NAMES.map((name) => [name, new GrowingBuffer(deps.memory, name, usage)] as const);
    // Object.fromEntries forgets the names.
    this.#buffers = Object.fromEntries(entries) as Record<BufferName, GrowingBuffer>;
  }

  get readBackBytes(): number {
    return this.#readBackBytes;
  }

  /** Rows that were sent for a scan because they are not kept on the device. */
  get streamedRows(): number {
    return this.#streamedRows;
  }

  /** Scans, selects and collects the tile's queries, and reads their survivors back. */
  async run(request: TileRequest): Promise<Survivors> {
    this.#current = this.#prepare(request);
    await this.#encode(request, this.#current);
    return this.#readBack(this.#current, request.queries.length, request.capacity);
  }

  /** Collects query `index` of the tile that ran last once more, with room for all its `count` survivors. */
  async collectAll({ source, shards }: TileRequest, index: number, count: number): Promise<Uint32Array> {
    if (this.#current === undefined) throw new Error("no tile has run");
    const kernel = await this.#deps.pipelines.get("collect", { metric: floatMetric(source.metric) });
    const again = { ...this.#current, survivors: this.#buffers.survivors.atLeast(count * 4) };
    this.#deps.commands.clear(again.counts, 4);
    for (const shard of shards) this.#encodeCollect(kernel, shard, again, index, 1, count);
    return (await this.#readBack(again, 1, count)).lists;
  }

  /** Writes the tile's queries, parameters, bitmaps and ranks. */
  #prepare({ source, batch, queries, capacity }: TileRequest): TileBuffers {
    const { stride } = source;
    const count = queries.length;
    const vectors = new Float32Array(count * stride);
    const queryParams = new ArrayBuffer(count * 32);
    const floats = new Float32Array(queryParams);
    const integers = new Uint32Array(queryParams);
    const selections = new Uint32Array(count * 2);
    const bitmaps = new Map<number, number>();
    queries.forEach(({ number, scan }, i) => {
      for (let d = 0; d < stride; d++)
        vectors[i * stride + d] = (batch.queries[number * stride + d] ?? 0) * scan.factor;
      const eligibility = batch.eligibilityOf[number] ?? 0;
      let bitmap = bitmaps.get(eligibility);
      if (bitmap === undefined) bitmaps.set(eligibility, (bitmap = bitmaps.size));
      floats.set(scan.params, i * 8);
      integers.set([batch.wanted[number] ?? 0, bitmap], i * 8 + 6);
      selections[i * 2 + 1] = batch.wanted[number] ?? 0;
    });
    const words = bitmapWords(batch);
    const eligible = new Uint32Array(bitmaps.size * words);
    for (const [index, bitmap] of bitmaps) eligible.set(batch.eligibilities[index]?.bits ?? [], bitmap * words);
    const own = this.#buffers;
    return {
      queries: this.#write(own.queries, vectors),
      queryParams: this.#write(own.queryParams, integers),
      eligible: this.#write(own.eligible, eligible),
      words,
      selections: this.#write(own.selections, selections),
      counts: own.counts.atLeast(count * 4),
      survivors: own.survivors.atLeast(count * capacity * 4),
    };
  }

  #write(buffer: GrowingBuffer, data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): GPUBuffer {
    const target = buffer.atLeast(data.byteLength);
    this.#deps.memory.write(target, 0, data);
    return target;
  }

  async #encode({ source, residency, shards, queries, capacity }: TileRequest, buffers: TileBuffers): Promise<void> {
    const { pipelines, commands, limits, mostRegisterQueries } = this.#deps;
    const count = queries.length;
    const qb = registerQueries(count, mostRegisterQueries);
    const scan = await pipelines.get("scan_f32", { metric: floatMetric(source.metric), qb });
    const counting = await pipelines.get("select_count");
    const choosing = await pipelines.get("select_digit");
    const collecting = await pipelines.get("collect", { metric: floatMetric(source.metric) });
    for (const shard of shards) {
      if (!shard.isResident) {
        await residency.stream(shard);
        this.#streamedRows += shard.count;
      }
      this.#encodeScan(scan, qb, source, shard, count, buffers);
    }
    const { maxWorkgroupsPerDimension, workgroup } = limits;
    const histograms = this.#buffers.histograms.atLeast(count * 1024);
    commands.clear(histograms, count * 1024);
    commands.clear(buffers.counts, count * 4);
    for (const shift of [24, 16, 8, 0]) {
      for (const shard of shards) {
        commands.dispatch({
          kernel: counting,
          params: [shard.count, shard.count, shift],
          buffers: [shard.keys.atLeast(0), buffers.selections, histograms],
          grid: { x: countGroups(shard.count, maxWorkgroupsPerDimension), y: count },
        });
      }
      const { x } = grid(count, workgroup, maxWorkgroupsPerDimension);
      commands.dispatch({
        kernel: choosing,
        params: [count],
        buffers: [buffers.selections, histograms],
        grid: { x, y: 1 },
      });
    }
    for (const shard of shards) this.#encodeCollect(collecting, shard, buffers, 0, count, capacity);
  }

  #encodeScan(kernel: Kernel, qb: number, source: RowSource, shard: Shard, count: number, buffers: TileBuffers): void {
    const { maxWorkgroupsPerDimension, workgroup } = this.#deps.limits;
    const shape = grid(shard.count, workgroup, maxWorkgroupsPerDimension);
    const keys = shard.keys.atLeast(count * shard.count * 4);
    const chunks = source.stride / 4;
    const workPerGroup = shard.count * source.stride * qb;
    const groupsAtOnce = Math.max(1, Math.floor(LIMITS.submitWork / workPerGroup));
    const groups = Math.ceil(count / qb);
    for (let group = 0; group < groups; group += groupsAtOnce) {
      const z = Math.min(groupsAtOnce, groups - group);
      this.#deps.commands.dispatch({
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
    const { maxWorkgroupsPerDimension, workgroup } = this.#deps.limits;
    const shape = grid(shard.count, workgroup, maxWorkgroupsPerDimension);
    this.#deps.commands.dispatch({
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

  async #readBack(buffers: TileBuffers, queries: number, capacity: number): Promise<Survivors> {
    const countBytes = queries * 4;
    const bytes = countBytes + queries * capacity * 4;
    const target = this.#deps.memory.create("read-back", bytes, USAGE.mapRead | USAGE.copyDst);
    try {
      this.#deps.commands.copy(buffers.counts, 0, target, 0, countBytes);
      this.#deps.commands.copy(buffers.survivors, 0, target, countBytes, bytes - countBytes);
      this.#deps.commands.submit();
      await target.mapAsync(MAP_READ);
      const words = new Uint32Array(target.getMappedRange().slice(0));
      target.unmap();
      this.#readBackBytes += bytes;
      return { counts: words.slice(0, queries), lists: words.subarray(queries, queries + queries * capacity) };
    } finally {
      this.#deps.memory.destroy(target);
    }
  }
}

/** Words of one bitmap when all bitmaps of a batch are laid out alike. */
export function bitmapWords(batch: Batch): number {
  return batch.eligibilities.reduce((most, e) => Math.max(most, e.bits.length), 1);
}
