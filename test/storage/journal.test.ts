import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { STORAGE_LIMITS } from "../../src/core/limits.ts";
import type { StoredColumnShape } from "../../src/core/stored-column.ts";
import { type JournalEnd, JournalReader } from "../../src/storage/journal-reader.ts";
import type { JournalChange, JournalRecord } from "../../src/storage/journal-record.ts";
import { JournalWriter } from "../../src/storage/journal-writer.ts";
import { MemoryFile } from "./memory-file.ts";
import { anyRecord, anyShape, batchOf, column, SHAPES, someRecords } from "./records.ts";

const [PLAIN] = SHAPES as [StoredColumnShape];
const HEAD = { generation: 3, baseVersion: 10 };

function anyChange(shape: StoredColumnShape): fc.Arbitrary<JournalChange> {
  const records = fc.array(anyRecord, { minLength: 1, maxLength: 5 });
  const norm = fc.double({ min: 2 ** -100, max: 2 ** 100, noNaN: true });
  return fc.oneof(
    records.map((plain): JournalChange => ({ kind: "upsert", batch: batchOf(plain, shape) })),
    fc
      .record({
        id: fc.maxSafeNat(),
        count: fc.nat(2 ** 32 - 1),
        sizeBytes: fc.maxSafeNat(),
        checksum: fc.nat(2 ** 32 - 1),
        norm,
      })
      .map(
        ({ id, norm: minNorm, ...facts }): JournalChange => ({
          kind: "segment",
          segment: { id, facts: { ...facts, minNorm, maxNorm: minNorm * 2 } },
        }),
      ),
    records.map((plain): JournalChange => ({ kind: "delete", ids: column(plain.map(({ id }) => id)) })),
    fc
      .record({
        name: fc.string({ unit: "grapheme", minLength: 1, maxLength: 5 }),
        target: fc.option(fc.nat(10), { nil: undefined }),
      })
      .map((tag): JournalChange => ({ kind: "tag", ...tag })),
  );
}

/** Gives changes the versions they must have. */
function stamped(changes: readonly JournalChange[], from = HEAD.baseVersion): JournalRecord[] {
  let version = from;
  return changes.map((change, i) => {
    if (change.kind !== "tag") version++;
    return { ...change, version, atMs: 1_700_000_000_000 + i };
  });
}

async function readAll(
  file: MemoryFile,
  shape: StoredColumnShape,
): Promise<{ records: JournalRecord[]; end: JournalEnd }> {
  const reader = await JournalReader.open(file, "journal-3", HEAD.generation, shape);
  const records: JournalRecord[] = [];
  for await (const record of reader.records()) records.push(record);
  return { records, end: reader.end };
}

async function journalOf(records: readonly JournalRecord[], shape = PLAIN): Promise<MemoryFile> {
  const file = new MemoryFile();
  const writer = await JournalWriter.create(file, HEAD, shape);
  for (const record of records) await writer.append([record]);
  return file;
}

const deletion = (...ids: string[]): JournalChange => ({ kind: "delete", ids: column(ids) });

