/**
 * Gathers the ids or metadata of a segment into blocks of bounded size and writes each when it is
 * full. Holds one block and its offsets.
 */
import { STORAGE_LIMITS } from "../core/limits.ts";
import type { BlockWriter } from "./block-writer.ts";
import { aligned } from "./fields.ts";
import type { TextColumn } from "./record-batch.ts";

export class TextStaging {
  readonly #writer: BlockWriter;
  readonly #kind: number;
  /** Ends of the strings held, from 0; bytes follow them in the block. */
  readonly #ends: Uint32Array = new Uint32Array(STORAGE_LIMITS.textBlockRecords + 1);
  readonly #bytes: Uint8Array = new Uint8Array(STORAGE_LIMITS.textBlockBytes);
  #first = 0;
  #count = 0;
  #used = 0;

  constructor(writer: BlockWriter, kind: number) {
    this.#writer = writer;
    this.#kind = kind;
  }

  async append(column: TextColumn): Promise<void> {
    const { offsets, bytes } = column;
    const end = offsets.length - 1;
    for (let from = 0; from < end; ) {
      const to = this.#take(offsets, from, end);
      const start = offsets[from] ?? 0;
      const taken = bytes.subarray(start, offsets[to] ?? 0);
      if (to > from) {
        this.#bytes.set(taken, this.#used - taken.length);
        from = to;
      } else if (this.#count > 0) {
        await this.flush();
      } else {
        await this.#writeAlone(bytes.subarray(start, offsets[from + 1] ?? 0));
        from++;
      }
    }
  }

  /** Writes what is held. */
  async flush(): Promise<void> {
    if (this.#count === 0) return;
    const ends = this.#ends.subarray(0, this.#count + 1);
    await this.#write(ends, this.#bytes.subarray(0, this.#used));
    this.#used = 0;
  }

  /** Counts strings `from …` in, as many as there is room for, and returns the first that stays out. */
  #take(offsets: Uint32Array, from: number, end: number): number {
    let at = from;
    while (at < end && this.#count < STORAGE_LIMITS.textBlockRecords) {
      const used = this.#used + (offsets[at + 1] ?? 0) - (offsets[at] ?? 0);
      if (used + (this.#count + 2) * 4 > STORAGE_LIMITS.textBlockBytes) break;
      this.#used = used;
      this.#count++;
      this.#ends[this.#count] = used;
      at++;
    }
    return at;
  }

  /** A string longer than a block. */
  async #writeAlone(bytes: Uint8Array): Promise<void> {
    this.#count = 1;
    await this.#write(new Uint32Array([0, bytes.length]), bytes);
  }

  async #write(ends: Uint32Array, bytes: Uint8Array): Promise<void> {
    const length = ends.byteLength + bytes.length;
    const room = new Uint8Array(aligned(length));
    room.set(new Uint8Array(ends.buffer, ends.byteOffset, ends.byteLength));
    room.set(bytes, ends.byteLength);
    const count = this.#count;
    await this.#writer.write(this.#kind, this.#first, count, room, length);
    this.#first += count;
    this.#count = 0;
  }
}
