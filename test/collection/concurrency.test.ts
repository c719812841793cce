/** Readers and writers of one collection at the same time, and what their work costs the thread. */
import { afterEach, expect, it } from "vitest";
import type { Collection, CollectionOptions, VectorRecord } from "../../src/collection/contract.ts";
import type { StorageDriver, WritableFile } from "../../src/storage/driver.ts";
import { memoryDriver, MemoryFolder } from "../../src/storage/memory-driver.ts";
import { contentOf, openOver, recordOf, recordsOf, vectorOf } from "./open.ts";

const opened: Collection[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((collection) => collection.close()));
});

async function open(
  options: CollectionOptions = { dimensions: 4 },
  wrap: (driver: StorageDriver) => StorageDriver = (driver) => driver,
): Promise<Collection> {
  const folder = new MemoryFolder();
  const collection = await openOver(({ readOnly }) => wrap(memoryDriver("test", { folder, readOnly })), options);
  opened.push(collection);
  return collection;
}

/** A driver whose files call `onSync` when they are synced. */
function watched(driver: StorageDriver, onSync: (name: string) => void): StorageDriver {
  const openFile = driver.openToWrite.bind(driver);
  const openToWrite: StorageDriver["openToWrite"] = async (name, mode) => {
    const file = await openFile(name, mode);
    const sync = file.sync.bind(file);
    return Object.assign(file, {
      sync: async () => {
        onSync(name);
        await sync();
      },
    } satisfies Partial<WritableFile>);
  };
  return Object.assign(driver, { openToWrite });
}

it("commits changes that wait together with one sync", async () => {
  const syncs: string[] = [];
  const collection = await open({ dimensions: 4 }, (driver) => watched(driver, (name) => syncs.push(name)));
  await collection.upsert([recordOf(0)]);
  syncs.length = 0;
  await collection.upsert([recordOf(0)]);
  expect(syncs).toEqual(["journal-1"]);
  syncs.length = 0;
  const versions = await Promise.all(
    Array.from({ length: 100 }, (_, i) => collection.upsert([recordOf(i)]).then(({ version }) => version)),
  );
  expect(versions).toEqual(Array.from({ length: 100 }, (_, i) => i + 3));
  expect(syncs.length).toBeLessThanOrEqual(2);
});

/** Ten records on each side at any time: every change moves one over and another back. */
function sides(step: number): VectorRecord[] {
  const record = (i: number, side: string): VectorRecord => ({
    id: `id-${i}`,
    vector: vectorOf(i + step / 100),
    metadata: { side },
  });
  if (step === 0) return Array.from({ length: 20 }, (_, i) => record(i, i < 10 ? "left" : "right"));
  const a = (step * 7) % 10;
  return step % 2 === 1
    ? [record(a, "right"), record(a + 10, "left")]
    : [record((a + 3) % 10, "left"), record(((a + 3) % 10) + 10, "right")];
}

it("shows each change wholly or not at all, whoever asks in between", async () => {
  const collection = await open();
  await collection.upsert(sides(0));
  let isDone = false;
  let looks = 0;
  let steps = 0;
  const writer = (async () => {
    // The first search may have code to load.
    while (steps < 120 || looks < 8) await collection.upsert(sides(++steps));
    isDone = true;
  })();
  const look = async (): Promise<void> => {
    while (!isDone) {
      looks++;
      const [left, total, query, records] = await Promise.all([
        collection.count({ side: "left" }),
        collection.count({}),
        collection.query({ vector: vectorOf(3), k: 20, filter: { side: { $in: ["left", "right"] } } }),
        collection.get(["id-3", "id-13"]),
      ]);
      expect(total).toBe(20);
      expect(left).toBeGreaterThan(0);
      expect(query.matches).toHaveLength(20);
      expect(new Set(query.matches.map(({ id }) => id)).size).toBe(20);
      expect(records.map((record) => record?.id)).toEqual(["id-3", "id-13"]);
    }
  };
  await Promise.all([writer, look(), look()]);
  expect(collection.version).toBe(steps + 1);
});

it("scans the version it began with, while writers and compaction go on", async () => {
  const collection = await open();
  await collection.upsert(recordsOf(0, 500));
  const before = await contentOf(collection);
  const seen: VectorRecord[] = [];
  let batches = 0;
  for await (const batch of collection.scan({ batch: 50 })) {
    seen.push(...batch);
    batches++;
    if (batches === 2) await collection.delete(recordsOf(200, 250).map(({ id }) => id));
    if (batches === 4) await collection.compact();
    if (batches === 5) await collection.upsert(recordsOf(0, 50).map((record) => ({ ...record, vector: vectorOf(9) })));
  }
  expect(batches).toBe(10);
  expect(seen.map(({ id }) => id)).toEqual([...before.keys()]);
  for (const { id, vector } of seen) expect([...vector]).toEqual(before.get(id)?.vector);
  expect(collection.size).toBe(250);
});

