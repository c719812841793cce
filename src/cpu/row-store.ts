/**
 * The one authority for rows: row-major float32 in chunks of at most 256 MiB, in memory that the
 * workers share where the platform lets them. Written by the engine's single writer only; rows
 * beyond `rowCount` are scratch until `commit`. Copies of the rows (in workers without shared
 * memory, on a GPU) follow by comparing block versions and row counts.
 */
import type { RowBlock, Rows } from "../core/backend.ts";
import { NearfieldError } from "../core/errors.ts";
import type { FloatMetric } from "../core/metric.ts";
import { blockAt, chunkBytes, rowsAt, type StoreShape, termsAt } from "./layout.ts";
import { type ChunkMemory, ownMemory, sharedMemory } from "./memory.ts";

interface MutableBlock extends RowBlock {
  version: number;
  minNorm: number;
  maxNorm: number;
}

let lastStoreId = 0;

export class RowStore implements Rows {
  /** Names the store in messages to workers. */
  readonly id: number = ++lastStoreId;
  readonly shape: StoreShape;
  readonly #isShared: boolean;
  readonly #chunks: ChunkMemory[] = [];
  readonly #blocks: MutableBlock[] = [];
  #rowCount = 0;
  #maxNorm = 0;
  /** Norms of rows finished and not yet committed, by block. */
  readonly #pending = new Map<number, { min: number; max: number }>();
  #lastTerms: { block: number; view: Float32Array } = { block: -1, view: new Float32Array(0) };

  constructor(shape: StoreShape, isShared: boolean) {
    this.shape = shape;
    this.#isShared = isShared;
  }

  get dimensions(): number {
    return this.shape.dimensions;
  }
  get stride(): number {
    return this.shape.stride;
  }
  get metric(): FloatMetric {
    return this.shape.metric;
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
  get bytes(): number {
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
        got: `no memory for row ${row} (${this.bytes + shape.blockBytes} bytes of rows)`,
        expected: `room for a further ${shape.blockBytes} bytes`,
        remedy: "add fewer rows, remove() and compact(), or give the process more memory",
        cause,
        details: { bytes: this.bytes, needed: shape.blockBytes },
      });
    }
    this.#blocks.push({ firstRow: block * shape.blockRows, version: 0, minNorm: Infinity, maxNorm: 0 });
  }

  view(first: number, count: number): Float32Array {
    const { chunk, index, row } = this.#locate(first);
    return new Float32Array(chunk.buffer, rowsAt(this.shape, index, row), count * this.shape.stride);
  }

  terms(first: number, count: number): Float32Array {
    const { chunk, index, row } = this.#locate(first);
    return new Float32Array(chunk.buffer, termsAt(this.shape, index, row), count);
  }

  finishRow(row: number, norm: number): void {
    const index = Math.floor(row / this.shape.blockRows);
    const block = this.#blocks[index];
    if (block === undefined) throw new Error(`row ${row} was not reserved`);
    this.#termsOf(index)[row % this.shape.blockRows] = this.shape.metric === "cosine" ? 1 / norm : norm;
    const range = this.#pending.get(index);
    const least = norm > 0 ? norm : Infinity;
    if (range === undefined) this.#pending.set(index, { min: least, max: norm });
    else {
      range.min = Math.min(range.min, least);
      range.max = Math.max(range.max, norm);
    }
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

  /** The terms of a whole block; kept from call to call, because rows are finished one by one. */
  #termsOf(block: number): Float32Array {
    const first = block * this.shape.blockRows;
    const { chunk } = this.#locate(first);
    if (this.#lastTerms.block !== block || this.#lastTerms.view.buffer !== chunk.buffer) {
      this.#lastTerms = { block, view: this.terms(first, this.shape.blockRows) };
    }
    return this.#lastTerms.view;
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
