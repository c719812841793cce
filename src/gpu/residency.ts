/**
 * The GPU's copies of one row store: shards in the interleaved scan layout, brought up to date
 * block by block. Losing them loses nothing. Rows beyond the memory budget are not kept: each
 * scan streams them through one buffer, piece by piece; their row terms and scores stay.
 */
import type { RowSource } from "../core/backend.ts";
import { LIMITS } from "../core/limits.ts";
import { isComfortable } from "../core/margin.ts";
import { rowNorm } from "../core/matrix.ts";
import { floatMetric } from "../core/metric.ts";
import type { WorkSlices } from "../core/slices.ts";
import type { Commands } from "./commands.ts";
import { USAGE } from "./flags.ts";
import { type DeviceMemory, GrowingBuffer } from "./memory.ts";
import type { Pipelines } from "./pipelines.ts";
import {
  grid,
  indexExponent,
  type PlanLimits,
  planShards,
  rowExponent,
  type ShardPlan,
  shardRanges,
  type ShardRange,
} from "./plan.ts";

/** Rows `first … first + count − 1` as a scan sees them. */
export interface Shard extends ShardRange {
  /** [ceil(count / 32) × chunks × 32] vec4f; of a streamed shard the shared stream buffer. */
  readonly rows: GPUBuffer;
  readonly terms: GPUBuffer;
  /** Scores of this shard, kept between the scan and the selection. */
  readonly keys: GrowingBuffer;
}

interface ShardBuffers {
  rows: GPUBuffer | undefined;
  terms: GPUBuffer;
  capacity: number;
  readonly keys: GrowingBuffer;
}

export interface ResidencyDeps {
  readonly memory: DeviceMemory;
  readonly pipelines: Pipelines;
  readonly commands: Commands;
  readonly limits: PlanLimits;
  readonly slices: WorkSlices;
  /** Called with bytes as they are handed to the queue. */
  readonly onUpload: (bytes: number) => void;
}

const ROWS_USAGE = USAGE.storage | USAGE.copyDst | USAGE.copySrc;

export class Residency {
  readonly #source: RowSource;
  readonly #deps: ResidencyDeps;
  readonly #staging: GPUBuffer;
  readonly #scratch: Float32Array;
  readonly #stagingRows: number;
  readonly #shards: ShardBuffers[] = [];
  readonly #known = new Map<number, { version: number; rows: number }>();
  #plan: ShardPlan = { shardRows: 32, residentRows: 0, streamRows: 0 };
  #stream: GPUBuffer | undefined;
  #exponent = 0;
  #bytesInFlight = 0;
  #isDisposed = false;

  constructor(source: RowSource, deps: ResidencyDeps) {
    this.#source = source;
    this.#deps = deps;
    const rowBytes = source.stride * 4;
    const bytes = Math.min(LIMITS.stagingBytes, deps.limits.maxBindingBytes, deps.slices.budget * 4);
    this.#stagingRows = Math.max(1, Math.floor(bytes / rowBytes));
    this.#staging = deps.memory.create("staging", this.#stagingRows * rowBytes, USAGE.storage | USAGE.copyDst);
    this.#scratch = new Float32Array(this.#stagingRows * source.stride);
  }

  /** Rows and queries are scaled by 2 to this power for scanning. */
  get exponent(): number {
    return this.#exponent;
  }

  get residentBytes(): number {
    return this.#shards.reduce((sum, shard) => sum + (shard.rows?.size ?? 0), 0);
  }

  get shardCount(): number {
    return this.#shards.length;
  }

