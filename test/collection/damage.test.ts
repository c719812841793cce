/** Every byte of a collection's files flipped, every file cut at every length or gone: the right content of a version, told truthfully, or a refusal. */
import { beforeAll, describe, expect, it } from "vitest";
import type { Collection } from "../../src/collection/contract.ts";
import { NearfieldError } from "../../src/core/errors.ts";
import { MemoryFile, MemoryFolder } from "../../src/storage/memory-driver.ts";
import { type Content, plain } from "./history.ts";
import { contentOf, openIn, recordOf, recordsOf, vectorOf } from "./open.ts";

/** What each version holds. */
const states: Content[] = [new Map()];
const folder = new MemoryFolder();
const NEWEST = 6;

beforeAll(async () => {
  const collection = await openIn(folder, { dimensions: 4 });
  const change = async (run: () => Promise<unknown>): Promise<void> => {
    await run();
    states.push(await contentOf(collection));
  };
  await change(() => collection.upsert(recordsOf(0, 4)));
  await change(() => collection.delete(["id-1"]));
  await collection.tag("early", 1);
  await collection.compact(); // a segment
  await change(() => collection.delete(["id-2"]));
  await change(() => collection.restore(2)); // a manifest with a bitmap, or another segment
  await change(() => collection.upsert([{ ...recordOf(3), vector: vectorOf(77) }, recordOf(9)]));
  await change(() => collection.delete(["id-0"]));
  expect(collection.version).toBe(NEWEST);
  await collection.close();
});

function bytesOf(file: MemoryFile): Uint8Array {
  const bytes = new Uint8Array(file.size);
  file.read(0, bytes);
  return bytes;
}

/** The folder with one file changed, or without it. */
function changed(name: string, bytes: Uint8Array | undefined): MemoryFolder {
  const copy = new MemoryFolder();
  for (const [other, file] of folder.files) if (other !== name) copy.files.set(other, file);
  if (bytes === undefined) return copy;
  const file = new MemoryFile();
  file.write(0, bytes);
  copy.files.set(name, file);
  return copy;
}

const STRIDE = Number(process.env["NEARFIELD_DAMAGE_STRIDE"] ?? 29);
const REFUSALS = new Set(["CORRUPT", "UNSUPPORTED_FORMAT", "NOT_FOUND"]);

/** Opens and compares; says what came of it. `isTold`: whether it must be told how much is lost. */
async function look(
  damaged: MemoryFolder,
  isTold = true,
): Promise<"as it was" | "recovered" | "fell back" | "refused"> {
  let collection: Collection;
  try {
    collection = await openIn(damaged, { readOnly: true });
  } catch (error) {
    if (error instanceof NearfieldError && REFUSALS.has(error.code)) return "refused";
    throw error;
  }
  try {
    const { version, recovered } = collection;
    expect(await contentOf(collection)).toEqual(states[version]);
    if (recovered !== undefined) expect(recovered.from).toBeGreaterThanOrEqual(version);
    if (version === NEWEST) return recovered === undefined ? "as it was" : "recovered";
    if (isTold) expect(recovered?.from).toBeGreaterThan(version);
    return "fell back";
  } finally {
    await collection.close();
  }
}

/** A folder that can be written to while the other stays as it is. */
function copied(original: MemoryFolder): MemoryFolder {
  const copy = new MemoryFolder();
  for (const [name, file] of original.files) {
    const own = new MemoryFile();
    own.write(0, bytesOf(file));
    copy.files.set(name, own);
  }
  return copy;
}

async function goOn(original: MemoryFolder, what: string): Promise<void> {
  await checkWriter(copied(original)).catch((cause: unknown) => {
    throw new Error(what, { cause });
  });
}

