/**
 * Appends to a journal: one write and one sync for all records of a call, and the sync is the
 * commit. The file is the caller's; there is one writer of it, and one call at a time.
 *
 * After a failed write the file is cut back to the last good end, durably, and the writer goes on:
 * a full disk is not the end. When cutting back fails, or a sync did (nobody knows then what is on
 * the disk, and the next sync may succeed without writing it), the writer refuses what follows:
 * reopening the collection reads what is there. Either way what was rejected is not followed by
 * anything, for each record names the one before it.
 */
import { NearfieldError } from "../core/errors.ts";
import { STORAGE_LIMITS } from "../core/limits.ts";
import type { StoredColumnShape } from "../core/stored-column.ts";
import { checkBatch } from "./batch-columns.ts";
import type { WritableFile } from "./driver.ts";
import { viewOf, writeU64 } from "./fields.ts";
import { encodeHeader, HEADER_BYTES, HEADER_FIELDS } from "./file-header.ts";
import type { JournalEnd, JournalHead } from "./journal-reader.ts";
import {
  encodeRecord,
  fitsJournal,
  type JournalRecord,
  payloadBytes,
  recordBytes,
  versionAfter,
} from "./journal-record.ts";

export class JournalWriter {
  readonly #file: WritableFile;
  readonly #shape: StoredColumnShape;
  #end: JournalEnd;
  #isBusy = false;
  #failure: unknown;

  private constructor(file: WritableFile, shape: StoredColumnShape, end: JournalEnd) {
    this.#file = file;
    this.#shape = shape;
    this.#end = end;
  }

  /** A new journal in an empty file, durable when it resolves; its name is when the caller has synced the folder. */
  static async create(file: WritableFile, head: JournalHead, shape: StoredColumnShape): Promise<JournalWriter> {
    const header = encodeHeader("journal", (view) => {
      writeU64(view, HEADER_FIELDS, head.generation);
      writeU64(view, HEADER_FIELDS + 8, head.baseVersion);
    });
    await file.write(0, header);
    await file.sync();
    const checksum = viewOf(header).getUint32(HEADER_BYTES - 4, true);
    return new JournalWriter(file, shape, {
      goodBytes: HEADER_BYTES,
      recordCount: 0,
      version: head.baseVersion,
      checksum,
    });
  }

  /** Goes on where a reader ended: what lies behind is cut off, durably, before anything follows. */
  static async resume(file: WritableFile, end: JournalEnd, shape: StoredColumnShape): Promise<JournalWriter> {
    if (file.size > end.goodBytes) await file.truncate(end.goodBytes);
    // Also what was read may lie in the platform's memory only: a process that was killed had no time to sync.
    await file.sync();
    const { goodBytes, recordCount, version, checksum } = end;
    return new JournalWriter(file, shape, { goodBytes, recordCount, version, checksum });
  }

  /** Where the journal ends: its length, records and version decide when a checkpoint is due. */
  get end(): JournalEnd {
    return this.#end;
  }

  /** Whether it is known what is on the disk: false after a failed sync, or when cutting back failed. */
  get isUsable(): boolean {
    return this.#failure === undefined;
  }

  /** Durable when it resolves, all of them; when it rejects, none is, except after a failed sync (see above). TOO_LARGE: a record that belongs into a segment. */
  async append(records: readonly JournalRecord[]): Promise<void> {
    if (this.#isBusy) throw new Error("a journal is written by one at a time");
    if (this.#failure !== undefined) throw refusal(this.#failure);
    if (records.length === 0) return;
    const { bytes, end } = this.#encode(records);
    this.#isBusy = true;
    try {
      await this.#write(bytes);
      await this.#sync();
      this.#end = end;
    } finally {
      this.#isBusy = false;
    }
  }

  #encode(records: readonly JournalRecord[]): { readonly bytes: Uint8Array; readonly end: JournalEnd } {
    let size = 0;
    for (const record of records) {
      if (record.kind === "upsert") checkBatch(record.batch, this.#shape);
      if (!fitsJournal(record)) throw tooLarge(payloadBytes(record));
      size += recordBytes(record);
    }
    const bytes = new Uint8Array(size);
    let { goodBytes, recordCount, version, checksum } = this.#end;
    let at = 0;
    for (const record of records) {
      if (record.version !== versionAfter(version, record.kind)) {
        throw new Error(`a ${record.kind} of version ${record.version} behind version ${version}`);
      }
      const length = recordBytes(record);
      checksum = encodeRecord(record, bytes.subarray(at, at + length), checksum);
      at += length;
      version = record.version;
      recordCount++;
    }
    goodBytes += size;
    return { bytes, end: { goodBytes, recordCount, version, checksum } };
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#file.write(this.#end.goodBytes, bytes);
    } catch (error) {
      await this.#cutBack();
      throw error;
    }
  }

  async #sync(): Promise<void> {
    try {
      await this.#file.sync();
    } catch (error) {
      await this.#cutBack();
      this.#failure = error;
      throw error;
    }
  }

  /** Never rejects: what went wrong first is what the caller is told. */
  async #cutBack(): Promise<void> {
    try {
      await this.#file.truncate(this.#end.goodBytes);
      await this.#file.sync();
    } catch (error) {
      this.#failure = error;
    }
  }
}

function refusal(cause: unknown): NearfieldError {
  return new NearfieldError("READ_ONLY", {
    got: "a change after writing the journal had failed",
    expected: "a journal whose end on the disk is known",
    remedy: "close the collection and open it again: it then says what was kept",
    cause,
  });
}

function tooLarge(bytes: number): NearfieldError {
  return new NearfieldError("TOO_LARGE", {
    got: `a journal record of ${bytes} bytes`,
    expected: `at most ${STORAGE_LIMITS.journalRecordBytes}`,
    remedy: "write the records as a segment, or in several calls",
  });
}
