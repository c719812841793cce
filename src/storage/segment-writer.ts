/**
 * Writes a segment, front to back, from batches of any size; holds one page of vectors and a block
 * each of ids and metadata, some 4 MiB. Ids are taken as given: that each occurs once is the
 * caller's duty. The file is the caller's too (block-writer.ts), also when writing fails.
 */
import { LIMITS, STORAGE_LIMITS } from "../core/limits.ts";
import type { StoredColumn, StoredColumnShape } from "../core/stored-column.ts";
import { checkBatch } from "./batch-columns.ts";
import { BlockWriter } from "./block-writer.ts";
import type { WritableFile } from "./driver.ts";
import { aligned } from "./fields.ts";
import type { RecordBatch } from "./record-batch.ts";
import type { SegmentFacts } from "./segment-facts.ts";
import { BLOCK, encodeSegmentSummary } from "./segment-layout.ts";
import { TextStaging } from "./text-staging.ts";

export class SegmentWriter {
  readonly #shape: StoredColumnShape;
  readonly #writer: BlockWriter;
  readonly #ids: TextStaging;
  readonly #metadata: TextStaging;
  readonly #pageRows: number;
  readonly #rows: Uint8Array;
  readonly #terms: Float32Array;
  readonly #scales: Float32Array;
  #first = 0;
  #held = 0;
  #minNorm = Number.POSITIVE_INFINITY;
  #maxNorm = 0;
  #isUsable = true;

  private constructor(writer: BlockWriter, shape: StoredColumnShape) {
    this.#shape = shape;
    this.#writer = writer;
    this.#ids = new TextStaging(writer, BLOCK.ids);
    this.#metadata = new TextStaging(writer, BLOCK.metadata);
    this.#pageRows = Math.max(1, Math.floor(STORAGE_LIMITS.pageBytes / shape.rowBytes));
    this.#rows = new Uint8Array(aligned(this.#pageRows * shape.rowBytes));
    this.#terms = new Float32Array(aligned(this.#pageRows * 4) / 4);
    this.#scales = new Float32Array(shape.hasScales ? this.#terms.length : 0);
  }

  /** `file` is empty. */
  static async create(file: WritableFile, shape: StoredColumnShape): Promise<SegmentWriter> {
    return new SegmentWriter(await BlockWriter.create(file, "segment"), shape);
  }

  /** Records so far. */
  get count(): number {
    return this.#first + this.#held;
  }

  /** Bytes on file so far; those held come on top. */
  get sizeBytes(): number {
    return this.#writer.sizeBytes;
  }

  /** After an error there is no going on: the file is to be removed. One call at a time. */
  async append(batch: RecordBatch): Promise<void> {
    this.#begin();
    checkBatch(batch, this.#shape);
    if (this.count + batch.count > LIMITS.maxRows) throw new Error("more records than a segment counts");
    await this.#appendVectors(batch.vectors, batch.count);
    await this.#ids.append(batch.ids);
    await this.#metadata.append(batch.metadata);
    this.#isUsable = true;
  }

  /** Writes what is left and resolves when the file is durable. The last call. */
  async finish(): Promise<SegmentFacts> {
    this.#begin();
    await this.#flushPage();
    await this.#ids.flush();
    await this.#metadata.flush();
    const summary = { count: this.#first, shape: this.#shape, minNorm: this.#minNorm, maxNorm: this.#maxNorm };
    const written = await this.#writer.finish(encodeSegmentSummary(summary));
    return { count: this.#first, ...written, minNorm: this.#minNorm, maxNorm: this.#maxNorm };
  }

  #begin(): void {
    if (!this.#isUsable) throw new Error("a segment writer that is busy, finished or failed");
    this.#isUsable = false;
  }

  async #appendVectors(vectors: StoredColumn, count: number): Promise<void> {
    const { rowBytes } = this.#shape;
    for (let from = 0; from < count; ) {
      const to = Math.min(count, from + this.#pageRows - this.#held);
      this.#rows.set(vectors.rows.subarray(from * rowBytes, to * rowBytes), this.#held * rowBytes);
      this.#terms.set(vectors.terms.subarray(from, to), this.#held);
      if (this.#shape.hasScales) this.#scales.set(vectors.scales.subarray(from, to), this.#held);
      this.#held += to - from;
      from = to;
      if (this.#held === this.#pageRows) await this.#flushPage();
    }
    this.#minNorm = Math.min(this.#minNorm, vectors.minNorm);
    this.#maxNorm = Math.max(this.#maxNorm, vectors.maxNorm);
  }

  async #flushPage(): Promise<void> {
    const count = this.#held;
    if (count === 0) return;
    const first = this.#first;
    await this.#writer.write(BLOCK.rows, first, count, this.#rows, count * this.#shape.rowBytes);
    await this.#writer.write(BLOCK.terms, first, count, new Uint8Array(this.#terms.buffer), count * 4);
    if (this.#shape.hasScales) {
      await this.#writer.write(BLOCK.scales, first, count, new Uint8Array(this.#scales.buffer), count * 4);
    }
    this.#first += count;
    this.#held = 0;
  }
}