  /** Brings the resident copies of the first `rowCount` rows up to date. */
  async sync(rowCount: number): Promise<void> {
    const { limits } = this.#deps;
    const plan = planShards(rowCount, this.#source.stride * 4, limits);
    const exponent = indexExponent(floatMetric(this.#source.metric), this.#source.maxNorm);
    if (exponent !== this.#exponent) this.#known.clear();
    this.#exponent = exponent;
    const isCut = plan.residentRows < this.#plan.residentRows;
    const streamsAnew = plan.streamRows !== this.#plan.streamRows;
    if (isCut || streamsAnew) this.#dropShards();
    this.#plan = plan;
    shardRanges(rowCount, plan).forEach((range, index) => this.#fit(index, range));
    this.#deps.commands.submit();
    await this.#upload(Math.min(rowCount, plan.residentRows));
  }

  /** The shards that hold the first `rowCount` rows, after `sync`. */
  shards(rowCount: number): Shard[] {
    return shardRanges(rowCount, this.#plan).map((range, index) => {
      const buffers = this.#shards[index];
      const rows = buffers?.rows ?? this.#stream;
      if (buffers === undefined || rows === undefined) throw new Error(`shard ${index} was not synchronised`);
      return { ...range, rows, terms: buffers.terms, keys: buffers.keys };
    });
  }

  /** Sends the rows of a streamed shard to the stream buffer. */
  async stream(shard: Shard): Promise<void> {
    for (let row = shard.first; row < shard.first + shard.count; ) {
      row += await this.#uploadPiece(row, shard.first + shard.count - row, shard.first, shard.rows, shard.terms);
    }
  }

  /** Stops an upload that is under way, too. */
  dispose(): void {
    this.#isDisposed = true;
    this.#dropShards();
    this.#deps.memory.destroy(this.#staging);
  }

  #dropShards(): void {
    const { memory } = this.#deps;
    for (const shard of this.#shards.splice(0)) {
      memory.destroy(shard.rows);
      memory.destroy(shard.terms);
      shard.keys.destroy();
    }
    memory.destroy(this.#stream);
    this.#stream = undefined;
    this.#known.clear();
  }

  /** Makes the buffers of shard `index` large enough, keeping what they hold. */
  #fit(index: number, range: ShardRange): void {
    const { memory, commands } = this.#deps;
    const rowBytes = this.#source.stride * 4;
    if (!range.isResident) this.#stream ??= memory.create("stream", this.#plan.streamRows * rowBytes, ROWS_USAGE);
    const old = this.#shards[index];
    const needed = Math.ceil(range.count / 32) * 32;
    if (old !== undefined && old.capacity >= needed) return;
    // Powers of two while a shard grows: copies of the rows cost at most as much again in all.
    const most = range.isResident ? this.#plan.shardRows : this.#plan.streamRows;
    const room = range.isResident ? this.#room(old, rowBytes) : most;
    const capacity = Math.max(needed, Math.min(most, room, 2 ** Math.ceil(Math.log2(needed))));
    const rows = range.isResident ? memory.create(`rows ${index}`, capacity * rowBytes, ROWS_USAGE) : undefined;
    const terms = memory.create(`terms ${index}`, capacity * 4, ROWS_USAGE);
    if (old !== undefined) {
      if (old.rows !== undefined && rows !== undefined) commands.copy(old.rows, 0, rows, 0, old.capacity * rowBytes);
      commands.copy(old.terms, 0, terms, 0, old.capacity * 4);
      commands.submit();
      memory.destroy(old.rows);
      memory.destroy(old.terms);
    }
    const keys = old?.keys ?? new GrowingBuffer(memory, `keys ${index}`, USAGE.storage);
    this.#shards[index] = { rows, terms, capacity, keys };
  }

  /** Rows that a growing shard may take without breaking the memory budget. */
  #room(old: ShardBuffers | undefined, rowBytes: number): number {
    const others = this.residentBytes - (old?.rows?.size ?? 0);
    return Math.floor((this.#deps.limits.memoryBudgetBytes - others) / rowBytes / 32) * 32;
  }

  async #upload(rowCount: number): Promise<void> {
    const { blocks, blockRows } = this.#source;
    for (const [index, block] of blocks.entries()) {
      const end = Math.min(block.firstRow + blockRows, rowCount);
      if (end <= block.firstRow) break;
      const known = this.#known.get(index);
      const version = block.version;
      let row = known?.version === version ? block.firstRow + known.rows : block.firstRow;
      if (row >= end) continue;
      while (row < end) {
        const at = Math.floor(row / this.#plan.shardRows);
        const shard = this.#shards[at];
        if (shard?.rows === undefined) throw new Error(`row ${row} has no resident shard`);
        const shardFirst = at * this.#plan.shardRows;
        const count = Math.min(end - row, shardFirst + this.#plan.shardRows - row);
        row += await this.#uploadPiece(row, count, shardFirst, shard.rows, shard.terms);
      }
      this.#known.set(index, { version, rows: end - block.firstRow });
    }
  }

  /** Uploads and repacks up to `count` rows from `first`, as many as fit the staging buffer and lie in one block; returns how many. */
  async #uploadPiece(
    first: number,
    count: number,
    shardFirst: number,
    rows: GPUBuffer,
    terms: GPUBuffer,
  ): Promise<number> {
    const { stride, blockRows } = this.#source;
    const { pipelines, commands, limits, slices, memory } = this.#deps;
    const piece = Math.min(count, this.#stagingRows, blockRows - (first % blockRows));
    const kernel = await pipelines.get("repack_f32");
    const turn = slices.take(piece * stride);
    if (turn !== undefined) await turn;
    if (this.#isDisposed) throw new Error("the copies were let go of while they were being made");
    const scaled = this.#scaledPiece(first, piece);
    memory.write(this.#staging, 0, scaled.rows);
    memory.write(terms, (first - shardFirst) * 4, scaled.terms);
    const chunks = stride / 4;
    const shape = grid(piece * chunks, limits.workgroup, limits.maxWorkgroupsPerDimension);
    commands.dispatch({
      kernel,
      params: [first - shardFirst, piece, chunks, shape.width],
      buffers: [this.#staging, rows],
      grid: shape,
    });
    commands.submit();
    const bytes = scaled.rows.byteLength + scaled.terms.byteLength;
    this.#deps.onUpload(bytes);
    this.#bytesInFlight += bytes;
    if (this.#bytesInFlight > LIMITS.uploadBytesInFlight) {
      await memory.device.queue.onSubmittedWorkDone();
      this.#bytesInFlight = 0;
    }
    return piece;
  }

  /**
   * Rows and terms of a piece in unshared memory, scaled by powers of two where their magnitude is
   * beyond what float32 sums can hold. Rows of ordinary magnitude are copied as they are.
   */
  #scaledPiece(first: number, count: number): { rows: Float32Array<ArrayBuffer>; terms: Float32Array<ArrayBuffer> } {
    const source = this.#source;
    const { stride } = source;
    const metric = floatMetric(source.metric);
    const rows = new Float32Array(this.#scratch.buffer as ArrayBuffer, 0, count * stride);
    const terms = new Float32Array(count);
    const bytes = source.bytes(first, count);
    rows.set(new Float32Array(bytes.buffer, bytes.byteOffset, rows.length));
    terms.set(source.terms(first, count));
    const block = source.blocks[Math.floor(first / source.blockRows)];
    const isOrdinary =
      block !== undefined && isComfortable(block.maxNorm) && (metric !== "cosine" || isComfortable(block.minNorm));
    if (isOrdinary && this.#exponent === 0) return { rows, terms };
    for (let r = 0; r < count; r++) {
      const norm = rowNorm(rows, r * stride, stride);
      const scale = 2 ** rowExponent(metric, norm, this.#exponent);
      for (let i = r * stride; i < (r + 1) * stride; i++) rows[i] = (rows[i] ?? 0) * scale;
      terms[r] = metric === "cosine" ? 1 / (norm * scale) : norm * scale;
    }
    return { rows, terms };
  }
}
