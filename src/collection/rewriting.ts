/**
 * States that take the place of the present one: compaction writes the same records without the
 * removed rows, restoring an older version's. Both load what they wrote into records of their own
 * before anything is committed, so that a failure leaves all as it was.
 */
import { wallClockMs } from "../core/clock.ts";
import { STORAGE_LIMITS } from "../core/limits.ts";
import type { StoredColumnShape } from "../core/stored-column.ts";
import type { StoredIndex } from "../engine/stored-index.ts";
import type { StorageDriver } from "../storage/driver.ts";
import type { KeptVersion } from "../storage/manifest.ts";
import { readManifest } from "../storage/manifest-reader.ts";
import { manifestName } from "../storage/names.ts";
import { checkpointRecords, type Stamp } from "./checkpoint.ts";
import { lostVersion } from "./collection-errors.ts";
import type { CompactReport } from "./contract.ts";
import type { CurrentRecords } from "./current-records.ts";
import { reading, removeUnneeded, storedBytes } from "./needed-files.ts";
import { Records } from "./records.ts";
import { NewSegments } from "./row-segments.ts";
import type { SegmentStore } from "./segment-store.ts";
import { loadVersion } from "./version-loader.ts";
import type { VersionLog } from "./version-log.ts";

export interface RewritingParts {
  readonly driver: StorageDriver;
  readonly shape: StoredColumnShape;
  readonly current: CurrentRecords;
  readonly log: VersionLog;
  readonly segments: SegmentStore;
  readonly newIndex: () => Promise<StoredIndex>;
}

/** Loads a version into memory of its own. Rejects with CORRUPT, NOT_FOUND; leaves nothing open then. */
export async function recordsOfVersion(
  { driver, shape, newIndex }: Pick<RewritingParts, "driver" | "shape" | "newIndex">,
  { version, generation }: KeptVersion,
): Promise<Records> {
  const name = manifestName(generation);
  const manifest = await reading(driver, name, (file) => readManifest(file, name, generation));
  const index = await newIndex();
  try {
    const loaded = await loadVersion(driver, shape, manifest, index, { upTo: version });
    if (loaded.version !== version) throw lostVersion(version, loaded.version, loaded.damage);
    return new Records({ ...loaded, index });
  } catch (error) {
    await index.close();
    throw error;
  }
}

/** Takes the newest version from the files again: what is durable could not be shown. To be called alone. */
export async function reload(parts: RewritingParts): Promise<void> {
  const newest = parts.log.history.at(-1);
  if (newest === undefined) throw new Error("a collection without a version");
  parts.current.swap(await recordsOfVersion(parts, newest), newest.version);
}

/** To be called alone. Returns the new version. */
export async function restore(parts: RewritingParts, entry: KeptVersion): Promise<number> {
  const { log, current } = parts;
  const records = await recordsOfVersion(parts, entry);
  const version = log.version + 1;
  try {
    await checkpointRecords(parts, records, { version, atMs: wallClockMs() });
  } catch (error) {
    await records.close();
    throw error;
  }
  current.swap(records, version);
  return version;
}

/** To be called alone. */
export async function compact(parts: RewritingParts, keepVersions: number): Promise<CompactReport> {
  const { driver, shape, current, log } = parts;
  const bytesBefore = await storedBytes(driver);
  const { rowCount, size, extents } = current.records;
  const versionsBefore = log.history.length;
  const isKept = keeping(log, keepVersions);
  const stamp = { version: log.version, atMs: log.atMs, isKept };
  const segmentCount = extents.list.length;
  // Older versions that are kept keep their segments: one more beside a few of them would only take room.
  const isAlone = log.history.filter(isKept).length <= 1;
  const isWorthMerging = segmentCount > (isAlone ? 1 : STORAGE_LIMITS.mergeSegments);
  if (rowCount > size || isWorthMerging) await rewrite(parts, stamp);
  else await checkpointRecords(parts, current.records, stamp);
  const removedFiles = await removeUnneeded(driver, shape, log.history);
  return {
    version: log.version,
    removedRows: rowCount - size,
    removedVersions: versionsBefore - log.history.length,
    removedFiles,
    bytesBefore,
    bytesAfter: await storedBytes(driver),
  };
}

/** The newest versions, and those that have a name. */
function keeping({ history, tags }: VersionLog, newest: number): (entry: KeptVersion) => boolean {
  const tagged = new Set(tags.values());
  const oldest = history.at(-newest)?.version ?? 0;
  return ({ version }) => version >= oldest || tagged.has(version);
}

/** Writes the live rows into one segment, and swaps the records for it. */
async function rewrite(parts: RewritingParts, stamp: Stamp): Promise<void> {
  const { driver, shape, current, log, segments, newIndex } = parts;
  const made = new NewSegments(segments);
  let next: Records | undefined;
  try {
    const { records } = current;
    const segment = await made.write(records, 0, records.rowCount, records.index.liveBits());
    const state = {
      ...stamp,
      generation: 0,
      journal: 0,
      segments: segment === undefined ? [] : [{ ...segment, deleted: undefined }],
      tags: log.tags,
      history: [],
    };
    const index = await newIndex();
    next = await loadVersion(driver, shape, state, index, { upTo: stamp.version }).then(
      (loaded) => new Records({ ...loaded, index }),
      async (error: unknown) => {
        await index.close();
        throw error;
      },
    );
    await checkpointRecords(parts, next, stamp);
  } catch (error) {
    await next?.close();
    if (log.isUsable) await made.discard();
    throw error;
  }
  current.swap(next, stamp.version);
}
