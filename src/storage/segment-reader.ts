/**
 * Reads a segment over any random-access file. Opening reads the header, the trailer and the
 * footer (96 bytes a page) and knows then where everything lies; vectors go straight into the
 * caller's memory, ids and metadata come block by block, so that memory is bounded by a block
 * whatever the segment's size. The file is the caller's, and stays open while this is used.
 */
import { STORAGE_LIMITS } from "../core/limits.ts";
import type { StoredColumnReader, StoredColumnShape } from "../core/stored-column.ts";
import { BlockFile } from "./block-file.ts";
import type { BlockEntry } from "./block-table.ts";
import { type Damage, DamageError } from "./damage.ts";
import type { ReadableFile } from "./driver.ts";
import { PageReader } from "./page-reader.ts";
import type { TextColumn } from "./record-batch.ts";
import type { SegmentFacts } from "./segment-facts.ts";
import {
  BLOCK,
  decodeSegmentSummary,
  inOrder,
  type Page,
  pagesOf,
  segmentBlockName,
  type SegmentSummary,
  type TextKind,
} from "./segment-layout.ts";
import { decodeText } from "./text-block.ts";

export class Segment {
  readonly #file: BlockFile;
  readonly #summary: SegmentSummary;
  readonly #pages: readonly Page[];
  readonly #texts: Readonly<Record<TextKind, readonly BlockEntry[]>>;

  private constructor(
    file: BlockFile,
    summary: SegmentSummary,
    pages: readonly Page[],
    texts: Readonly<Record<TextKind, readonly BlockEntry[]>>,
  ) {
    this.#file = file;
    this.#summary = summary;
    this.#pages = pages;
    this.#texts = texts;
  }

  /** `facts`: what the manifest or journal says of it. Rejects with CORRUPT, also where they differ, or UNSUPPORTED_FORMAT. */
  static async open(
    file: ReadableFile,
    name: string,
    shape: StoredColumnShape,
    facts?: SegmentFacts,
  ): Promise<Segment> {
    const blocks = await BlockFile.open(file, name, "segment", segmentBlockName);
    const fail = blocks.failInFooter();
    const summary = decodeSegmentSummary(blocks.summary, fail);
    const { count, minNorm, maxNorm } = summary;
    if (summary.shape.rowBytes !== shape.rowBytes || summary.shape.hasScales !== shape.hasScales) {
      fail(`rows of ${summary.shape.rowBytes} bytes where the collection's have ${shape.rowBytes}`, 4);
    }
    const pages = pagesOf(blocks.entries, summary, fail);
    const texts = {
      ids: inOrder(blocks.entries, BLOCK.ids, count, fail),
      metadata: inOrder(blocks.entries, BLOCK.metadata, count, fail),
    };
    const found: SegmentFacts = { count, sizeBytes: blocks.sizeBytes, checksum: blocks.checksum, minNorm, maxNorm };
    const segment = new Segment(blocks, summary, pages, texts);
    if (facts !== undefined && !isSame(facts, found)) fail("it is another file than the one the collection names");
    return segment;
  }

  get count(): number {
    return this.#summary.count;
  }

  get facts(): SegmentFacts {
    const { count, minNorm, maxNorm } = this.#summary;
    return { count, sizeBytes: this.#file.sizeBytes, checksum: this.#file.checksum, minNorm, maxNorm };
  }

  /** A new reader, at row 0. */
  vectors(): StoredColumnReader {
    return new PageReader(this.#file, this.#pages, this.#summary);
  }

  ids(): AsyncIterable<TextColumn> {
    return this.#text("ids");
  }

  metadata(): AsyncIterable<TextColumn> {
    return this.#text("metadata");
  }

  /** Where record `first … first + count − 1` have their ids or metadata, for `readText`: to fetch some without reading all. */
  textBlocks(kind: TextKind): readonly { readonly first: number; readonly count: number }[] {
    return this.#texts[kind];
  }

  /** One block of `textBlocks`, checked. Rejects with CORRUPT. */
  async readText(kind: TextKind, index: number): Promise<TextColumn> {
    const entry = this.#texts[kind][index];
    if (entry === undefined) throw new Error(`no block ${index} of ${kind}`);
    return decodeText(await this.#file.readBlock(entry), entry.count, this.#file.failIn(entry, entry.first));
  }

  /** Reads everything, bytes that mean nothing included, and goes on after damage. Rejects where the file cannot be read. */
  async verify(onProblem: (damage: Damage) => void): Promise<void> {
    const scratch = new Uint8Array(Math.min(STORAGE_LIMITS.readPieceBytes, this.#file.sizeBytes));
    for (const entry of this.#file.entries) {
      const damage = await this.#file.verifyBlock(entry, scratch);
      if (damage !== undefined) onProblem(damage);
      else if (entry.kind === BLOCK.ids || entry.kind === BLOCK.metadata) await this.#verifyText(entry, onProblem);
    }
  }

  async *#text(kind: TextKind): AsyncGenerator<TextColumn, void, undefined> {
    for (let index = 0; index < this.#texts[kind].length; index++) yield await this.readText(kind, index);
  }

  async #verifyText(entry: BlockEntry, onProblem: (damage: Damage) => void): Promise<void> {
    try {
      decodeText(await this.#file.readBlock(entry), entry.count, this.#file.failIn(entry, entry.first));
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
      onProblem(error.details);
    }
  }
}

function isSame(a: SegmentFacts, b: SegmentFacts): boolean {
  return (
    a.count === b.count &&
    a.sizeBytes === b.sizeBytes &&
    a.checksum === b.checksum &&
    a.minNorm === b.minNorm &&
    a.maxNorm === b.maxNorm
  );
}
