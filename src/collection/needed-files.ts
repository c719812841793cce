/** Which files the versions that can be opened need: what compaction leaves, and what is verified. */
import type { StoredColumnShape } from "../core/stored-column.ts";
import type { Damage } from "../storage/damage.ts";
import type { ReadableFile, StorageDriver } from "../storage/driver.ts";
import { JournalReader } from "../storage/journal-reader.ts";
import type { KeptVersion } from "../storage/manifest.ts";
import { readManifest } from "../storage/manifest-reader.ts";
import { journalName, manifestName, parseFileName, rootName, segmentName } from "../storage/names.ts";
import type { SegmentRef } from "../storage/segment-facts.ts";
import { damageOf } from "./version-loader.ts";

export interface NeededFiles {
  /** Of everything, roots included. */
  readonly names: ReadonlySet<string>;
  readonly segments: ReadonlyMap<string, SegmentRef>;
  /** Manifests and journals that do not tell what they need. */
  readonly damages: readonly Damage[];
}

export async function neededFiles(
  driver: StorageDriver,
  shape: StoredColumnShape,
  history: readonly KeptVersion[],
): Promise<NeededFiles> {
  const newest = new Map<number, number>();
  for (const { generation, version } of history) newest.set(generation, Math.max(version, newest.get(generation) ?? 0));
  const names = new Set<string>([rootName(0), rootName(1)]);
  const segments = new Map<string, SegmentRef>();
  const damages: Damage[] = [];
  for (const [generation, upTo] of newest) {
    names.add(manifestName(generation));
    try {
      const manifest = await reading(driver, manifestName(generation), (file) =>
        readManifest(file, manifestName(generation), generation),
      );
      for (const segment of manifest.segments) segments.set(segmentName(segment.id), segment);
      // Also where no version needs it: should a later manifest be damaged, it leads there from this one.
      names.add(journalName(manifest.journal));
      if (upTo > manifest.version) {
        for (const segment of await journalSegments(driver, shape, manifest.journal, upTo, damages)) {
          segments.set(segmentName(segment.id), segment);
        }
      }
    } catch (error) {
      const damage = damageOf(error, manifestName(generation));
      if (damage === undefined) throw error;
      damages.push(damage);
    }
  }
  for (const name of segments.keys()) names.add(name);
  return { names, segments, damages };
}

async function journalSegments(
  driver: StorageDriver,
  shape: StoredColumnShape,
  generation: number,
  upTo: number,
  damages: Damage[],
): Promise<SegmentRef[]> {
  const name = journalName(generation);
  const found: SegmentRef[] = [];
  try {
    await reading(driver, name, async (file) => {
      const reader = await JournalReader.open(file, name, generation, shape);
      for await (const record of reader.records()) {
        if (record.kind === "segment" && record.version <= upTo) found.push(record.segment);
      }
      const { damage, version } = reader.end;
      if (damage !== undefined && version < upTo) damages.push(damage);
    });
  } catch (error) {
    const damage = damageOf(error, name);
    if (damage === undefined) throw error;
    damages.push(damage);
  }
  return found;
}

/** Removes files of ours that no version needs; where damage hides what is needed, only what surely is not. Returns how many. */
export async function removeUnneeded(
  driver: StorageDriver,
  shape: StoredColumnShape,
  history: readonly KeptVersion[],
): Promise<number> {
  const { names, damages } = await neededFiles(driver, shape, history);
  let removed = 0;
  for (const name of await driver.list()) {
    const file = parseFileName(name);
    if (file === undefined || file.kind === "lock" || names.has(name)) continue;
    if (damages.length > 0 && file.kind === "segment") continue;
    await driver.remove(name);
    removed++;
  }
  if (removed > 0) await driver.syncFolder();
  return removed;
}

/** Bytes of all files of ours. */
export async function storedBytes(driver: StorageDriver): Promise<number> {
  let sum = 0;
  for (const name of await driver.list()) {
    if (parseFileName(name) === undefined) continue;
    try {
      sum += await reading(driver, name, async (file) => file.size);
    } catch (error) {
      if (damageOf(error, name) === undefined) throw error; // gone meanwhile
    }
  }
  return sum;
}

export async function reading<T>(
  driver: StorageDriver,
  name: string,
  task: (file: ReadableFile) => Promise<T>,
): Promise<T> {
  const file = await driver.openToRead(name);
  try {
    return await task(file);
  } finally {
    await file.close();
  }
}