describe("a journal", () => {
  test("gives back what was appended, in whatever groups, over reopening", async () => {
    const plan = anyShape.chain((shape) =>
      fc.tuple(fc.constant(shape), fc.array(fc.array(anyChange(shape), { maxLength: 4 }), { maxLength: 4 })),
    );
    await fc.assert(
      fc.asyncProperty(plan, fc.boolean(), async ([shape, groups], isReopened) => {
        const file = new MemoryFile();
        let writer = await JournalWriter.create(file, HEAD, shape);
        const all: JournalRecord[] = [];
        for (const group of groups) {
          const records = stamped(group, writer.end.version);
          await writer.append(records);
          all.push(...records);
          if (isReopened) writer = await JournalWriter.resume(file, (await readAll(file, shape)).end, shape);
        }
        const { records, end } = await readAll(file, shape);
        expect(records).toEqual(all);
        expect(end).toEqual({ ...writer.end, goodBytes: file.size, recordCount: all.length });
      }),
    );
  });

  test("commits a group with one write and one sync", async () => {
    const file = new MemoryFile();
    const writer = await JournalWriter.create(file, HEAD, PLAIN);
    const before = { writes: file.writes, syncs: file.syncs };
    await writer.append(stamped([deletion("a"), deletion("b"), { kind: "tag", name: "t", target: 3 }]));
    expect([file.writes - before.writes, file.syncs - before.syncs]).toEqual([1, 1]);
    await writer.append([]);
    expect(file.writes - before.writes).toBe(1);
  });

  test("of records larger than what is read at once gives them back", async () => {
    const big = someRecords(3, () => "z".repeat(STORAGE_LIMITS.readPieceBytes / 2));
    const records = stamped([deletion("a"), { kind: "upsert", batch: batchOf(big, PLAIN) }, deletion("b")]);
    const file = await journalOf(records);
    const { records: found } = await readAll(file, PLAIN);
    // By its bytes: values of megabytes take the test runner seconds to compare.
    expect(Buffer.from((await journalOf(found)).bytes).equals(file.bytes)).toBe(true);
    expect(file.readBytes).toBeLessThan(file.size * 4);
  });

  test("takes no record that belongs into a segment, and stays as it was", async () => {
    const file = new MemoryFile();
    const writer = await JournalWriter.create(file, HEAD, PLAIN);
    const big = batchOf(
      someRecords(1, () => "z".repeat(STORAGE_LIMITS.journalRecordBytes)),
      PLAIN,
    );
    const records = stamped([deletion("a"), { kind: "upsert", batch: big }]);
    await expect(writer.append(records)).rejects.toMatchObject({ code: "TOO_LARGE" });
    expect(file.size).toBe(64);
    await writer.append(stamped([deletion("b")]));
    expect((await readAll(file, PLAIN)).end.recordCount).toBe(1);
  });

  test.each([9, 10, 12])("is not continued at 10 by a change of version %i, nor by a tag of 11", async (version) => {
    const writer = await JournalWriter.create(new MemoryFile(), HEAD, PLAIN);
    await expect(writer.append([{ ...deletion("a"), version, atMs: 1 }])).rejects.toThrow("behind version 10");
    await expect(writer.append([{ kind: "tag", name: "t", target: 1, version: 11, atMs: 1 }])).rejects.toThrow(
      "behind",
    );
  });

  test("goes on after a write failed half-way, and shows nothing of it", async () => {
    const file = new MemoryFile();
    const writer = await JournalWriter.create(file, HEAD, PLAIN);
    const [first, second, third] = stamped([deletion("a"), deletion("lost", "also lost"), deletion("c")]) as [
      JournalRecord,
      JournalRecord,
      JournalRecord,
    ];
    await writer.append([first]);
    const good = file.size;
    const { syncs } = file;
    file.faults = ["write"];
    await expect(writer.append([second, third])).rejects.toMatchObject({ code: "QUOTA_EXCEEDED" });
    expect([file.size, file.syncs]).toEqual([good, syncs + 1]);
    const instead = { ...deletion("instead"), version: second.version, atMs: 5 };
    await writer.append([instead]);
    expect((await readAll(file, PLAIN)).records).toEqual([first, instead]);
  });

  test.each([
    ["a sync failed", ["sync"] as const],
    ["the half-written end could not be cut off", ["write", "truncate"] as const],
    ["the cut could not be synced", ["write", "sync"] as const],
  ])("refuses further changes after %s", async (_, faults) => {
    const file = new MemoryFile();
    const writer = await JournalWriter.create(file, HEAD, PLAIN);
    await writer.append(stamped([deletion("a")]));
    file.faults = [...faults];
    const change = { ...deletion("b"), version: 12, atMs: 1 };
    await expect(writer.append([change])).rejects.toThrow();
    const writes = file.writes;
    await expect(writer.append([change])).rejects.toMatchObject({ code: "READ_ONLY" });
    expect(file.writes).toBe(writes);
    expect((await readAll(file, PLAIN)).records).toMatchObject([{ version: 11 }]);
  });

  test("is cut back to its last whole record before it goes on", async () => {
    const records = stamped([deletion("a"), deletion("b")]);
    const file = await journalOf(records);
    file.bytes = file.bytes.slice(0, -1);
    const { records: whole, end } = await readAll(file, PLAIN);
    expect(whole).toEqual([records[0]]);
    expect(end.damage).toMatchObject({ file: "journal-3", record: 1 });
    const writer = await JournalWriter.resume(file, end, PLAIN);
    expect(file.size).toBe(end.goodBytes);
    expect(writer.end).not.toHaveProperty("damage");
    await writer.append([{ ...deletion("c"), version: 12, atMs: 1 }]);
    expect((await readAll(file, PLAIN)).end).toMatchObject({ version: 12, recordCount: 2 });
  });

  test("never takes an older write that the disk brought back for what follows a newer one", async () => {
    const [first, torn, whole] = stamped([deletion("a"), deletion("b"), deletion("c")]) as [
      JournalRecord,
      JournalRecord,
      JournalRecord,
    ];
    const old = await journalOf([first, torn, whole]);
    const file = await journalOf([first, { ...torn, atMs: 7 }]);
    file.bytes = Uint8Array.from([...file.bytes, ...old.bytes.subarray(file.size)]);
    const { records, end } = await readAll(file, PLAIN);
    expect(records).toHaveLength(2);
    expect(end.damage?.reason).toContain("does not belong behind");
  });

  test("is refused as another generation's, and its end is unknown before it was read", async () => {
    const file = await journalOf([]);
    await expect(JournalReader.open(file, "journal-4", 4, PLAIN)).rejects.toMatchObject({ code: "CORRUPT" });
    const reader = await JournalReader.open(file, "journal-3", 3, PLAIN);
    expect(reader.head).toEqual(HEAD);
    expect(() => reader.end).toThrow("was not read");
  });
});
