/** A collection over a disk that crashes during each of its changes, or fails at each of its operations. */
import { beforeAll, describe, expect, it } from "vitest";
import type { Collection } from "../../src/collection/contract.ts";
import { NearfieldError } from "../../src/core/errors.ts";
import { storageFull } from "../../src/storage/storage-errors.ts";
import { FaultyDisk, ignoreCrash, type FaultyOptions, type Survival } from "../storage/faulty-driver.ts";
import { checkContent, checkState, DIMENSIONS, History, plain, Progress, runHistory, shrinkLimits } from "./history.ts";
import { contentOf, openOver, vectorOf } from "./open.ts";

const ONE_MORE = { id: "one more", vector: vectorOf(5, DIMENSIONS), metadata: { even: true } };

beforeAll(() => shrinkLimits({ journalRecords: 7, closeJournalRecords: 2 }));

function open(disk: FaultyDisk, options: FaultyOptions = {}, isAfterCrash = false): Promise<Collection> {
  return openOver(() => (isAfterCrash ? disk.afterCrash(options) : disk.driver(options)), { dimensions: DIMENSIONS });
}

/** Reopens, compares, writes once more, and reopens again. */
async function checkDisk(disk: FaultyDisk, history: History, progress: Progress, isAfterCrash: boolean): Promise<void> {
  const collection = await open(disk, {}, isAfterCrash);
  const version = await checkState(collection, history, progress);
  const versions = await collection.versions();
  expect(versions.at(-1)?.version).toBe(version);
  // Not all: each is loaded whole. The oldest, and one in the middle.
  for (const entry of new Set([versions[0], versions[versions.length >> 1]])) {
    if (entry === undefined) continue;
    const old = await collection.checkout(entry.version);
    await checkContent(old, history.states[entry.version] ?? new Map());
    await old.close();
  }
  const state = new Map(history.states[version]).set(...plain(ONE_MORE));
  expect((await collection.upsert([ONE_MORE])).version).toBe(version + 1);
  await checkContent(collection, state);
  expect((await collection.verify()).damages).toEqual([]);
  await collection.close();
  const again = await open(disk);
  expect(again.recovered).toBeUndefined();
  await checkContent(again, state);
  await again.close();
  // What the crash left half-made is never taken for the newest state, not even where a root is damaged later.
  const roots = disk.names.filter((name) => name.startsWith("root-"));
  const root = roots[version % roots.length];
  if (root === undefined) return;
  disk.damage(root);
  const without = await open(disk);
  expect(without.recovered).toMatchObject({ from: version + 1, reason: expect.stringContaining(root) });
  await checkContent(without, state);
  await without.close();
}

describe.each<[Survival, number]>([
  ["none", 1],
  ["all", 1],
  ["torn", 1],
  ["torn", 2],
  ["torn", 3],
])("with %s of what was not synced surviving (seed %i)", (survives, seed) => {
  it("a crash at any change loses nothing that was acknowledged, and leaves nothing half", async () => {
    const history = new History();
    let crashes = 0;
    for (let crashAt = 1; ; crashAt++) {
      const disk = new FaultyDisk(seed * 1000 + crashAt);
      const progress = new Progress();
      let isDone = false;
      const life = open(disk, { crashAt, survives }).then(async (collection) => {
        await runHistory(collection, history, progress);
        await collection.close();
        isDone = true;
      });
      await life.catch(ignoreCrash);
      if (isDone) break;
      crashes++;
      try {
        await checkDisk(disk, history, progress, true);
      } catch (cause) {
        throw new Error(`after a crash at change ${crashAt}`, { cause });
      }
    }
    expect(crashes).toBeGreaterThan(100);
  });
});

/** A history that crashes at a change; undefined: it is shorter. */
async function crashed(
  history: History,
  crashAt: number,
): Promise<{ disk: FaultyDisk; progress: Progress } | undefined> {
  const disk = new FaultyDisk(crashAt);
  const progress = new Progress();
  let isDone = false;
  const life = open(disk, { crashAt, survives: "torn" }).then(async (collection) => {
    await runHistory(collection, history, progress);
    await collection.close();
    isDone = true;
  });
  await life.catch(ignoreCrash);
  return isDone ? undefined : { disk, progress };
}

