import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { STORAGE_LIMITS } from "../../src/core/limits.ts";
import type { StoredColumnShape } from "../../src/core/stored-column.ts";
import type { Damage } from "../../src/storage/damage.ts";
import type { RecordBatch, TextColumn } from "../../src/storage/record-batch.ts";
import type { SegmentFacts } from "../../src/storage/segment-facts.ts";
import { Segment } from "../../src/storage/segment-reader.ts";
import { SegmentWriter } from "../../src/storage/segment-writer.ts";
import { MemoryFile } from "./memory-file.ts";
import { anyRecord, anyShape, batchOf, SHAPES, someRecords, texts } from "./records.ts";

const [PLAIN, SCALED] = SHAPES as [StoredColumnShape, StoredColumnShape];

async function written(
  batches: readonly RecordBatch[],
  shape: StoredColumnShape,
): Promise<{ file: MemoryFile; facts: SegmentFacts }> {
  const file = new MemoryFile();
  const writer = await SegmentWriter.create(file, shape);
  for (const batch of batches) await writer.append(batch);
  return { file, facts: await writer.finish() };
}

async function allTexts(columns: AsyncIterable<TextColumn>): Promise<string[]> {
  const found: string[] = [];
  for await (const column of columns) found.push(...texts(column));
  return found;
}

/** Reads all vectors in calls of `step` rows, into shared memory. */
async function allVectors(segment: Segment, shape: StoredColumnShape, step: number) {
  const { count } = segment;
  const scaleCount = shape.hasScales ? count : 0;
  const rows = new Uint8Array(new SharedArrayBuffer(count * shape.rowBytes));
  const terms = new Float32Array(new SharedArrayBuffer(count * 4));
  const scales = new Float32Array(new SharedArrayBuffer(scaleCount * 4));
  const reader = segment.vectors();
  for (let first = 0; first < count; first += step) {
    const to = Math.min(count, first + step);
    await reader.read(first, {
      rows: rows.subarray(first * shape.rowBytes, to * shape.rowBytes),
      terms: terms.subarray(first, to),
      scales: scales.subarray(first, Math.min(to, scaleCount)),
    });
  }
  return { rows: hex(rows), terms: [...terms], scales: [...scales], minNorm: reader.minNorm, maxNorm: reader.maxNorm };
}

/** Compared faster than bytes. */
function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

async function problems(segment: Segment): Promise<Damage[]> {
  const found: Damage[] = [];
  await segment.verify((damage) => found.push(damage));
  return found;
}

