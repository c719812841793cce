/**
 * Reads the vectors of a segment, page by page and in order, into memory that is not ours. Calls
 * may end anywhere within a page: its checksums add up over calls and are compared when its last
 * row was read, so nothing is read twice and nothing beyond what was asked for.
 */
import type { StoredColumnReader, StoredColumnShape } from "../core/stored-column.ts";
import type { BlockFile } from "./block-file.ts";
import type { BlockEntry } from "./block-table.ts";
import type { Page, SegmentSummary } from "./segment-layout.ts";

type Into = Parameters<StoredColumnReader["read"]>[1];

export class PageReader implements StoredColumnReader {
  readonly count: number;
  readonly minNorm: number;
  readonly maxNorm: number;
  readonly #file: BlockFile;
  readonly #pages: readonly Page[];
  readonly #shape: StoredColumnShape;
  #page = 0;
  #next = 0;
  /** Of what was read of the current page: rows, terms, scales. */
  #checksums: [number, number, number] = [0, 0, 0];
  #isUsable = true;

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
    if (!this.#isUsable || first !== this.#next || first + count > this.count) {
      throw new Error(`rows ${first} … ${first + count}: not where the last call ended, ${this.#next}, or it failed`);
    }
    // Until this call has succeeded: after damage the rest of the page cannot be judged.
    this.#isUsable = false;
    const end = first + count;
    while (this.#next < end) {
      const page = this.#pages[this.#page];
      if (page === undefined) throw new Error("pages end before their rows");
      const to = Math.min(end, page.first + page.count);
      await this.#readRows(page, to, into, first);
      this.#next = to;
      if (to === page.first + page.count) this.#endPage(page);
    }
    this.#isUsable = true;
  }

  /** Rows from the next to `to`, all of one page; `first`: where `into` begins. */
  async #readRows(page: Page, to: number, into: Into, first: number): Promise<void> {
    const { rowBytes } = this.#shape;
    const sums = this.#checksums;
    sums[0] = await this.#readPart(page, page.rows, rowBytes, into.rows, first, to, sums[0]);
    sums[1] = await this.#readPart(page, page.terms, 4, bytesOf(into.terms), first, to, sums[1]);
    if (page.scales === undefined) return;
    sums[2] = await this.#readPart(page, page.scales, 4, bytesOf(into.scales), first, to, sums[2]);
  }

  #readPart(
    page: Page,
    entry: BlockEntry,
    size: number,
    into: Uint8Array,
    first: number,
    to: number,
    previous: number,
  ): Promise<number> {
    const part = into.subarray((this.#next - first) * size, (to - first) * size);
    return this.#file.readPart(entry, (this.#next - page.first) * size, part, previous);
  }

  #endPage(page: Page): void {
    const [rows, terms, scales] = this.#checksums;
    this.#file.expectChecksum(page.rows, rows);
    this.#file.expectChecksum(page.terms, terms);
    if (page.scales !== undefined) this.#file.expectChecksum(page.scales, scales);
    this.#checksums = [0, 0, 0];
    this.#page++;
  }
}

function bytesOf(floats: Float32Array): Uint8Array {
  return new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
}
