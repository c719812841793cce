/** Every single flipped bit and every truncation of small files of each kind: found, or harmless. */
import { describe, expect, test } from "vitest";
import { NearfieldError } from "../../src/core/errors.ts";
import type { StoredColumnShape } from "../../src/core/stored-column.ts";
import type { Damage } from "../../src/storage/damage.ts";
import { JournalReader } from "../../src/storage/journal-reader.ts";
import type { JournalRecord } from "../../src/storage/journal-record.ts";
import { JournalWriter } from "../../src/storage/journal-writer.ts";
import { readManifest } from "../../src/storage/manifest-reader.ts";
import { writeManifest } from "../../src/storage/manifest-writer.ts";
import type { TextColumn } from "../../src/storage/record-batch.ts";
import { decodeRoot, encodeRoot } from "../../src/storage/roots.ts";
import { Segment } from "../../src/storage/segment-reader.ts";
import { SegmentWriter } from "../../src/storage/segment-writer.ts";
import { manifestOf } from "./manifests.ts";
import { MemoryFile } from "./memory-file.ts";
import { batchOf, column, SHAPES, someRecords, texts } from "./records.ts";

const SHAPE = SHAPES[1] as StoredColumnShape;

/** What a reader makes of bytes: a value, or what it said of damage. Anything else is a bug and thrown. */
async function outcome<T>(read: (file: MemoryFile) => Promise<T>, bytes: Uint8Array): Promise<T | "refused"> {
  const file = MemoryFile.of(bytes);
  try {
    return await read(file);
  } catch (error) {
    const isTold = error instanceof NearfieldError && ["CORRUPT", "UNSUPPORTED_FORMAT"].includes(error.code);
    if (!isTold) throw error;
    return "refused";
  } finally {
    expect(file.readBytes).toBeLessThanOrEqual(bytes.length * 4);
  }
}

/** All copies of `bytes` with one byte changed: its lowest bit, its highest, all of it. */
function* flips(bytes: Uint8Array): Generator<{ at: number; changed: Uint8Array }> {
  for (let at = 0; at < bytes.length; at++) {
    for (const mask of [1, 0x80, 0xff]) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ mask;
      yield { at, changed };
    }
  }
}

function* truncations(bytes: Uint8Array): Generator<Uint8Array> {
  for (let size = 0; size < bytes.length; size++) yield bytes.slice(0, size);
}

async function smallSegment(): Promise<Uint8Array> {
  const file = new MemoryFile();
  const writer = await SegmentWriter.create(file, SHAPE);
  await writer.append(batchOf(someRecords(5), SHAPE));
  await writer.finish();
  return file.bytes;
}

async function readSegment(file: MemoryFile): Promise<unknown> {
  const segment = await Segment.open(file, "segment-1", SHAPE);
  const { count, facts } = segment;
  const rows = new Uint8Array(count * SHAPE.rowBytes);
  const terms = new Float32Array(count);
  const scales = new Float32Array(count);
  await segment.vectors().read(0, { rows, terms, scales });
  const strings = async (columns: AsyncIterable<TextColumn>): Promise<string[]> => {
    const found: string[] = [];
    for await (const part of columns) found.push(...texts(part));
    return found;
  };
  return { facts, rows, terms, scales, ids: await strings(segment.ids()), metadata: await strings(segment.metadata()) };
}

async function verifySegment(file: MemoryFile): Promise<Damage[]> {
  const found: Damage[] = [];
  await (await Segment.open(file, "segment-1", SHAPE)).verify((damage) => found.push(damage));
  return found;
}

async function smallJournal(): Promise<{ bytes: Uint8Array; ends: number[]; records: JournalRecord[] }> {
  const file = new MemoryFile();
  const writer = await JournalWriter.create(file, { generation: 3, baseVersion: 10 }, SHAPE);
  const facts = { count: 5, sizeBytes: 999, checksum: 7, minNorm: 1, maxNorm: 2 };
  const records: JournalRecord[] = [
    { kind: "upsert", version: 11, atMs: 1, batch: batchOf(someRecords(2), SHAPE) },
    { kind: "segment", version: 12, atMs: 2, segment: { id: 4, facts } },
    { kind: "tag", version: 12, atMs: 3, name: "tag", target: 11 },
    { kind: "delete", version: 13, atMs: 4, ids: column(["id-0", "id-1"]) },
  ];
  const ends: number[] = [file.size];
  for (const record of records) {
    await writer.append([record]);
    ends.push(file.size);
  }
  return { bytes: file.bytes, ends, records };
}

