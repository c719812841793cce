/**
 * Reads a file made of blocks (block-table.ts): three reads to open it, then any block. Nothing is
 * allocated before it is known to lie in the file. Which blocks there are, and what is in them, is
 * for segment-reader.ts and manifest-reader.ts. The file stays the caller's.
 */
import { STORAGE_LIMITS } from "../core/limits.ts";
import { type BlockEntry, decodeEntries, decodeTrailer, SUMMARY_BYTES, TRAILER_BYTES } from "./block-table.ts";
import { crc32c } from "./crc32c.ts";
import { type Damage, DamageError, type Fail } from "./damage.ts";
import type { ReadableFile } from "./driver.ts";
import { aligned, ALIGNMENT, firstNonZero } from "./fields.ts";
import { checkHeader, checkUnused, type FileKind, HEADER_BYTES, HEADER_FIELDS } from "./file-header.ts";

const LEAST_BYTES = HEADER_BYTES + SUMMARY_BYTES + TRAILER_BYTES;

export class BlockFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly checksum: number;
  /** [64] */
  readonly summary: Uint8Array;
  readonly summaryOffset: number;
  readonly entries: readonly BlockEntry[];
  readonly #file: ReadableFile;
  readonly #blockName: (entry: BlockEntry) => string;

  private constructor(
    file: ReadableFile,
    name: string,
    found: Pick<BlockFile, "checksum" | "summary" | "summaryOffset" | "entries">,
    blockName: (entry: BlockEntry) => string,
  ) {
    this.#file = file;
    this.name = name;
    this.sizeBytes = file.size;
    this.checksum = found.checksum;
    this.summary = found.summary;
    this.summaryOffset = found.summaryOffset;
    this.entries = found.entries;
    this.#blockName = blockName;
  }

  /** `blockName`: what a block is called where damage is told. Rejects with CORRUPT or UNSUPPORTED_FORMAT. */
  static async open(
    file: ReadableFile,
    name: string,
    kind: FileKind,
    blockName: (entry: BlockEntry) => string,
  ): Promise<BlockFile> {
    const failIn =
      (block: string): Fail =>
      (reason, offset = 0) => {
        throw new DamageError({ file: name, block, offset, reason });
      };
    if (file.size < HEADER_BYTES) failIn("header")("the file is shorter than its header");
    const header = new Uint8Array(HEADER_BYTES);
    await file.read(0, header);
    checkHeader(header, kind, name, failIn("header"));
    checkUnused(header, HEADER_FIELDS - 4, HEADER_BYTES - 4, failIn("header"));

    if (file.size < LEAST_BYTES || file.size % ALIGNMENT !== 0) failIn("trailer")("the file was cut off", file.size);
    const trailerBytes = new Uint8Array(TRAILER_BYTES);
    await file.read(file.size - TRAILER_BYTES, trailerBytes);
    const trailer = decodeTrailer(trailerBytes, file.size, failIn("trailer"));

    const footer = new Uint8Array(trailer.footerBytes);
    await readPieces(file, trailer.footerOffset, footer, 0);
    if (crc32c(footer, crc32c(header)) !== trailer.checksum) {
      failIn("footer")("the checksum of header and footer differs", trailer.footerOffset);
    }
    const entries = decodeEntries(footer, trailer, failIn("footer"));
    const found = {
      checksum: trailer.checksum,
      summary: footer.slice(0, SUMMARY_BYTES),
      summaryOffset: trailer.footerOffset,
      entries,
    };
    return new BlockFile(file, name, found, blockName);
  }

  /** The bytes of a block, in memory of their own, once their checksum and the zeros behind were looked at. */
  async readBlock(entry: BlockEntry): Promise<Uint8Array> {
    const bytes = new Uint8Array(aligned(entry.length));
    const checksum = await readPieces(this.#file, entry.offset, bytes, 0, entry.length);
    this.#judge(entry, checksum, firstNonZero(bytes, entry.length, bytes.length));
    return bytes.subarray(0, entry.length);
  }

  /** Fills `into` from byte `from` of a block on, unchecked: the caller adds up checksums, and compares at the end. */
  async readPart(entry: BlockEntry, from: number, into: Uint8Array): Promise<void> {
    if (from + into.length > entry.length) throw new Error("a read beyond its block");
    await this.#file.read(entry.offset + from, into);
  }

  /** Rejects with CORRUPT unless `checksum`, of all that `readPart` read, is the block's. */
  expectChecksum(entry: BlockEntry, checksum: number): void {
    this.#judge(entry, checksum, -1);
  }

  /** Reads a block in pieces and tells its damage, if any; `scratch` bounds the pieces. */
  async verifyBlock(entry: BlockEntry, scratch: Uint8Array): Promise<Damage | undefined> {
    let checksum = 0;
    let nonZero = -1;
    const end = aligned(entry.length);
    for (let at = 0; at < end; at += scratch.length) {
      const piece = scratch.subarray(0, Math.min(scratch.length, end - at));
      await this.#file.read(entry.offset + at, piece);
      const used = Math.min(piece.length, Math.max(0, entry.length - at));
      checksum = crc32c(piece.subarray(0, used), checksum);
      const found = firstNonZero(piece, used, piece.length);
      if (found >= 0) nonZero = at + found;
    }
    return this.#damage(entry, checksum, nonZero);
  }

  /** What is told of a block that holds something else than its kind does. */
  failIn(entry: BlockEntry, record?: number): Fail {
    return (reason, at = 0) => {
      throw new DamageError({
        file: this.name,
        block: this.#blockName(entry),
        ...(record === undefined ? {} : { record }),
        offset: entry.offset + at,
        reason,
      });
    };
  }

  /** What is told of a footer that does not fit its file's kind; `at`: byte of the footer. */
  failInFooter(): Fail {
    return (reason, at = 0) => {
      throw new DamageError({ file: this.name, block: "footer", offset: this.summaryOffset + at, reason });
    };
  }

  #judge(entry: BlockEntry, checksum: number, nonZero: number): void {
    const damage = this.#damage(entry, checksum, nonZero);
    if (damage !== undefined) throw new DamageError(damage);
  }

  #damage(entry: BlockEntry, checksum: number, nonZero: number): Damage | undefined {
    const where = { file: this.name, block: this.#blockName(entry), record: entry.first };
    if (checksum !== entry.checksum) return { ...where, offset: entry.offset, reason: "the checksum differs" };
    if (nonZero < 0) return undefined;
    return { ...where, offset: entry.offset + nonZero, reason: "a byte behind the block is not zero" };
  }
}

/** Reads in pieces that are checked while the next is on its way to nobody: one stretch a piece. Returns the checksum of the first `checked` bytes after `previous`. */
async function readPieces(
  file: ReadableFile,
  offset: number,
  into: Uint8Array,
  previous: number,
  checked: number = into.length,
): Promise<number> {
  let checksum = previous;
  for (let at = 0; at < into.length; at += STORAGE_LIMITS.readPieceBytes) {
    const end = Math.min(into.length, at + STORAGE_LIMITS.readPieceBytes);
    await file.read(offset + at, into.subarray(at, end));
    checksum = crc32c(into.subarray(at, Math.min(end, Math.max(at, checked))), checksum);
  }
  return checksum;
}
