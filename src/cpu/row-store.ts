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
import { GrowingNormRange, type NormRange } from "../core/norm-range.ts";
import { rowTerm, StoredRows } from "../core/stored-rows.ts";
import type { CodeBasis } from "./encoder.ts";
import { blockAt, chunkBytes, rowsAt, scalesAt, type StoreShape, termsAt } from "./layout.ts";
import { type ChunkMemory, ownMemory, sharedMemory } from "./memory.ts";

class Block extends GrowingNormRange implements RowBlock {
  readonly firstRow: number;
  version = 0;

  constructor(firstRow: number) {
    super();
    this.firstRow = firstRow;
  }
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
  readonly #blocks: Block[] = [];
  #rowCount = 0;
  #maxNorm = 0;
  /** Norms of rows written and not yet committed, by block. */
  readonly #pending = new Map<number, GrowingNormRange>();
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
    const { blockRows, blocksPerChunk, blockBytes } = this.shape;
    const last = Math.floor(row / blockRows);
    if (last < this.#blocks.length) return;
    const chunks = this.#chunks.length;
    try {
      for (let block = this.#blocks.length; block <= last; ) {
        const chunk = Math.floor(block / blocksPerChunk);
        const end = Math.min(last + 1, (chunk + 1) * blocksPerChunk);
        this.#fit(chunk, end - chunk * blocksPerChunk);
        block = end;
      }
    } catch (cause) {
      this.#chunks.length = chunks; // nobody has seen the others yet
      const needed = (last + 1 - this.#blocks.length) * blockBytes;
      throw new NearfieldError("OUT_OF_MEMORY", {
        got: `no memory for row ${row} (${this.memoryBytes + needed} bytes of rows)`,
        expected: `room for a further ${needed} bytes`,
        remedy: "add fewer rows, remove() and compact(), or give the process more memory",
        cause,
        details: { bytes: this.memoryBytes, needed },
      });
    }
    while (this.#blocks.length <= last) this.#blocks.push(new Block(this.#blocks.length * blockRows));
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

  claim(first: number, norms: NormRange): void {
    this.#pendingOf(Math.floor(first / this.shape.blockRows)).unite(norms);
  }

  erase(first: number, count: number): void {
    this.bytes(first, count).fill(0);
  }

  commit(rowCount: number): void {
    this.#rowCount = rowCount;
    for (const [index, norms] of this.#pending) {
      this.#blocks[index]?.unite(norms);
      this.#maxNorm = Math.max(this.#maxNorm, norms.maxNorm);
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
    view.terms[slot] = rowTerm(this.shape.metric, norm);
    if (this.shape.precision === "i8") view.scales[slot] = scale;
    this.#pendingOf(view.index).include(norm);
  }

  #pendingOf(block: number): GrowingNormRange {
    let norms = this.#pending.get(block);
    if (norms === undefined) this.#pending.set(block, (norms = new GrowingNormRange()));
    return norms;
  }

  /** Sees that chunk `index` has room for `blocks` blocks. */
  #fit(index: number, blocks: number): void {
    const { shape } = this;
    const bytes = chunkBytes(shape, blocks);
    const memory = this.#chunks[index];
    if (memory !== undefined) memory.ensure(bytes);
    else
      this.#chunks[index] = this.#isShared
        ? sharedMemory(bytes, chunkBytes(shape, shape.blocksPerChunk))
        : ownMemory(bytes);
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
