/**
 * Reads the vectors of a segment, page by page and in order, into memory that is not ours. Calls
 * may end anywhere within a page: its checksums add up over calls and are compared when its last
 * row was read, so nothing is read twice and nothing beyond what was asked for. Some reads may be
 * under way at once, so that the platform's threads fetch while this one computes checksums.
 */
import { STORAGE_LIMITS } from "../core/limits.ts";
import type { StoredColumnReader, StoredColumnShape } from "../core/stored-column.ts";
import type { BlockFile } from "./block-file.ts";
import type { BlockEntry } from "./block-table.ts";
import { crc32c } from "./crc32c.ts";
import type { Page, SegmentSummary } from "./segment-layout.ts";

type Into = Parameters<StoredColumnReader["read"]>[1];

export class PageReader implements StoredColumnReader {
  readonly count: number;
  readonly minNorm: number;
  readonly maxNorm: number;
  readonly readsAtOnce: number = STORAGE_LIMITS.readsAhead;
  readonly #file: BlockFile;
  readonly #pages: readonly Page[];
  readonly #shape: StoredColumnShape;
  #page = 0;
  #next = 0;
  /** Of what was read of the current page: rows, terms, scales. */
  #checksums: [number, number, number] = [0, 0, 0];
  /** Resolves when all that was read so far is checked; rejects for good with the first damage. */
  #judged: Promise<void> = Promise.resolve();

  constructor(file: BlockFile, pages: readonly Page[], { count, shape, minNorm, maxNorm }: SegmentSummary) {
    this.#file = file;
    this.#pages = pages;
    this.#shape = shape;
    this.count = count;
    this.minNorm = minNorm;
    this.maxNorm = maxNorm;
  }

  async read(first: number, into: Into): Promise<void> {
    const count = into.terms.length;
    const isWhole =
      into.rows.length === count * this.#shape.rowBytes && into.scales.length === (this.#shape.hasScales ? count : 0);
    if (!isWhole) throw new Error("arrays of different numbers of rows");
    if (first !== this.#next || first + count > this.count) {
      throw new Error(`rows ${first} … ${first + count}: not where the last call ended, ${this.#next}`);
    }
    const reads = [...this.#partsUpTo(first, first + count, into)].map((part): Read => {
      const done = this.#file.readPart(part.entry, part.from, part.bytes);
      done.catch(() => {}); // told when it is its turn to be judged
      return { part, done };
    });
    // In the order of calls, for checksums add up. After damage the rest of a page cannot be judged: all that follow reject.
    const judged = this.#judged.then(async () => {
      for (const read of reads) await this.#judge(read);
    });
    this.#judged = judged;
    try {
      await judged;
    } catch (error) {
      // Nothing may write to the caller's memory after this.
      await Promise.allSettled(reads.map(({ done }) => done));
      throw error;
    }
  }

  /** Waits for a read and adds its bytes to the checksum, while those behind it are on their way. */
  async #judge({ part, done }: Read): Promise<void> {
    await done;
    for (let at = 0; at < part.bytes.length; at += STORAGE_LIMITS.readPieceBytes) {
      const piece = part.bytes.subarray(at, at + STORAGE_LIMITS.readPieceBytes);
      this.#checksums[part.kind] = crc32c(piece, this.#checksums[part.kind]);
    }
    if (!part.isEnd) return;
    this.#file.expectChecksum(part.entry, this.#checksums[part.kind]);
    this.#checksums[part.kind] = 0;
  }

  /** What lies in the pages from the next row to `end`; `first`: where `into` begins. */
  *#partsUpTo(first: number, end: number, into: Into): Generator<Part> {
    while (this.#next < end) {
      const page = this.#pages[this.#page];
      if (page === undefined) throw new Error("pages end before their rows");
      const next = this.#next;
      const to = Math.min(end, page.first + page.count);
      const isEnd = to === page.first + page.count;
      const part = (kind: Part["kind"], entry: BlockEntry, size: number, bytes: Uint8Array): Part => ({
        kind,
        entry,
        from: (next - page.first) * size,
        bytes: bytes.subarray((next - first) * size, (to - first) * size),
        isEnd,
      });
      yield part(0, page.rows, this.#shape.rowBytes, into.rows);
      yield part(1, page.terms, 4, bytesOf(into.terms));
      if (page.scales !== undefined) yield part(2, page.scales, 4, bytesOf(into.scales));
      this.#next = to;
      if (isEnd) this.#page++;
    }
  }
}

/** Bytes of one block that are wanted. */
interface Part {
  /** Rows, terms, scales. */
  readonly kind: 0 | 1 | 2;
  readonly entry: BlockEntry;
  /** Where they begin in the block. */
  readonly from: number;
  readonly bytes: Uint8Array;
  /** Whether the block ends with them. */
  readonly isEnd: boolean;
}

interface Read {
  readonly part: Part;
  readonly done: Promise<void>;
}

function bytesOf(floats: Float32Array): Uint8Array {
  return new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
}