it("a crash while what a crash left is opened and written to loses nothing either", async () => {
  const history = new History();
  let crashes = 0;
  for (let first = 1; (await crashed(history, first)) !== undefined; first += 7) {
    for (let second = 1; ; second++) {
      const before = await crashed(history, first);
      if (before === undefined) throw new Error("the same seed, another history");
      const { disk, progress } = before;
      let opened: number | undefined;
      let isWritten = false;
      let isDone = false;
      const life = open(disk, { crashAt: second, survives: "torn" }, true).then(async (collection) => {
        opened = await checkState(collection, history, progress);
        await collection.upsert([ONE_MORE]);
        isWritten = true;
        await collection.close();
        isDone = true;
      });
      await life.catch(ignoreCrash);
      if (isDone) break;
      crashes++;
      try {
        await checkSecondLife(disk, history, progress, opened, isWritten);
      } catch (cause) {
        throw new Error(`after a crash at change ${first}, and one at change ${second} of the next life`, { cause });
      }
    }
  }
  expect(crashes).toBeGreaterThan(100);
});

/** `opened`: the version that the second life began with and may have told of; `isWritten`: one more was acknowledged then. */
async function checkSecondLife(
  disk: FaultyDisk,
  history: History,
  progress: Progress,
  opened: number | undefined,
  isWritten: boolean,
): Promise<void> {
  const collection = await open(disk, {}, true);
  if (opened === undefined) {
    await checkState(collection, history, progress);
  } else {
    const isThere = collection.version === opened + 1;
    expect(isThere || (!isWritten && collection.version === opened)).toBe(true);
    const state = new Map(history.states[opened]);
    await checkContent(collection, isThere ? state.set(...plain(ONE_MORE)) : state);
  }
  const expected = await contentOf(collection);
  await collection.upsert([{ ...ONE_MORE, id: "another" }]);
  expect((await collection.verify()).damages).toEqual([]);
  await collection.close();
  const again = await open(disk);
  expect(again.recovered).toBeUndefined();
  await checkContent(again, expected.set(...plain({ ...ONE_MORE, id: "another" })));
  await again.close();
}

describe("with an operation that fails", () => {
  it("the call is told, nothing is half-written, and the collection goes on, if need be after opening it again", async () => {
    const history = new History();
    const outcomes = { healed: 0, told: 0, refused: 0 };
    for (let failAt = 1; ; failAt++) {
      const disk = new FaultyDisk(failAt);
      const error = storageFull({ location: "test", name: "a file", verb: "writing" }, undefined);
      const driver = disk.driver({ failAt, error });
      const progress = new Progress();
      let collection: Collection | undefined;
      let thrown: unknown;
      try {
        collection = await openOver(() => driver, { dimensions: DIMENSIONS });
        await runHistory(collection, history, progress);
      } catch (caught) {
        thrown = caught;
      }
      if (driver.operations < failAt) {
        await collection?.close();
        break;
      }
      try {
        outcomes[await checkFailure(disk, history, progress, collection, thrown)]++;
      } catch (cause) {
        throw new Error(`after a failure of operation ${failAt}`, { cause });
      }
    }
    expect(outcomes.told).toBeGreaterThan(100);
    // What went wrong where it could be tried again, or was not needed.
    expect(outcomes.healed).toBeGreaterThan(10);
    // A failed sync: nobody knows what is on the disk.
    expect(outcomes.refused).toBeGreaterThan(10);
    expect(outcomes.refused).toBeLessThan(outcomes.told);
  });
});

async function checkFailure(
  disk: FaultyDisk,
  history: History,
  progress: Progress,
  collection: Collection | undefined,
  thrown: unknown,
): Promise<"healed" | "told" | "refused"> {
  if (thrown !== undefined) {
    if (!(thrown instanceof NearfieldError)) throw new Error("something else than a NearfieldError", { cause: thrown });
    // Upkeep that failed half-way is told by the next change: nobody knows then which root is on the disk.
    const told = thrown.code === "READ_ONLY" ? thrown.cause : thrown;
    expect(told).toMatchObject({ code: "QUOTA_EXCEEDED" });
  }
  if (collection === undefined) {
    await checkDisk(disk, history, progress, false);
    return "told";
  }
  await checkState(collection, history, progress);
  const outcome =
    thrown === undefined
      ? "healed"
      : await collection.upsert([ONE_MORE]).then(
          () => "told" as const,
          ({ code }: NearfieldError) => {
            expect(code).toBe("READ_ONLY");
            return "refused" as const;
          },
        );
  if (outcome === "told") await collection.delete([ONE_MORE.id]);
  const before = await contentOf(collection);
  await collection.close();
  const again = await open(disk);
  // Refused: what was written last may be there or not. Otherwise what was there is there.
  if (outcome === "refused") await checkState(again, history, progress);
  else expect(await contentOf(again)).toEqual(before);
  await again.close();
  return outcome;
}
