/**
 * The one authority for rows: row-major, each as its precision stores it, in chunks of at most
 * 256 MiB, in memory that the workers share where the platform lets them. Written by the engine's
 * single writer only; rows beyond `rowCount` are scratch until `commit`. Copies of the rows (in
 * workers without shared memory, on a GPU) follow by comparing block versions and row counts.
 */
import type { RowBlock, Rows, StoredVector } from "../core/backend.ts";
import { NearfieldError } from "../core/errors.ts";
import type { RowReader } from "../core/matrix.ts";
import type { Metric, Precision } from "../core/metric.ts";
import { StoredRows } from "../core/stored-rows.ts";
import type { CodeBasis } from "./encoder.ts";
import { blockAt, chunkBytes, rowsAt, scalesAt, type StoreShape, termsAt } from "./layout.ts";
import { type ChunkMemory, ownMemory, sharedMemory } from "./memory.ts";

interface MutableBlock extends RowBlock {
  version: number;
  minNorm: number;
  maxNorm: number;
}

/** A block's memory as its rows are written to. */
interface BlockView {
  readonly index: number;
  readonly buffer: ArrayBufferLike;
  readonly rows: StoredRows;
  readonly terms: Float32Array;
  readonly scales: Float32Array;
}

let lastStoreId = 0;

export class RowStore implements Rows {
  /** Names the store in messages to workers. */
  readonly id: number = ++lastStoreId;
  readonly shape: StoreShape;
  /** What rows are coded by; undefined: nothing. Set by the keeper of the codes only. */
  basis: CodeBasis | undefined;
  readonly #isShared: boolean;
  readonly #chunks: ChunkMemory[] = [];
  readonly #blocks: MutableBlock[] = [];
  #rowCount = 0;
  #maxNorm = 0;
  /** Norms of rows written and not yet committed, by block. */
  readonly #pending = new Map<number, { min: number; max: number }>();
  /** Kept from call to call, because rows are written one by one. */
  #lastView: BlockView | undefined;

  constructor(shape: StoreShape, isShared: boolean) {
    this.shape = shape;
    this.#isShared = isShared;
  }

