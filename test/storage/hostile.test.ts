/**
 * Files that a stranger made: checksums right, numbers wrong. Readers refuse them before they ask
 * for memory: what they ask the file for never exceeds a few times its size.
 */
import { describe, expect, test } from "vitest";
import type { StoredColumnShape } from "../../src/core/stored-column.ts";
import { type BlockEntry, encodeFooter, encodeTrailer } from "../../src/storage/block-table.ts";
import { crc32c } from "../../src/storage/crc32c.ts";
import { aligned, viewOf } from "../../src/storage/fields.ts";
import { encodeHeader } from "../../src/storage/file-header.ts";
import { JournalReader } from "../../src/storage/journal-reader.ts";
import { readManifest } from "../../src/storage/manifest-reader.ts";
import { BLOCK, encodeSegmentSummary } from "../../src/storage/segment-layout.ts";
import { Segment } from "../../src/storage/segment-reader.ts";
import { MemoryFile } from "./memory-file.ts";

const SHAPE: StoredColumnShape = { rowBytes: 16, hasScales: false };

interface Forged {
  readonly kind: number;
  readonly first: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

interface Edits {
  readonly count?: number;
  /** Of the footer's bytes, before they are checksummed. */
  readonly footer?: (view: DataView) => void;
  readonly trailer?: (view: DataView) => void;
  readonly header?: (view: DataView) => void;
}

/** A file of these blocks with checksums that are right whatever is edited. */
function forge(blocks: readonly Forged[], edits: Edits = {}): MemoryFile {
  const header = encodeHeader("segment", edits.header);
  const parts: Uint8Array[] = [header];
  const entries: BlockEntry[] = [];
  let end = 64;
  for (const { kind, first, count, bytes } of blocks) {
    entries.push({ kind, first, count, offset: end, length: bytes.length, checksum: crc32c(bytes) });
    const padded = new Uint8Array(aligned(bytes.length));
    padded.set(bytes);
    parts.push(padded);
    end += padded.length;
  }
  const summary = encodeSegmentSummary({ count: edits.count ?? 2, shape: SHAPE, minNorm: 1, maxNorm: 2 });
  const footer = encodeFooter(summary, entries);
  edits.footer?.(viewOf(footer));
  const checksum = crc32c(footer, crc32c(header));
  const trailer = encodeTrailer({
    footerOffset: end,
    footerBytes: footer.length,
    entryCount: entries.length,
    checksum,
  });
  edits.trailer?.(viewOf(trailer));
  viewOf(trailer).setUint32(52, crc32c(trailer.subarray(0, 52)), true);
  return MemoryFile.of(Buffer.concat([...parts, footer, trailer]));
}

const text = (...words: number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);
const rows: Forged = { kind: BLOCK.rows, first: 0, count: 2, bytes: new Uint8Array(32).fill(1) };
const terms: Forged = { kind: BLOCK.terms, first: 0, count: 2, bytes: new Uint8Array(8) };
const ids: Forged = { kind: BLOCK.ids, first: 0, count: 2, bytes: Uint8Array.from([...text(0, 1, 2), 65, 66]) };
const metadata: Forged = { kind: BLOCK.metadata, first: 0, count: 2, bytes: text(0, 0, 0) };
const GOOD: readonly Forged[] = [rows, terms, ids, metadata];

/** Reads everything. */
async function readAll(file: MemoryFile): Promise<void> {
  const segment = await Segment.open(file, "segment-1", SHAPE);
  const { count } = segment;
  const into = { rows: new Uint8Array(count * 16), terms: new Float32Array(count), scales: new Float32Array(0) };
  await segment.vectors().read(0, into);
  for await (const _ of segment.ids());
  for await (const _ of segment.metadata());
}

const ENTRY = 64;
const U32_MAX = 2 ** 32 - 1;

describe("a forged segment", () => {
  test("without an edit is read, also with a block of a kind to come", async () => {
    await readAll(forge(GOOD));
    const file = forge([...GOOD, { kind: 99, first: 5, count: 0, bytes: Uint8Array.of(1) }]);
    await readAll(file);
    await (await Segment.open(file, "segment-1", SHAPE)).verify((damage) => expect(damage).toBeUndefined());
  });

  const edits: [string, Edits][] = [
    ["2^32 − 1 records", { count: U32_MAX }],
    ["no records", { count: 0 }],
    ["rows of 2^32 − 1 bytes", { footer: (view) => view.setUint32(4, U32_MAX, true) }],
    ["rows of no bytes", { footer: (view) => view.setUint32(4, 0, true) }],
    ["scales of a third kind", { footer: (view) => view.setUint32(8, 2, true) }],
    ["a norm that is NaN", { footer: (view) => view.setFloat64(16, Number.NaN, true) }],
    ["a largest norm of −0", { footer: (view) => view.setFloat64(24, -0, true) }],
    ["a bit where the summary has zeros", { footer: (view) => view.setUint8(63, 1) }],
    ["a block of 2^53 bytes", { footer: (view) => view.setUint32(ENTRY + 28, 2 ** 21, true) }],
    ["a block of 2^53 − 2^32 bytes", { footer: (view) => view.setUint32(ENTRY + 28, 2 ** 21 - 1, true) }],
    ["a block of 2^32 − 1 bytes", { footer: (view) => view.setUint32(ENTRY + 24, U32_MAX, true) }],
    ["a block of no bytes", { footer: (view) => view.setUint32(ENTRY + 24, 0, true) }],
    ["a block at 2^53", { footer: (view) => view.setUint32(ENTRY + 20, 2 ** 21, true) }],
    ["a block on the header", { footer: (view) => view.setUint32(ENTRY + 16, 0, true) }],
    ["two blocks in one place", { footer: (view) => view.setUint32(ENTRY + 32 + 16, 64, true) }],
    ["a block that covers the next", { footer: (view) => view.setUint32(ENTRY + 24, 100, true) }],
    ["a last block that ends early", { footer: (view) => view.setUint32(ENTRY + 96 + 16, 64 * 5, true) }],
    ["rows that begin at 1", { footer: (view) => view.setUint32(ENTRY + 4, 1, true) }],
    ["2^32 − 1 rows in a page", { footer: (view) => view.setUint32(ENTRY + 8, U32_MAX, true) }],
    ["2^32 − 1 ids in a block", { footer: (view) => view.setUint32(ENTRY + 64 + 8, U32_MAX, true) }],
    ["rows that are something else", { footer: (view) => view.setUint32(ENTRY, 77, true) }],
    ["2^32 − 1 blocks", { trailer: (view) => view.setUint32(16, U32_MAX, true) }],
    ["one block less", { trailer: (view) => view.setUint32(16, 3, true) }],
    ["a footer at 2^53", { trailer: (view) => view.setUint32(4, 2 ** 21, true) }],
    ["a footer of 2^53 bytes", { trailer: (view) => view.setUint32(12, 2 ** 21, true) }],
    ["a footer on the header", { trailer: (view) => view.setUint32(0, 0, true) }],
    ["a bit where the trailer has zeros", { trailer: (view) => view.setUint8(51, 1) }],
    ["a bit where the header has zeros", { header: (view) => view.setUint8(59, 1) }],
  ];
  test.each(edits)("with %s is refused", async (_, edit) => {
    await refused(forge(GOOD, edit));
  });

  const blocks: [string, readonly Forged[]][] = [
    ["no terms", [rows, ids, metadata]],
    ["scales it should not have", [...GOOD, { ...terms, kind: BLOCK.scales }]],
    ["rows twice", [rows, ...GOOD]],
    ["rows of a page and terms of two", [rows, half(terms, 0), half(terms, 1), ids, metadata]],
    ["rows of the wrong size", [{ ...rows, bytes: new Uint8Array(33) }, terms, ids, metadata]],
    ["terms of the wrong size", [rows, { ...terms, bytes: new Uint8Array(12) }, ids, metadata]],
    ["ids of one record less", [rows, terms, { ...ids, count: 1, bytes: text(0, 0) }, metadata]],
    ["an empty page", [{ ...rows, count: 0 }, terms, ids, metadata]],
    ["ids that begin at 1", [rows, terms, { ...ids, bytes: Uint8Array.from([...text(1, 1, 2), 65, 66]) }, metadata]],
    ["ids that go back", [rows, terms, { ...ids, bytes: Uint8Array.from([...text(0, 3, 2), 65, 66]) }, metadata]],
    ["ids that end early", [rows, terms, { ...ids, bytes: Uint8Array.from([...text(0, 1, 1), 65, 66]) }, metadata]],
    ["ids that end late", [rows, terms, { ...ids, bytes: Uint8Array.from([...text(0, 1, 3), 65, 66]) }, metadata]],
    ["ids at 2^32 − 1", [rows, terms, { ...ids, bytes: Uint8Array.from([...text(0, 1, U32_MAX), 65, 66]) }, metadata]],
    ["ids without room for offsets", [rows, terms, { ...ids, bytes: text(0, 0) }, metadata]],
  ];
  test.each(blocks)("with %s is refused", async (_, forged) => {
    await refused(forge(forged));
  });

  test("with bytes that belong to no block is refused", async () => {
    const extra = { kind: 99, first: 0, count: 1, bytes: new Uint8Array(130) };
    await readAll(forge([...GOOD, extra]));
    await refused(forge([...GOOD, extra], { footer: (view) => view.setUint32(ENTRY + 128 + 24, 60, true) }));
  });

  test("is told from one of a later format, which asks for a later nearfield", async () => {
    for (const header of [
      (view: DataView) => view.setUint16(8, 2, true),
      (view: DataView) => view.setUint32(12, 1, true),
      (view: DataView) => view.setUint32(12, 2 ** 31, true),
    ]) {
      await expect(readAll(forge(GOOD, { header }))).rejects.toMatchObject({ code: "UNSUPPORTED_FORMAT" });
    }
    await readAll(forge(GOOD, { header: (view) => view.setUint32(16, 1, true) }));
  });

  test("is no manifest", async () => {
    await expect(readManifest(forge(GOOD), "manifest-1", 1)).rejects.toMatchObject({ code: "CORRUPT" });
  });
});

function half(block: Forged, index: number): Forged {
  return { ...block, first: index, count: 1, bytes: block.bytes.subarray(0, 4) };
}

async function refused(file: MemoryFile): Promise<void> {
  await expect(readAll(file)).rejects.toMatchObject({ code: "CORRUPT", details: { file: "segment-1" } });
  expect(file.readBytes).toBeLessThanOrEqual(file.size * 4);
}

/** A journal of one record of this kind, after version 10; `edit`: of the header, before it is checksummed. */
function forgeRecord(kind: number, count: number, payload: Uint8Array, edit?: (view: DataView) => void): MemoryFile {
  const header = encodeHeader("journal", (view) => {
    view.setUint32(24, 3, true);
    view.setUint32(32, 10, true);
  });
  const record = new Uint8Array(64 + aligned(payload.length));
  const view = viewOf(record);
  record.set(new TextEncoder().encode("NFJR"));
  record.set(payload, 64);
  view.setUint32(4, kind, true);
  view.setUint32(8, kind === 4 ? 10 : 11, true);
  view.setUint32(24, payload.length, true);
  view.setUint32(28, crc32c(payload), true);
  view.setUint32(32, count, true);
  view.setUint32(36, viewOf(header).getUint32(60, true), true);
  edit?.(view);
  view.setUint32(60, crc32c(record.subarray(0, 60)), true);
  return MemoryFile.of(Buffer.concat([header, record]));
}

/** An upsert's payload of one record of 16 bytes, an id "A" and no metadata. */
function upsert(edit?: (view: DataView) => void): Uint8Array {
  const payload = new Uint8Array(64 + 16 + 4 + 16 + 1);
  const view = viewOf(payload);
  view.setUint32(0, 16, true);
  view.setUint32(8, 1, true);
  view.setFloat64(16, 1, true);
  view.setFloat64(24, 1, true);
  view.setUint32(88, 1, true);
  payload[100] = 65;
  edit?.(view);
  return payload;
}

/** A tag's payload: set, version, name "t". */
function tag(isSet: number, version: number, name = [116]): Uint8Array {
  const payload = new Uint8Array(16 + name.length);
  viewOf(payload).setUint32(0, isSet, true);
  viewOf(payload).setUint32(8, version, true);
  payload.set(name, 16);
  return payload;
}

async function recordsOf(file: MemoryFile): Promise<{ count: number; reason: string | undefined }> {
  const reader = await JournalReader.open(file, "journal-3", 3, SHAPE);
  let count = 0;
  for await (const _ of reader.records()) count++;
  expect(file.readBytes).toBeLessThanOrEqual(file.size * 4);
  return { count, reason: reader.end.damage?.reason };
}

describe("a forged journal record", () => {
  const good: [string, MemoryFile][] = [
    ["an upsert", forgeRecord(1, 1, upsert())],
    ["a delete", forgeRecord(3, 2, Uint8Array.from([...text(0, 1, 2), 65, 66]))],
    ["a delete of nothing", forgeRecord(3, 0, text(0))],
    ["a tag", forgeRecord(4, 1, tag(1, 10))],
    ["a tag taken away", forgeRecord(4, 1, tag(0, 0))],
  ];
  test.each(good)("without an edit is read: %s", async (_, file) => {
    expect(await recordsOf(file)).toEqual({ count: 1, reason: undefined });
  });

  const bad: [string, MemoryFile][] = [
    ["2^32 − 1 bytes", forgeRecord(1, 1, upsert(), (view) => view.setUint32(24, U32_MAX, true))],
    ["one byte less", forgeRecord(1, 1, upsert(), (view) => view.setUint32(24, 100, true))],
    ["2^32 − 1 records", forgeRecord(1, U32_MAX, upsert())],
    ["no records", forgeRecord(1, 0, upsert())],
    [
      "rows of another size",
      forgeRecord(
        1,
        1,
        upsert((view) => view.setUint32(0, 32, true)),
      ),
    ],
    [
      "scales",
      forgeRecord(
        1,
        1,
        upsert((view) => view.setUint32(4, 1, true)),
      ),
    ],
    [
      "ids of 2^32 − 1 bytes",
      forgeRecord(
        1,
        1,
        upsert((view) => view.setUint32(8, U32_MAX, true)),
      ),
    ],
    [
      "metadata of 2^32 − 1 bytes",
      forgeRecord(
        1,
        1,
        upsert((view) => view.setUint32(12, U32_MAX, true)),
      ),
    ],
    [
      "an id that ends at 2^32 − 1",
      forgeRecord(
        1,
        1,
        upsert((view) => view.setUint32(88, U32_MAX, true)),
      ),
    ],
    [
      "metadata that ends late",
      forgeRecord(
        1,
        1,
        upsert((view) => view.setUint32(96, 1, true)),
      ),
    ],
    [
      "a norm that is NaN",
      forgeRecord(
        1,
        1,
        upsert((view) => view.setFloat64(24, Number.NaN, true)),
      ),
    ],
    [
      "a bit where an upsert has zeros",
      forgeRecord(
        1,
        1,
        upsert((view) => view.setUint8(63, 1)),
      ),
    ],
    ["no payload", forgeRecord(1, 1, new Uint8Array(0))],
    ["2^32 − 1 ids to delete", forgeRecord(3, U32_MAX, text(0, 0))],
    ["half a segment", forgeRecord(2, 1, new Uint8Array(32))],
    ["two segments", forgeRecord(2, 2, new Uint8Array(128))],
    ["a segment of no norms", forgeRecord(2, 1, new Uint8Array(64))],
    ["a tag of a version to come", forgeRecord(4, 1, tag(1, 11))],
    ["a tag taken away from a version", forgeRecord(4, 1, tag(0, 1))],
    ["a tag that is neither", forgeRecord(4, 1, tag(2, 1))],
    ["a tag without a name", forgeRecord(4, 1, tag(1, 1, []))],
    ["a tag with a long name", forgeRecord(4, 1, tag(1, 1, Array<number>(257).fill(65)))],
    ["a tag that is no UTF-8", forgeRecord(4, 1, tag(1, 1, [0xff]))],
    ["two tags", forgeRecord(4, 2, tag(1, 1))],
    ["the version before it", forgeRecord(3, 0, text(0), (view) => view.setUint32(8, 10, true))],
    ["a version left out", forgeRecord(3, 0, text(0), (view) => view.setUint32(8, 12, true))],
    ["version 2^53", forgeRecord(3, 0, text(0), (view) => view.setUint32(12, 2 ** 21, true))],
    ["a tag that makes a version", forgeRecord(4, 1, tag(1, 1), (view) => view.setUint32(8, 11, true))],
    ["a time that is NaN", forgeRecord(3, 0, text(0), (view) => view.setFloat64(16, Number.NaN, true))],
    ["another record before it", forgeRecord(3, 0, text(0), (view) => view.setUint32(36, 1, true))],
    ["a bit where the header has zeros", forgeRecord(3, 0, text(0), (view) => view.setUint8(59, 1))],
  ];
  test.each(bad)("with %s ends the journal", async (_, file) => {
    const { count, reason } = await recordsOf(file);
    expect([count, typeof reason]).toEqual([0, "string"]);
  });

  test("of a kind to come is no damage, which would be cut off", async () => {
    await expect(recordsOf(forgeRecord(5, 0, text(0)))).rejects.toMatchObject({ code: "UNSUPPORTED_FORMAT" });
  });
});