/** Opens as a writer, changes something, and opens again: twice, the second time after compaction. */
async function checkWriter(damaged: MemoryFolder): Promise<void> {
  const collection = await openIn(damaged);
  const { version } = collection;
  const state = new Map(states[version]).set(...plain(recordOf(50)));
  expect(await contentOf(collection)).toEqual(states[version]);
  await checkVersions(collection, version);
  expect(await collection.upsert([recordOf(50)])).toMatchObject({ version: version + 1 });
  expect(await contentOf(collection)).toEqual(state);
  await collection.close();
  const again = await openIn(damaged);
  expect(again.recovered).toBeUndefined();
  expect(again.version).toBe(version + 1);
  expect(await contentOf(again)).toEqual(state);
  await checkVersions(again, version);
  await again.compact({ keepVersions: 1 });
  const { damages } = await again.verify();
  for (const { file } of damages) expect((await again.versions()).length, `damaged: ${file}`).toBeGreaterThan(1);
  await again.close();
  const compacted = await openIn(damaged);
  expect(compacted.recovered).toBeUndefined();
  expect(await contentOf(compacted)).toEqual(state);
  await compacted.close();
}

/** Each version up to `newest` that is listed is what it was, or refused. */
async function checkVersions(collection: Collection, newest: number): Promise<void> {
  for (const { version } of await collection.versions()) {
    if (version > newest) continue;
    let old: Collection;
    try {
      old = await collection.checkout(version);
    } catch (error) {
      if (error instanceof NearfieldError && REFUSALS.has(error.code)) continue;
      throw error;
    }
    expect(await contentOf(old), `version ${version}`).toEqual(states[version]);
    await old.close();
  }
}

type Tally = Record<Awaited<ReturnType<typeof look>>, number>;
const nothing = (): Tally => ({ "as it was": 0, recovered: 0, "fell back": 0, refused: 0 });