  get dimensions(): number {
    return this.shape.dimensions;
  }
  get precision(): Precision {
    return this.shape.precision;
  }
  get metric(): Metric {
    return this.shape.metric;
  }
  get stride(): number {
    return this.shape.stride;
  }
  get rowBytes(): number {
    return this.shape.rowBytes;
  }
  get blockRows(): number {
    return this.shape.blockRows;
  }
  get blocks(): readonly RowBlock[] {
    return this.#blocks;
  }
  get rowCount(): number {
    return this.#rowCount;
  }
  get maxNorm(): number {
    return this.#maxNorm;
  }
  get chunks(): readonly ChunkMemory[] {
    return this.#chunks;
  }
  get memoryBytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.buffer.byteLength, 0);
  }

  reserve(row: number): void {
    const { shape } = this;
    const block = Math.floor(row / shape.blockRows);
    if (block < this.#blocks.length) return;
    const chunk = Math.floor(block / shape.blocksPerChunk);
    const bytes = chunkBytes(shape, (block % shape.blocksPerChunk) + 1);
    try {
      const memory = this.#chunks[chunk];
      if (memory !== undefined) memory.ensure(bytes);
      else
        this.#chunks[chunk] = this.#isShared
          ? sharedMemory(bytes, chunkBytes(shape, shape.blocksPerChunk))
          : ownMemory(bytes);
    } catch (cause) {
      throw new NearfieldError("OUT_OF_MEMORY", {
        got: `no memory for row ${row} (${this.memoryBytes + shape.blockBytes} bytes of rows)`,
        expected: `room for a further ${shape.blockBytes} bytes`,
        remedy: "add fewer rows, remove() and compact(), or give the process more memory",
        cause,
        details: { bytes: this.memoryBytes, needed: shape.blockBytes },
      });
    }
    this.#blocks.push({ firstRow: block * shape.blockRows, version: 0, minNorm: Infinity, maxNorm: 0 });
  }

  bytes(first: number, count: number): Uint8Array {
    const { chunk, index, row } = this.#locate(first);
    return new Uint8Array(chunk.buffer, rowsAt(this.shape, index, row), count * this.shape.rowBytes);
  }

  terms(first: number, count: number): Float32Array {
    const { chunk, index, row } = this.#locate(first);
    return new Float32Array(chunk.buffer, termsAt(this.shape, index, row), count);
  }

  scales(first: number, count: number): Float32Array {
    if (this.shape.precision !== "i8") return new Float32Array(0);
    const { chunk, index, row } = this.#locate(first);
    return new Float32Array(chunk.buffer, scalesAt(this.shape, index, row), count);
  }

  write(row: number, reader: RowReader, index: number): string | undefined {
    const view = this.#viewOf(row);
    const reason = view.rows.write(row % this.shape.blockRows, reader, index);
    if (reason === undefined) this.#finish(view, row, view.rows.norm, view.rows.scale);
    return reason;
  }

  encode(reader: RowReader, index: number): StoredVector | string {
    const bytes = new Uint8Array(this.shape.rowBytes);
    const rows = new StoredRows(this.shape, bytes);
    return rows.write(0, reader, index) ?? { bytes, scale: rows.scale, norm: rows.norm };
  }

  stored(row: number): StoredVector {
    const { rows, scales } = this.#viewOf(row);
    const slot = row % this.shape.blockRows;
    const scale = scales[slot] ?? 0;
    return { bytes: this.bytes(row, 1), scale, norm: rows.normOf(slot, scale) };
  }

  put(row: number, { bytes, scale, norm }: StoredVector): void {
    this.bytes(row, 1).set(bytes);
    this.#finish(this.#viewOf(row), row, norm, scale);
  }

  commit(rowCount: number): void {
    this.#rowCount = rowCount;
    for (const [index, { min, max }] of this.#pending) {
      const block = this.#blocks[index];
      if (block === undefined) continue;
      block.minNorm = Math.min(block.minNorm, min);
      block.maxNorm = Math.max(block.maxNorm, max);
      this.#maxNorm = Math.max(this.#maxNorm, max);
    }
    this.#pending.clear();
  }

  discard(): void {
    this.#pending.clear();
  }

  touch(row: number): void {
    const block = this.#blocks[Math.floor(row / this.shape.blockRows)];
    if (block !== undefined) block.version++;
  }

  #finish(view: BlockView, row: number, norm: number, scale: number): void {
    const slot = row % this.shape.blockRows;
    view.terms[slot] = this.shape.metric === "cosine" ? 1 / norm : norm;
    if (this.shape.precision === "i8") view.scales[slot] = scale;
    const range = this.#pending.get(view.index);
    const least = norm > 0 ? norm : Infinity;
    if (range === undefined) this.#pending.set(view.index, { min: least, max: norm });
    else {
      range.min = Math.min(range.min, least);
      range.max = Math.max(range.max, norm);
    }
  }

  /** The block of `row`; its memory may have moved since the last call. */
  #viewOf(row: number): BlockView {
    const { shape } = this;
    const index = Math.floor(row / shape.blockRows);
    const { buffer } = this.#locate(row).chunk;
    const last = this.#lastView;
    if (last?.index === index && last.buffer === buffer) return last;
    const first = index * shape.blockRows;
    this.#lastView = {
      index,
      buffer,
      rows: new StoredRows(shape, this.bytes(first, shape.blockRows)),
      terms: this.terms(first, shape.blockRows),
      scales: this.scales(first, shape.blockRows),
    };
    return this.#lastView;
  }

  #locate(row: number): { chunk: ChunkMemory; index: number; row: number } {
    const { shape } = this;
    const block = Math.floor(row / shape.blockRows);
    const chunk = this.#chunks[Math.floor(block / shape.blocksPerChunk)];
    const index = block % shape.blocksPerChunk;
    if (chunk === undefined || blockAt(shape, index) >= chunk.buffer.byteLength) {
      throw new Error(`row ${row} is beyond the store`);
    }
    return { chunk, index, row: row % shape.blockRows };
  }
}
