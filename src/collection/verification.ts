/** Reads every byte that a version needs, and tells of all damage. */
import type { StoredColumnShape } from "../core/stored-column.ts";
import type { Damage } from "../storage/damage.ts";
import type { ReadableFile, StorageDriver } from "../storage/driver.ts";
import { JournalReader } from "../storage/journal-reader.ts";
import type { KeptVersion } from "../storage/manifest.ts";
import { readManifest } from "../storage/manifest-reader.ts";
import { parseFileName } from "../storage/names.ts";
import { readRoots } from "../storage/roots.ts";
import { Segment } from "../storage/segment-reader.ts";
import type { VerifyReport } from "./contract.ts";
import { neededFiles, type NeededFiles, reading } from "./needed-files.ts";
import { damageOf } from "./version-loader.ts";

export async function verifyFiles(
  driver: StorageDriver,
  shape: StoredColumnShape,
  history: readonly KeptVersion[],
): Promise<VerifyReport> {
  const needed = await neededFiles(driver, shape, history);
  const present = new Set(await driver.list());
  const damages: Damage[] = [...(await readRoots(driver)).damages];
  let files = 0;
  let bytes = 0;
  for (const name of needed.names) {
    // A collection that was never checkpointed again has one root.
    if (!present.has(name) && parseFileName(name)?.kind === "root") continue;
    try {
      await reading(driver, name, async (file) => {
        files++;
        bytes += file.size;
        await verifyFile(file, name, shape, needed, (damage) => damages.push(damage));
      });
    } catch (error) {
      const damage = damageOf(error, name);
      if (damage === undefined) throw error;
      damages.push(damage);
    }
  }
  const unused = [...present].filter((name) => !needed.names.has(name) && parseFileName(name) !== undefined);
  return { ok: damages.length === 0, files, bytes, damages, unused: unused.sort() };
}

async function verifyFile(
  file: ReadableFile,
  name: string,
  shape: StoredColumnShape,
  needed: NeededFiles,
  onDamage: (damage: Damage) => void,
): Promise<void> {
  const parsed = parseFileName(name);
  switch (parsed?.kind) {
    case "manifest":
      await readManifest(file, name, parsed.generation);
      return;
    case "journal":
      await verifyJournal(file, name, parsed.generation, shape, onDamage);
      return;
    case "segment": {
      const segment = await Segment.open(file, name, shape, needed.segments.get(name)?.facts);
      await segment.verify(onDamage);
      return;
    }
    case "root": // whole, or in readRoots' damages
    case "lock":
    case undefined:
      return;
    default:
      parsed satisfies never;
  }
}

async function verifyJournal(
  file: ReadableFile,
  name: string,
  generation: number,
  shape: StoredColumnShape,
  onDamage: (damage: Damage) => void,
): Promise<void> {
  const reader = await JournalReader.open(file, name, generation, shape);
  const records = reader.records();
  while ((await records.next()).done !== true);
  if (reader.end.damage !== undefined) onDamage(reader.end.damage);
}