describe("a damaged collection", () => {
  it("opens with the right content of a version, or is refused, whichever byte is flipped", async () => {
    const tally = nothing();
    for (const [name, file] of folder.files) {
      const bytes = bytesOf(file);
      for (let at = 0; at < bytes.length; at++) {
        const flipped = bytes.slice();
        flipped[at] = (flipped[at] ?? 0) ^ (at % 2 === 0 ? 0xff : 1 << (at % 8));
        const outcome = await look(changed(name, flipped)).catch((cause: unknown) => {
          throw new Error(`${name}, byte ${at}`, { cause });
        });
        tally[outcome]++;
      }
    }
    // Nothing that any version needs is lost without a trace, and one flipped byte never costs everything.
    expect(tally.refused).toBe(0);
    expect(tally.recovered).toBeGreaterThan(100);
    expect(tally["fell back"]).toBeGreaterThan(500);
  });

  it("opens with the right content of a version, or is refused, wherever a file is cut", async () => {
    const tally = nothing();
    for (const [name, file] of folder.files) {
      const bytes = bytesOf(file);
      for (let length = 0; length < bytes.length; length++) {
        // Everywhere around a multiple of 64, where headers, records and blocks begin; in between every fifth.
        if (length % 5 !== 0 && (length + 2) % 64 > 4) continue;
        // A journal that ends between two records is whole: nothing in it says that there was more.
        const isTold = !(name.startsWith("journal-") && length >= 64 && length % 64 === 0);
        const outcome = await look(changed(name, bytes.subarray(0, length)), isTold).catch((cause: unknown) => {
          throw new Error(`${name}, cut at ${length}`, { cause });
        });
        tally[outcome]++;
      }
    }
    expect(tally.refused).toBe(0);
    expect(tally["fell back"]).toBeGreaterThan(100);
  });

  it("opens with the right content of a version, or is refused, whichever files are gone", async () => {
    const names = [...folder.files.keys()];
    const outcomes: Record<string, string> = {};
    for (const name of names) outcomes[name] = await look(changed(name, undefined), false);
    expect(Object.values(outcomes)).not.toContain("refused");
    const all = nothing();
    for (let mask = 1; mask < 1 << names.length; mask += 7) {
      const copy = new MemoryFolder();
      for (const [i, name] of names.entries()) {
        const file = folder.files.get(name);
        if ((mask >> i) % 2 === 0 && file !== undefined) copy.files.set(name, file);
      }
      all[await look(copy, false)]++;
    }
    expect(all["fell back"] + all.recovered + all["as it was"]).toBeGreaterThan(10);
    expect(all.refused).toBeGreaterThan(10);
  });

  it("loses nothing with a checkpoint: an older one and the journals behind it lead to the same version", async () => {
    const own = new MemoryFolder();
    const collection = await openIn(own, { dimensions: 4 });
    await collection.upsert(recordsOf(0, 4));
    await collection.compact();
    await collection.upsert(recordsOf(4, 4));
    await collection.compact();
    await collection.delete(["id-2"]);
    const expected = await contentOf(collection);
    const generations = (await collection.versions()).length;
    await collection.close();
    expect(generations).toBe(4);
    for (const name of ["manifest-3", "segment-2", "manifest-2"]) {
      const bytes = bytesOf(own.files.get(name) ?? new MemoryFile());
      bytes[80] = (bytes[80] ?? 0) ^ 1;
      const file = new MemoryFile();
      file.write(0, bytes);
      own.files.set(name, file);
      const again = await openIn(own, { readOnly: true });
      expect([name, again.version, again.recovered?.from]).toEqual([name, 3, 3]);
      expect(again.version).toBe(3);
      expect(await contentOf(again)).toEqual(expected);
      await again.close();
    }
  });

  it("is written to again wherever it was flipped or cut, and keeps what was recovered", async () => {
    for (const [name, file] of folder.files) {
      const bytes = bytesOf(file);
      await goOn(changed(name, undefined), `${name} gone`);
      // Where a reader sees the right thing everywhere, samples tell of the writer; 1 for all, which takes minutes.
      for (let at = 0; at < bytes.length; at += STRIDE) {
        const flipped = bytes.slice();
        flipped[at] = (flipped[at] ?? 0) ^ (at % 2 === 0 ? 0xff : 1 << (at % 8));
        await goOn(changed(name, flipped), `${name}, byte ${at}`);
        await goOn(changed(name, bytes.subarray(0, at)), `${name}, cut at ${at}`);
      }
    }
  });

  it("goes on from what was recovered, and says nothing of it the next time", async () => {
    const manifest =
      [...folder.files.keys()]
        .filter((name) => name.startsWith("manifest-"))
        .sort()
        .at(-1) ?? "";
    const bytes = bytesOf(folder.files.get(manifest) ?? new MemoryFile());
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    const damaged = changed(manifest, bytes);
    const collection = await openIn(damaged);
    expect(collection.recovered).toMatchObject({ reason: expect.stringContaining(manifest) });
    const { version } = collection;
    expect((await collection.verify()).damages.map(({ file }) => file)).toEqual([]);
    await collection.upsert([recordOf(50)]);
    await collection.close();
    const again = await openIn(damaged);
    expect(again.recovered).toBeUndefined();
    expect(again.version).toBe(version + 1);
    expect(await contentOf(again)).toEqual(new Map(states[version]).set(...plain(recordOf(50))));
    expect(damaged.files.has(manifest)).toBe(true);
    await again.compact({ keepVersions: 1 });
    expect(damaged.files.has(manifest)).toBe(false);
    expect(await again.verify()).toMatchObject({ ok: true, unused: [] });
    await again.close();
  });
});

describe("verify", () => {
  it("finds whichever byte is flipped of whichever file, and names it", async () => {
    const collection = await openIn(folder, { readOnly: true });
    expect(await collection.verify()).toMatchObject({ ok: true, files: folder.files.size, unused: [] });
    for (const [name, file] of folder.files) {
      const bytes = bytesOf(file);
      for (let at = 0; at < bytes.length; at++) {
        file.write(at, Uint8Array.of((bytes[at] ?? 0) ^ (1 << (at % 8))));
        const { ok, damages } = await collection.verify();
        file.write(at, bytes.subarray(at, at + 1));
        expect(ok, `${name}, byte ${at}`).toBe(false);
        const damage = damages.find(({ file: damagedFile }) => damagedFile === name);
        expect(damage, `${name}, byte ${at}`).toMatchObject({ file: name, offset: expect.any(Number) });
        if (name.startsWith("journal-") && at >= 64) expect(damage).toHaveProperty("record");
        if (name.startsWith("segment-") && at >= 64 && at < bytes.length - 320) expect(damage).toHaveProperty("block");
      }
    }
    await collection.close();
  });
});
