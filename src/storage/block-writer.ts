/**
 * Writes a file made of blocks (block-table.ts), front to back, one write a block. The file is the
 * caller's: it opens, closes, and removes what was never finished. Nobody can read it before
 * `finish`, which makes it durable; its name is, once the caller has synced the folder.
 */
import { type BlockEntry, encodeFooter, encodeTrailer } from "./block-table.ts";
import { crc32c } from "./crc32c.ts";
import type { WritableFile } from "./driver.ts";
import { aligned } from "./fields.ts";
import { encodeHeader, type FileKind } from "./file-header.ts";

export class BlockWriter {
  readonly #file: WritableFile;
  readonly #header: Uint8Array;
  readonly #entries: BlockEntry[] = [];
  #end: number;

  private constructor(file: WritableFile, header: Uint8Array) {
    this.#file = file;
    this.#header = header;
    this.#end = header.length;
  }

  /** `file` is empty. */
  static async create(file: WritableFile, kind: FileKind): Promise<BlockWriter> {
    const header = encodeHeader(kind);
    await file.write(0, header);
    return new BlockWriter(file, header);
  }

  /** Bytes written so far. */
  get sizeBytes(): number {
    return this.#end;
  }

  /** Writes the first `length` bytes of `room`, which has some to spare up to a multiple of 64: they become zero. */
  async write(kind: number, first: number, count: number, room: Uint8Array, length: number): Promise<void> {
    if (length < 1 || room.length < aligned(length)) throw new Error("a block has bytes, and room for its padding");
    room.fill(0, length, aligned(length));
    const checksum = crc32c(room.subarray(0, length));
    await this.#file.write(this.#end, room.subarray(0, aligned(length)));
    this.#entries.push({ kind, first, count, offset: this.#end, length, checksum });
    this.#end += aligned(length);
  }

  async finish(summary: Uint8Array): Promise<{ readonly sizeBytes: number; readonly checksum: number }> {
    const footer = encodeFooter(summary, this.#entries);
    const checksum = crc32c(footer, crc32c(this.#header));
    await this.#file.write(this.#end, footer);
    const trailer = encodeTrailer({
      footerOffset: this.#end,
      footerBytes: footer.length,
      entryCount: this.#entries.length,
      checksum,
    });
    this.#end += footer.length;
    await this.#file.write(this.#end, trailer);
    this.#end += trailer.length;
    await this.#file.sync();
    return { sizeBytes: this.#end, checksum };
  }
}
