/**
 * Reads a journal from its header to its end, or to the first record that is not whole: a crash
 * leaves one that nobody was promised, and behind damage nothing can be trusted. Memory is bounded
 * by a mebibyte and the record at hand. The file is the caller's.
 *
 * Its header (file-header.ts):   24  generation u64    32  base version u64    40  zeros
 */
import { STORAGE_LIMITS } from "../core/limits.ts";
import type { StoredColumnShape } from "../core/stored-column.ts";
import { crc32c } from "./crc32c.ts";
import { type Damage, DamageError, type Fail } from "./damage.ts";
import type { ReadableFile } from "./driver.ts";
import { aligned, firstNonZero, readU64 } from "./fields.ts";
import { checkHeader, checkUnused, HEADER_BYTES, HEADER_FIELDS } from "./file-header.ts";
import { decodePayload, decodeRecordHeader, type JournalRecord, RECORD_HEADER_BYTES } from "./journal-record.ts";
import { ReadAhead } from "./read-ahead.ts";

/** Where a journal ends: what a writer needs to continue it. */
export interface JournalEnd {
  /** Bytes up to the end of the last whole record. */
  readonly goodBytes: number;
  readonly recordCount: number;
  /** Of the last record, or the journal's base. */
  readonly version: number;
  /** Of the last header: the next one repeats it. */
  readonly checksum: number;
  /** Why reading ended before the file did; `record` counts from 0. */
  readonly damage?: Damage;
}

export interface JournalHead {
  readonly generation: number;
  /** The version that the first record follows. */
  readonly baseVersion: number;
}

export class JournalReader {
  readonly head: JournalHead;
  readonly #file: ReadableFile;
  readonly #name: string;
  readonly #shape: StoredColumnShape;
  readonly #start: JournalEnd;
  #end: JournalEnd | undefined;

  private constructor(file: ReadableFile, name: string, shape: StoredColumnShape, head: JournalHead, checksum: number) {
    this.#file = file;
    this.#name = name;
    this.#shape = shape;
    this.head = head;
    this.#start = { goodBytes: HEADER_BYTES, recordCount: 0, version: head.baseVersion, checksum };
  }

  /** `generation`: what the file's name says. Rejects with CORRUPT where the header is damaged, or UNSUPPORTED_FORMAT. */
  static async open(
    file: ReadableFile,
    name: string,
    generation: number,
    shape: StoredColumnShape,
  ): Promise<JournalReader> {
    const fail: Fail = (reason, offset = 0) => {
      throw new DamageError({ file: name, block: "header", offset, reason });
    };
    if (file.size < HEADER_BYTES) fail("the file is shorter than its header", file.size);
    const bytes = new Uint8Array(HEADER_BYTES);
    await file.read(0, bytes);
    const view = checkHeader(bytes, "journal", name, fail);
    checkUnused(bytes, 20, HEADER_FIELDS, fail);
    checkUnused(bytes, HEADER_FIELDS + 16, HEADER_BYTES - 4, fail);
    const baseVersion = readU64(view, HEADER_FIELDS + 8);
    if (readU64(view, HEADER_FIELDS) !== generation) fail("it is not the generation its name says", HEADER_FIELDS);
    if (Number.isNaN(baseVersion)) fail("the version is beyond 2^53", HEADER_FIELDS + 8);
    return new JournalReader(file, name, shape, { generation, baseVersion }, view.getUint32(HEADER_BYTES - 4, true));
  }

  /** All whole records, in order. Rejects with UNSUPPORTED_FORMAT at one of an unknown kind, or as the file does. */
  async *records(): AsyncGenerator<JournalRecord, void, undefined> {
    const source = new ReadAhead(this.#file, STORAGE_LIMITS.readPieceBytes);
    let end = this.#start;
    while (end.goodBytes < this.#file.size) {
      const found = await this.#readRecord(source, end);
      if ("damage" in found) {
        this.#end = { ...end, damage: found.damage };
        return;
      }
      end = found.end;
      yield found.record;
    }
    this.#end = end;
  }

  /** Once `records` has ended by itself. */
  get end(): JournalEnd {
    if (this.#end === undefined) throw new Error("the end of a journal that was not read");
    return this.#end;
  }

  async #readRecord(
    source: ReadAhead,
    before: JournalEnd,
  ): Promise<{ readonly record: JournalRecord; readonly end: JournalEnd } | { readonly damage: Damage }> {
    const start = before.goodBytes;
    const failFrom =
      (base: number): Fail =>
      (reason, offset = 0) => {
        throw new DamageError({ file: this.#name, record: before.recordCount, offset: base + offset, reason });
      };
    try {
      const payloadAt = start + RECORD_HEADER_BYTES;
      if (payloadAt > this.#file.size) failFrom(start)("the file ends within the record's header");
      const headerBytes = await source.view(start, RECORD_HEADER_BYTES);
      const header = decodeRecordHeader(headerBytes, before.checksum, before.version, this.#name, failFrom(start));
      const padded = aligned(header.payloadBytes);
      if (payloadAt + padded > this.#file.size) failFrom(payloadAt)("the file ends within the record");
      const bytes = await source.copy(payloadAt, padded);
      const payload = bytes.subarray(0, header.payloadBytes);
      if (crc32c(payload) !== header.payloadChecksum) failFrom(payloadAt)("the checksum of the record differs");
      const nonZero = firstNonZero(bytes, payload.length, padded);
      if (nonZero >= 0) failFrom(payloadAt)("a byte behind the record is not zero", nonZero);
      const record = decodePayload(header, payload, this.#shape, failFrom(payloadAt));
      const end: JournalEnd = {
        goodBytes: payloadAt + padded,
        recordCount: before.recordCount + 1,
        version: header.version,
        checksum: header.checksum,
      };
      return { record, end };
    } catch (error) {
      if (error instanceof DamageError) return { damage: error.details };
      throw error;
    }
  }
}