it("closes while a scan was left half-way", async () => {
  const collection = await open();
  await collection.upsert(recordsOf(0, 10));
  const scan = collection.scan({ batch: 2 })[Symbol.asyncIterator]();
  expect((await scan.next()).value).toHaveLength(2);
  await collection.compact();
  await collection.upsert([recordOf(1)]);
  await collection.compact();
  await collection.close();
  await expect(scan.next()).rejects.toMatchObject({ code: "CLOSED" });
});

it("keeps a checkout as it was, after the collection has moved on and closed", async () => {
  const collection = await open();
  await collection.upsert(recordsOf(0, 20));
  const old = await collection.checkout(1);
  opened.push(old);
  const before = await contentOf(old);
  await collection.upsert(recordsOf(0, 20).map((record) => ({ ...record, metadata: {} })));
  await collection.compact({ keepVersions: 1 });
  await collection.close();
  expect(await contentOf(old)).toEqual(before);
  expect((await old.query({ vector: vectorOf(3), k: 1 })).matches[0]?.id).toBe("id-3");
});

it("leaves a reader alone when a writer compacts, and a reader that opens meanwhile finds a whole version", async () => {
  const folder = new MemoryFolder();
  const share = async (readOnly: boolean): Promise<Collection> => {
    const options = readOnly ? { readOnly } : { dimensions: 4 };
    const collection = await openOver((wanted) => memoryDriver("test", { folder, readOnly: wanted.readOnly }), options);
    opened.push(collection);
    return collection;
  };
  const writer = await share(false);
  await writer.upsert(recordsOf(0, 100));
  const reader = await share(true);
  const before = await contentOf(reader);
  const scan = reader.scan({ batch: 10 })[Symbol.asyncIterator]();
  await scan.next();
  const opening: Promise<Collection>[] = [];
  for (let i = 0; i < 8; i++) {
    await writer.upsert(recordsOf(i * 10, 20).map((record) => ({ ...record, metadata: { i } })));
    opening.push(share(true));
    await writer.compact({ keepVersions: 1 });
  }
  let rest = 0;
  for (let step = await scan.next(); step.done !== true; step = await scan.next()) rest += step.value.length;
  expect(rest).toBe(90);
  expect(await contentOf(reader)).toEqual(before);
  expect((await reader.query({ vector: vectorOf(3), k: 1 })).matches[0]?.id).toBe("id-3");
  for (const late of await Promise.all(opening)) {
    expect(late.recovered).toBeUndefined();
    expect(late.size).toBe(100);
  }
});

it("tells how far opening and upserting are, and opening is given up by its signal", async () => {
  const folder = new MemoryFolder();
  const openShared = (options: CollectionOptions): Promise<Collection> =>
    openOver(({ readOnly }) => memoryDriver("test", { folder, readOnly }), options);
  const first = await openShared({ dimensions: 64 });
  const steps: { done: number; total: number | undefined }[] = [];
  await first.upsert(recordsOf(0, 20_000, 64), { onProgress: (progress) => steps.push(progress) });
  expect(steps.length).toBeGreaterThan(3);
  expect(steps.at(-1)).toEqual({ done: 20_000, total: 20_000 });
  expect(steps.map(({ done }) => done)).toEqual(steps.map(({ done }) => done).sort((a, b) => a - b));
  await first.compact();
  await first.close();
  const opening: { done: number; total: number }[] = [];
  const second = await openShared({ onProgress: (progress) => opening.push(progress) });
  opened.push(second);
  expect(opening.at(-1)).toEqual({ done: 20_000, total: 20_000 });
  await second.close();
  const controller = new AbortController();
  const third = openShared({ signal: controller.signal, onProgress: () => controller.abort(new Error("enough")) });
  await expect(third).rejects.toMatchObject({ code: "ABORTED" });
  // Given up, it holds neither the lock nor anything else.
  opened.push(await openShared({}));
});

it("keeps its work on the caller's thread within the budget of a slice", async () => {
  const collection = await open({ dimensions: 64 });
  await collection.upsert(recordsOf(0, 20_000, 64));
  await collection.upsert(recordsOf(10_000, 20_000, 64));
  await collection.delete({ filter: { even: true } });
  const before = (await collection.stats()).index;
  expect(before.slices.largest).toBeLessThanOrEqual(before.sliceBudget);
  await collection.compact();
  let count = 0;
  for await (const batch of collection.scan({ batch: 5000 })) count += batch.length;
  expect(count).toBe(15_000);
  const { slices, sliceBudget } = (await collection.stats()).index;
  expect(slices.count).toBeGreaterThan(1);
  expect(slices.largest).toBeLessThanOrEqual(sliceBudget);
});
