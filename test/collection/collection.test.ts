import { afterEach, describe, expect, it } from "vitest";
import type { Collection, CollectionOptions } from "../../src/collection/contract.ts";
import { MemoryFolder } from "../../src/storage/memory-driver.ts";
import { contentOf, openIn, recordOf, recordsOf, vectorOf } from "./open.ts";

const opened: Collection[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((collection) => collection.close()));
});

async function open(folder = new MemoryFolder(), options: CollectionOptions = { dimensions: 4 }): Promise<Collection> {
  const collection = await openIn(folder, options);
  opened.push(collection);
  return collection;
}

async function reopened(collection: Collection, folder: MemoryFolder): Promise<Collection> {
  await collection.close();
  return open(folder, {});
}

describe("a collection", () => {
  it("keeps what was upserted, replaced and deleted when it is opened again", async () => {
    const folder = new MemoryFolder();
    const first = await open(folder);
    expect(await first.upsert(recordsOf(0, 10))).toEqual({ written: 10, version: 1, duplicates: 0, rejected: [] });
    expect(await first.upsert([{ ...recordOf(3), vector: vectorOf(103) }, recordOf(10)])).toMatchObject({
      written: 2,
      version: 2,
    });
    expect(await first.delete(["id-0", "id-1", "none"])).toEqual({ deleted: 2, version: 3 });
    const before = await contentOf(first);
    expect(before.size).toBe(9);
    const second = await reopened(first, folder);
    expect(second.recovered).toBeUndefined();
    expect(second.version).toBe(3);
    expect(await contentOf(second)).toEqual(before);
    expect(before.get("id-3")?.vector).toEqual(vectorOf(103));
    expect((await second.get(["id-3", "id-0"])).map((record) => record?.id)).toEqual(["id-3", undefined]);
  });

  it("answers queries, with filters, and by example without the example itself", async () => {
    const collection = await open();
    await collection.upsert(recordsOf(0, 50));
    const { matches, report } = await collection.query({ vector: vectorOf(7), k: 3 });
    expect(matches[0]).toEqual({ id: "id-7", distance: expect.closeTo(0, 5), metadata: { number: 7, even: false } });
    expect(report).toMatchObject({ exact: true, total: 50 });
    const even = await collection.query({ vector: vectorOf(7), k: 50, filter: { even: true }, include: ["vector"] });
    expect(even.matches).toHaveLength(25);
    expect(even.matches.every(({ id }) => Number(id.slice(3)) % 2 === 0)).toBe(true);
    const [nearest] = even.matches;
    expect([...(nearest?.vector ?? [])]).toEqual(vectorOf(Number(nearest?.id.slice(3))));
    const like = await collection.query({ like: "id-7", k: 49 });
    expect(like.matches).toHaveLength(49);
    expect(like.matches.map(({ id }) => id)).not.toContain("id-7");
    expect(await collection.count({ number: { $lt: 10 } })).toBe(10);
    const batch = await collection.queryBatch({ vectors: [vectorOf(1), vectorOf(2)], k: 1 });
    expect(batch.results.map((list) => list[0]?.id)).toEqual(["id-1", "id-2"]);
  });

  it("keeps the order of calls, and commits what waits together", async () => {
    const folder = new MemoryFolder();
    const collection = await open(folder);
    const calls = Array.from({ length: 20 }, (_, i) =>
      i % 4 === 3
        ? collection.delete(["same"]).then(({ version }) => version)
        : collection.upsert([{ id: "same", vector: vectorOf(i) }]).then(({ version }) => version),
    );
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(collection.size).toBe(0);
    const again = await reopened(collection, folder);
    expect(again.version).toBe(20);
    expect(again.size).toBe(0);
  });

  it("refuses inserts of ids that are there and updates of those that are not, and writes nothing", async () => {
    const collection = await open();
    await collection.upsert(recordsOf(0, 3));
    await expect(collection.upsert(recordsOf(2, 3), { mode: "insert" })).rejects.toMatchObject({
      code: "ID_EXISTS",
      details: { id: "id-2" },
    });
    await expect(collection.upsert(recordsOf(1, 3), { mode: "update" })).rejects.toMatchObject({
      code: "NOT_FOUND",
      details: { id: "id-3" },
    });
    expect([...(await contentOf(collection)).keys()]).toEqual(["id-0", "id-1", "id-2"]);
    expect(collection.version).toBe(1);
    expect(await collection.upsert(recordsOf(3, 2), { mode: "insert" })).toMatchObject({ written: 2, version: 2 });
    expect(await collection.upsert(recordsOf(3, 2), { mode: "update" })).toMatchObject({ written: 2, version: 3 });
  });

  it("counts duplicates in a call, and the last one wins", async () => {
    const collection = await open();
    const result = await collection.upsert([recordOf(1), recordOf(2), { ...recordOf(1), vector: vectorOf(9) }]);
    expect(result).toEqual({ written: 2, version: 1, duplicates: 1, rejected: [] });
    expect((await contentOf(collection)).get("id-1")?.vector).toEqual(vectorOf(9));
  });

  it("reads old versions, tags and restores them", async () => {
    const folder = new MemoryFolder();
    const collection = await open(folder);
    await collection.upsert(recordsOf(0, 5));
    await collection.tag("first");
    await collection.delete({ filter: { even: true } });
    await collection.upsert(recordsOf(5, 5));
    expect(await collection.tags()).toEqual({ first: 1 });
    const old = await collection.checkout("first");
    opened.push(old);
    expect(old.readOnly).toBe(true);
    expect([...(await contentOf(old)).keys()]).toEqual(["id-0", "id-1", "id-2", "id-3", "id-4"]);
    await expect(old.upsert([recordOf(1)])).rejects.toMatchObject({ code: "READ_ONLY" });
    expect(await collection.restore("first")).toBe(4);
    expect(await contentOf(collection)).toEqual(await contentOf(old));
    const again = await reopened(collection, folder);
    expect(await contentOf(again)).toEqual(await contentOf(old));
    expect((await again.versions()).map(({ version, count, tags }) => [version, count, tags])).toEqual([
      [0, 0, []],
      [1, 5, ["first"]],
      [2, 2, []],
      [3, 7, []],
      [4, 5, []],
    ]);
  });

  it("compacts: rows and versions go, records stay", async () => {
    const folder = new MemoryFolder();
    const collection = await open(folder);
    for (let i = 0; i < 15; i++) await collection.upsert(recordsOf(i % 10, 5));
    await collection.tag("kept", 3);
    const before = await contentOf(collection);
    const report = await collection.compact({ keepVersions: 2 });
    expect(report.removedRows).toBe(75 - 14);
    expect(await contentOf(collection)).toEqual(before);
    expect((await collection.versions()).map(({ version }) => version)).toEqual([3, 14, 15]);
    expect((await collection.stats()).removedRows).toBe(0);
    expect(await collection.verify()).toMatchObject({ ok: true, unused: [] });
    const old = await collection.checkout("kept");
    opened.push(old);
    expect(old.size).toBe(7);
    await expect(collection.checkout(4)).rejects.toMatchObject({ code: "NOT_FOUND" });
    const again = await reopened(collection, folder);
    expect(await contentOf(again)).toEqual(before);
  });

  it("takes no more room where compaction gains nothing, and merges segments where it does", async () => {
    const folder = new MemoryFolder();
    const collection = await open(folder, { dimensions: 256 });
    const segments = (): number => [...folder.files.keys()].filter((name) => name.startsWith("segment-")).length;
    for (let i = 0; i < 2; i++) await collection.upsert(recordsOf(i * 9000, 9000, 256));
    // Two segments, both of them the older versions' as well.
    const kept = await collection.compact({ keepVersions: 3 });
    expect(kept).toMatchObject({ removedRows: 0, removedVersions: 0 });
    expect(kept.bytesAfter).toBeLessThan(1.01 * kept.bytesBefore);
    expect(segments()).toBe(2);
    const alone = await collection.compact({ keepVersions: 1 });
    expect(alone.removedVersions).toBe(2);
    expect(alone.bytesAfter).toBeLessThan(1.01 * alone.bytesBefore);
    expect(segments()).toBe(1);
    expect(await collection.verify()).toMatchObject({ ok: true, unused: [] });
    expect(collection.size).toBe(18_000);
  });

  it("compacts by itself when a quarter of the rows is removed", async () => {
    const folder = new MemoryFolder();
    const events: string[] = [];
    const collection = await open(folder, { dimensions: 4, onEvent: ({ code }) => events.push(code) });
    await collection.upsert(recordsOf(0, 400));
    await collection.delete(recordsOf(0, 120).map(({ id }) => id));
    await collection.tag("waits for the compaction before it");
    expect(events).toContain("collection-compacted");
    expect((await collection.stats()).removedRows).toBe(0);
    expect(collection.size).toBe(280);
  });

  it("does not call it a failure when closing leaves no turn for compaction", async () => {
    const events: string[] = [];
    const collection = await open(new MemoryFolder(), { dimensions: 4, onEvent: ({ code }) => events.push(code) });
    await collection.upsert(recordsOf(0, 400));
    await collection.delete(recordsOf(0, 120).map(({ id }) => id));
    await collection.close();
    expect(events).not.toContain("collection-upkeep-failed");
  });

  it("takes many records through a segment, duplicates and all", async () => {
    const folder = new MemoryFolder();
    const collection = await open(folder, { dimensions: 256 });
    const count = 9000;
    async function* stream(): AsyncGenerator<ReturnType<typeof recordOf>> {
      for (let i = 0; i < count; i++) yield recordOf(i, 256);
      yield { ...recordOf(5, 256), metadata: { late: true } };
    }
    const result = await collection.upsert(stream());
    expect(result).toEqual({ written: count, version: 1, duplicates: 1, rejected: [] });
    const plain = await collection.upsert(recordsOf(count, count, 256));
    expect(plain).toMatchObject({ written: count, version: 2 });
    const before = await contentOf(collection);
    expect(before.size).toBe(2 * count);
    expect(before.get("id-5")?.metadata).toEqual({ late: true });
    const again = await reopened(collection, folder);
    expect(again.recovered).toBeUndefined();
    expect(await contentOf(again)).toEqual(before);
    expect(await again.verify()).toMatchObject({ ok: true });
  });
});