describe("a segment", () => {
  test("gives back what was appended, in whatever batches and steps", async () => {
    const lists = fc.array(fc.array(anyRecord, { maxLength: 20 }), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(anyShape, lists, fc.integer({ min: 1, max: 30 }), async (shape, batches, step) => {
        const { file, facts } = await written(
          batches.map((records) => batchOf(records, shape)),
          shape,
        );
        const segment = await Segment.open(file, "segment-1", shape, facts);
        const all = batches.flat();
        const { vectors } = batchOf(all, shape);
        expect(segment.count).toBe(all.length);
        expect(segment.facts).toEqual(facts);
        expect(await allTexts(segment.ids())).toEqual(all.map(({ id }) => id));
        expect(await allTexts(segment.metadata())).toEqual(all.map(({ metadata }) => metadata));
        expect(await allVectors(segment, shape, step)).toEqual({
          rows: hex(vectors.rows),
          terms: [...vectors.terms],
          scales: [...vectors.scales],
          minNorm: vectors.minNorm,
          maxNorm: vectors.maxNorm,
        });
        expect(await problems(segment)).toEqual([]);
      }),
    );
  });

  test("of no records is a file like another", async () => {
    const { file, facts } = await written([], PLAIN);
    expect(facts).toMatchObject({ count: 0, sizeBytes: 192, minNorm: Number.POSITIVE_INFINITY, maxNorm: 0 });
    const segment = await Segment.open(file, "segment-1", PLAIN, facts);
    expect(await allTexts(segment.ids())).toEqual([]);
    expect(await problems(segment)).toEqual([]);
  });

  test("has the same bytes however it was cut into batches", async () => {
    const records = someRecords(300);
    const whole = await written([batchOf(records, SCALED)], SCALED);
    const cut = await written(
      [0, 1, 2].map((i) => batchOf(records.slice(i * 100, i * 100 + 100), SCALED)),
      SCALED,
    );
    expect(cut.file.bytes).toEqual(whole.file.bytes);
    expect(cut.facts).toEqual(whole.facts);
  });

  test("spans pages and blocks, and is opened by three reads of its ends", async () => {
    const shape = { rowBytes: 4096, hasScales: false };
    const records = someRecords(600, (i) => `{"text":"${"x".repeat(i % 7 === 0 ? 20_000 : 3000)}"}`);
    const { file, facts } = await written([batchOf(records, shape)], shape);
    const segment = await Segment.open(file, "segment-1", shape, facts);
    expect(file.readBytes).toBeLessThan(2048);
    expect(segment.textBlocks("metadata").length).toBeGreaterThan(2);
    expect(await allTexts(segment.metadata())).toEqual(records.map(({ metadata }) => metadata));
    const { vectors } = batchOf(records, shape);
    expect((await allVectors(segment, shape, 100)).rows).toBe(hex(vectors.rows));
  });

  test("keeps blocks within their bounds, except for a text that is longer by itself", async () => {
    const long = "y".repeat(STORAGE_LIMITS.textBlockBytes);
    const records = [
      ...someRecords(3),
      { id: "long", metadata: long, seed: 1 },
      ...someRecords(STORAGE_LIMITS.textBlockRecords + 1, () => ""),
    ];
    const { file } = await written([batchOf(records.slice(0, 4), PLAIN), ...chunks(records.slice(4))], PLAIN);
    const segment = await Segment.open(file, "segment-1", PLAIN);
    expect(segment.textBlocks("metadata").map(({ first, count }) => [first, count])).toEqual([
      [0, 3],
      [3, 1],
      [4, STORAGE_LIMITS.textBlockRecords],
      [4 + STORAGE_LIMITS.textBlockRecords, 1],
    ]);
    expect(texts(await segment.readText("metadata", 1))).toEqual([long]);
    expect(await problems(segment)).toEqual([]);
    expect(await allTexts(segment.ids())).toEqual(records.map(({ id }) => id));
  });

  test.each([
    ["that fill a block to its last byte share it", 0, 1],
    ["of a byte more do not", 1, 2],
  ])("two texts %s", async (_, more, blocks) => {
    const records = someRecords(2, (i) => (i === 0 ? "y".repeat(STORAGE_LIMITS.textBlockBytes - 12 + more) : ""));
    const { file } = await written([batchOf(records, PLAIN)], PLAIN);
    expect((await Segment.open(file, "segment-1", PLAIN)).textBlocks("metadata")).toHaveLength(blocks);
  });

  test("has zeros behind a page that is shorter than the one before it", async () => {
    const { file } = await written(
      [
        batchOf(
          someRecords(22_001, () => ""),
          SCALED,
        ),
      ],
      SCALED,
    );
    const segment = await Segment.open(file, "segment-1", SCALED);
    expect(await problems(segment)).toEqual([]);
  });

  test("tells damage beyond the first mebibyte of a block, and goes on to the next", async () => {
    const records = someRecords(2, () => "y".repeat(STORAGE_LIMITS.readPieceBytes + 100));
    const { file } = await written([batchOf(records, PLAIN)], PLAIN);
    const segment = await Segment.open(file, "segment-1", PLAIN);
    const last = file.bytes.lastIndexOf(121);
    const first = file.bytes.indexOf(121);
    for (const at of [first, first + STORAGE_LIMITS.readPieceBytes + 50, last]) file.bytes[at] = 122;
    expect(await problems(segment)).toMatchObject([
      { block: "metadata from 0", record: 0, reason: "the checksum differs" },
      { block: "metadata from 1", record: 1, reason: "the checksum differs" },
    ]);
  });

  test("reads no byte of vectors beyond what was asked for", async () => {
    const { file } = await written([batchOf(someRecords(50), SCALED)], SCALED);
    const segment = await Segment.open(file, "segment-1", SCALED);
    const before = file.readBytes;
    const rows = { rows: new Uint8Array(7 * 48), terms: new Float32Array(7), scales: new Float32Array(7) };
    await segment.vectors().read(0, rows);
    expect(file.readBytes - before).toBe(7 * (48 + 8));
  });

  test.each([
    ["rows", 64],
    ["terms", 64 + 50 * 48 + 32],
    ["scales", 64 + 50 * 48 + 32 + 256],
  ])("rejects damaged %s with the call that ends their page, and with every call after it", async (block, at) => {
    const { file } = await written([batchOf(someRecords(50), SCALED)], SCALED);
    file.bytes[at] = 1 ^ (file.bytes[at] ?? 0);
    const segment = await Segment.open(file, "segment-1", SCALED);
    const into = { rows: new Uint8Array(25 * 48), terms: new Float32Array(25), scales: new Float32Array(25) };
    const reader = segment.vectors();
    await reader.read(0, into);
    await expect(reader.read(25, into)).rejects.toMatchObject({
      code: "CORRUPT",
      details: { file: "segment-1", block: `${block} from 0`, record: 0 },
    });
    const nothing = { rows: new Uint8Array(0), terms: new Float32Array(0), scales: new Float32Array(0) };
    await expect(reader.read(50, nothing)).rejects.toMatchObject({ code: "CORRUPT" });
    expect(await problems(segment)).toMatchObject([{ block: `${block} from 0` }]);
  });

  test("is refused under another's name, and by a collection of other rows", async () => {
    const { facts } = await written([batchOf(someRecords(5), PLAIN)], PLAIN);
    const { file } = await written(
      [
        batchOf(
          someRecords(5, () => "{}"),
          PLAIN,
        ),
      ],
      PLAIN,
    );
    await expect(Segment.open(file, "segment-1", PLAIN, facts)).rejects.toMatchObject({ code: "CORRUPT" });
    await expect(Segment.open(file, "segment-1", SCALED)).rejects.toMatchObject({ code: "CORRUPT" });
    await expect(Segment.open(file, "segment-1", { rowBytes: 32, hasScales: false })).rejects.toMatchObject({
      code: "CORRUPT",
    });
  });

  test("cannot be opened before it was finished", async () => {
    const file = new MemoryFile();
    const writer = await SegmentWriter.create(file, PLAIN);
    await writer.append(batchOf(someRecords(70_000), PLAIN));
    await expect(Segment.open(file, "segment-1", PLAIN)).rejects.toMatchObject({ code: "CORRUPT" });
    expect(file.syncs).toBe(0);
    await writer.finish();
    expect(file.syncs).toBe(1);
    await Segment.open(file, "segment-1", PLAIN);
  });

  test("is not written any further after a write failed, or after the end", async () => {
    const file = new MemoryFile();
    const writer = await SegmentWriter.create(file, PLAIN);
    file.faults = ["write"];
    await expect(writer.append(batchOf(someRecords(70_000), PLAIN))).rejects.toMatchObject({ code: "QUOTA_EXCEEDED" });
    await expect(writer.append(batchOf(someRecords(1), PLAIN))).rejects.toThrow("failed");
    await expect(writer.finish()).rejects.toThrow("failed");
    const finished = await SegmentWriter.create(new MemoryFile(), PLAIN);
    await finished.finish();
    await expect(finished.append(batchOf([], PLAIN))).rejects.toThrow("finished");
  });
});

function chunks(records: Parameters<typeof batchOf>[0]): RecordBatch[] {
  const found: RecordBatch[] = [];
  for (let at = 0; at < records.length; at += 30_000) found.push(batchOf(records.slice(at, at + 30_000), PLAIN));
  return found;
}