async function readJournal(file: MemoryFile): Promise<{ records: JournalRecord[]; damage: Damage | undefined }> {
  const reader = await JournalReader.open(file, "journal-3", 3, SHAPE);
  const records: JournalRecord[] = [];
  for await (const record of reader.records()) records.push(record);
  return { records, damage: reader.end.damage };
}

describe("a flipped byte", () => {
  test("of a segment is found by reading it, unless it means nothing, and by verify always", async () => {
    const bytes = await smallSegment();
    const whole = await outcome(readSegment, bytes);
    expect(whole).not.toBe("refused");
    let harmless = 0;
    for (const { at, changed } of flips(bytes)) {
      const read = await outcome(readSegment, changed);
      if (read !== "refused") {
        harmless++;
        expect(read, `byte ${at}`).toEqual(whole);
      }
      const verified = await outcome(verifySegment, changed);
      if (verified === "refused") continue;
      expect(verified, `byte ${at}`).toHaveLength(1);
      const [damage] = verified;
      expect(damage?.offset ?? -1, `byte ${at}`).toBeLessThanOrEqual(at);
    }
    // The zeros behind the three blocks of vectors, which nobody reads: 3 masks each.
    expect(harmless).toBe(3 * (16 + 44 + 44));
  });

  test("of a manifest is found", async () => {
    const file = new MemoryFile();
    await writeManifest(file, manifestOf());
    for (const { at, changed } of flips(file.bytes)) {
      expect(await outcome((damaged) => readManifest(damaged, "manifest-7", 7), changed), `byte ${at}`).toBe("refused");
    }
  });

  test("of a journal is found, and what came before it is read", async () => {
    const { bytes, ends, records } = await smallJournal();
    for (const { at, changed } of flips(bytes)) {
      const read = await outcome(readJournal, changed);
      const record = ends.findIndex((end) => at < end) - 1;
      if (record < 0) {
        expect(read, `byte ${at}`).toBe("refused");
        continue;
      }
      if (read === "refused") throw new Error(`byte ${at} hid the records before it`);
      expect(read.records, `byte ${at}`).toEqual(records.slice(0, record));
      expect(read.damage, `byte ${at}`).toMatchObject({ file: "journal-3", record });
    }
  });

  test("of a root is found", () => {
    for (const { at, changed } of flips(encodeRoot({ sequence: 5, generation: 6 }))) {
      expect(() => decodeRoot(changed, 0), `byte ${at}`).toThrow(NearfieldError);
    }
  });
});

describe("a file that was cut off", () => {
  test("is no segment, and no manifest, wherever it was cut", async () => {
    const segment = await smallSegment();
    for (const cut of truncations(segment)) expect(await outcome(readSegment, cut)).toBe("refused");
    const file = new MemoryFile();
    await writeManifest(file, manifestOf());
    for (const cut of truncations(file.bytes)) {
      expect(await outcome((damaged) => readManifest(damaged, "manifest-7", 7), cut)).toBe("refused");
    }
  });

  test("is a journal up to its last whole record, and says so unless it was cut behind one", async () => {
    const { bytes, ends, records } = await smallJournal();
    for (const cut of truncations(bytes)) {
      const read = await outcome(readJournal, cut);
      if (cut.length < 64) {
        expect(read).toBe("refused");
        continue;
      }
      if (read === "refused") throw new Error(`a cut at ${cut.length} hid the records before it`);
      const whole = ends.filter((end) => end <= cut.length).length - 1;
      expect(read.records).toEqual(records.slice(0, whole));
      expect(read.damage === undefined, `cut at ${cut.length}`).toBe(ends.includes(cut.length));
    }
  });

  test("or has zeros or a second end behind it is found too", async () => {
    const segment = await smallSegment();
    for (const tail of [new Uint8Array(64), new Uint8Array(1), segment.slice(-64), segment.slice(-128)]) {
      const longer = Uint8Array.from([...segment, ...tail]);
      expect(await outcome(readSegment, longer)).toBe("refused");
    }
    const { bytes, records } = await smallJournal();
    const read = await outcome(readJournal, Uint8Array.from([...bytes, ...new Uint8Array(4096)]));
    expect(read).toMatchObject({ records, damage: { record: 4, offset: bytes.length } });
  });
});
