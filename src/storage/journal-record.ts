/**
 * One committed change, as a value and as bytes; pure. A record is a header and a payload, zeros up
 * to the next multiple of 64. Each header repeats the checksum of the header before it, so that
 * what an earlier write left behind the end of the journal can never follow a later record.
 *
 *    0  magic "NFJR"    4  kind u32    8  version u64    16  time f64    24  payload bytes u32    28  CRC32C of the payload u32
 *   32  count u32    36  checksum of the header before u32    40  zeros    60  CRC32C of 0 … 59
 */
import { STORAGE_LIMITS } from "../core/limits.ts";
import type { StoredColumnShape } from "../core/stored-column.ts";
import { batchBytes, decodeBatch, encodeBatch } from "./batch-columns.ts";
import { crc32c } from "./crc32c.ts";
import { type Fail, unsupportedFormat } from "./damage.ts";
import { aligned, isTime, readU64, viewOf, writeU64 } from "./fields.ts";
import { checkUnused } from "./file-header.ts";
import type { RecordBatch, TextColumn } from "./record-batch.ts";
import { decodeSegmentRef, encodeSegmentRef, SEGMENT_REF_BYTES, type SegmentRef } from "./segment-facts.ts";
import { decodeTag, encodeTag, tagBytes } from "./tag-payload.ts";
import { decodeText, encodeText, textBytes, textCount } from "./text-block.ts";

interface Stamp {
  /** One more than the record before it says; of a tag, which changes no record, the same. */
  readonly version: number;
  readonly atMs: number;
}

export type JournalRecord = Stamp & JournalChange;
export type JournalChange =
  | { readonly kind: "upsert"; readonly batch: RecordBatch }
  /** A bulk upsert: all records of a segment that is durable already. */
  | { readonly kind: "segment"; readonly segment: SegmentRef }
  | { readonly kind: "delete"; readonly ids: TextColumn }
  /** `target`: the version that has the name from now on; undefined: none. */
  | { readonly kind: "tag"; readonly name: string; readonly target: number | undefined };

export const RECORD_HEADER_BYTES = 64;
const KIND_CODE: Readonly<Record<JournalRecord["kind"], number>> = { upsert: 1, segment: 2, delete: 3, tag: 4 };
/** "NFJR" */
const RECORD_MAGIC = 0x524a464e;
const CHECKSUM_AT = 60;

/** The version a record must have behind one of `last`. */
export function versionAfter(last: number, kind: JournalRecord["kind"]): number {
  return kind === "tag" ? last : last + 1;
}

export function payloadBytes(change: JournalChange): number {
  switch (change.kind) {
    case "upsert":
      return batchBytes(change.batch);
    case "segment":
      return SEGMENT_REF_BYTES;
    case "delete":
      return textBytes(change.ids);
    case "tag":
      return tagBytes(change.name);
    default:
      return change satisfies never;
  }
}

/** Bytes of a record in the journal. */
export function recordBytes(change: JournalChange): number {
  return RECORD_HEADER_BYTES + aligned(payloadBytes(change));
}

/** Writes a record to `into`, which has `recordBytes` zeros, and returns the checksum of its header. `previous`: of the header before. */
export function encodeRecord(record: JournalRecord, into: Uint8Array, previous: number): number {
  const length = payloadBytes(record);
  const payload = into.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + length);
  const count = encodePayload(record, payload);
  const view = viewOf(into);
  view.setUint32(0, RECORD_MAGIC, true);
  view.setUint32(4, KIND_CODE[record.kind], true);
  writeU64(view, 8, record.version);
  view.setFloat64(16, record.atMs, true);
  view.setUint32(24, length, true);
  view.setUint32(28, crc32c(payload), true);
  view.setUint32(32, count, true);
  view.setUint32(36, previous, true);
  const checksum = crc32c(into.subarray(0, CHECKSUM_AT));
  view.setUint32(CHECKSUM_AT, checksum, true);
  return checksum;
}

/** Returns the count of the header. */
function encodePayload(record: JournalRecord, payload: Uint8Array): number {
  switch (record.kind) {
    case "upsert":
      encodeBatch(record.batch, payload);
      return record.batch.count;
    case "segment":
      encodeSegmentRef(record.segment, payload, 0);
      return 1;
    case "delete":
      encodeText(record.ids, payload, 0);
      return textCount(record.ids);
    case "tag":
      encodeTag(record.name, record.target, payload);
      return 1;
    default:
      return record satisfies never;
  }
}

export interface RecordHeader extends Stamp {
  readonly kind: JournalRecord["kind"];
  readonly payloadBytes: number;
  readonly payloadChecksum: number;
  readonly count: number;
  /** Its own. */
  readonly checksum: number;
}

/** `previous`: checksum of the header before; `last`: its version. `fail` takes bytes of the header. */
export function decodeRecordHeader(
  bytes: Uint8Array,
  previous: number,
  last: number,
  file: string,
  fail: Fail,
): RecordHeader {
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== RECORD_MAGIC) fail("no record begins here");
  const checksum = crc32c(bytes.subarray(0, CHECKSUM_AT));
  if (view.getUint32(CHECKSUM_AT, true) !== checksum) fail("the checksum of the record's header differs", CHECKSUM_AT);
  if (view.getUint32(36, true) !== previous) fail("the record does not belong behind the one before it", 36);
  const kind = kindOf(view.getUint32(4, true), file);
  checkUnused(bytes, 40, CHECKSUM_AT, fail);
  const version = readU64(view, 8);
  if (version !== versionAfter(last, kind)) fail(`a ${kind} makes version ${version} of version ${last}`, 8);
  const atMs = view.getFloat64(16, true);
  if (!isTime(atMs)) fail("the time is none", 16);
  return {
    kind,
    version,
    atMs,
    payloadBytes: view.getUint32(24, true),
    payloadChecksum: view.getUint32(28, true),
    count: view.getUint32(32, true),
    checksum,
  };
}

/** A kind we do not know is not damage: taken for it, the records behind would be cut off. */
function kindOf(code: number, file: string): JournalRecord["kind"] {
  for (const kind of ["upsert", "segment", "delete", "tag"] as const) if (KIND_CODE[kind] === code) return kind;
  throw unsupportedFormat(file, `a record of kind ${code}`, "kinds 1 to 4");
}

/** `payload`: whole, its checksum seen, in memory of its own that the record keeps. `fail` takes bytes of it. */
export function decodePayload(
  header: RecordHeader,
  payload: Uint8Array,
  shape: StoredColumnShape,
  fail: Fail,
): JournalRecord {
  const { kind, version, atMs, count } = header;
  switch (kind) {
    case "upsert":
      return { kind, version, atMs, batch: decodeBatch(payload, count, shape, fail) };
    case "segment":
      if (payload.length !== SEGMENT_REF_BYTES || count !== 1) fail("it names no segment");
      return { kind, version, atMs, segment: decodeSegmentRef(payload, 0, fail) };
    case "delete":
      return { kind, version, atMs, ids: decodeText(payload, count, fail) };
    case "tag":
      if (count !== 1) fail("it is no tag");
      return { kind, version, atMs, ...decodeTag(payload, version, fail) };
    default:
      return kind satisfies never;
  }
}

/** Whether a change may go into the journal whole; larger ones go into a segment, or several deletes. */
export function fitsJournal(change: JournalChange): boolean {
  return payloadBytes(change) <= STORAGE_LIMITS.journalRecordBytes;
}
