/**
 * Finds the newest state of a collection that is whole, and brings it into memory. The newest root
 * names a manifest; where that, a segment of it, or the root is damaged, an older manifest and all
 * journals behind it lead to the same version as long as they are whole, because a checkpoint
 * changes nothing. Opening writes nothing.
 */
import { NearfieldError } from "../core/errors.ts";
import { STORAGE_LIMITS } from "../core/limits.ts";
import type { StoredColumnShape } from "../core/stored-column.ts";
import type { AddOptions } from "../engine/contract.ts";
import type { StoredIndex } from "../engine/stored-index.ts";
import { type Damage, DamageError } from "../storage/damage.ts";
import type { StorageDriver } from "../storage/driver.ts";
import { HEADER_BYTES } from "../storage/file-header.ts";
import type { CollectionSettings, Manifest } from "../storage/manifest.ts";
import { readManifest } from "../storage/manifest-reader.ts";
import { journalName, manifestName, parseFileName, rootName } from "../storage/names.ts";
import { readRoots, type Root, type Roots } from "../storage/roots.ts";
import type { Recovery } from "./contract.ts";
import { reading } from "./needed-files.ts";
import { Records } from "./records.ts";
import { damageOf, JournalSegmentError, type LoadedVersion, loadVersion } from "./version-loader.ts";

export interface Opened {
  readonly settings: CollectionSettings;
  readonly shape: StoredColumnShape;
  readonly records: Records;
  readonly loaded: LoadedVersion;
  readonly root: Root | undefined;
  readonly recovered: Recovery | undefined;
  /** Whether all but the journal's end is whole: a writer goes on in it. */
  readonly canResume: boolean;
}

export interface OpenParts {
  readonly driver: StorageDriver;
  readonly shapeOf: (settings: CollectionSettings) => StoredColumnShape;
  /** Makes the index of a collection; throws where the caller's options are not the collection's. */
  readonly newIndex: (settings: CollectionSettings) => Promise<StoredIndex>;
  readonly options: AddOptions;
  /** Waits a moment, for another one's write to end; longer after each attempt. */
  readonly pause: (attempt: number) => Promise<void>;
}

/**
 * undefined: there is no collection, or one whose making did not end. Rejects with CORRUPT,
 * UNSUPPORTED_FORMAT, and as `newIndex` does. A reader beside a writer may see a root or the end of a
 * journal half-written, or miss files that were just compacted away: what looks like damage then
 * is looked at again.
 */
export async function openNewest(parts: OpenParts): Promise<Opened | undefined> {
  const { driver, pause } = parts;
  for (let attempt = 1; ; attempt++) {
    const names = await namesOf(driver);
    const roots = await readRoots(driver);
    if (roots.best === undefined && roots.damages.length === 0 && (await isUnmade(driver, names))) return undefined;
    const search = new Search(parts, names, roots);
    let opened: Opened | undefined;
    try {
      await search.noteLostRoots();
      opened = await search.open();
    } finally {
      await search.closeUnused();
    }
    if (opened !== undefined && opened.recovered === undefined) return opened;
    const most = await attemptsOf(driver, search.isMissingFiles);
    if (attempt >= most) {
      if (opened === undefined) throw search.error();
      return opened;
    }
    await opened?.records.close();
    await pause(attempt);
  }
}

/** How often to look at what seems damaged: a writer sees what is there. */
async function attemptsOf(driver: StorageDriver, isMissingFiles: boolean): Promise<number> {
  if (!driver.isReadOnly) return 1;
  if (await driver.isLocked()) return STORAGE_LIMITS.openAttemptsBesideWriter;
  return isMissingFiles ? STORAGE_LIMITS.openAttempts : 1;
}

interface Names {
  readonly manifests: readonly number[];
  readonly journals: readonly number[];
  readonly segments: number;
}

async function namesOf(driver: StorageDriver): Promise<Names> {
  const manifests: number[] = [];
  const journals: number[] = [];
  let segments = 0;
  for (const name of await driver.list()) {
    const file = parseFileName(name);
    if (file?.kind === "manifest") manifests.push(file.generation);
    if (file?.kind === "journal") journals.push(file.generation);
    if (file?.kind === "segment") segments++;
  }
  return { manifests: manifests.sort((a, b) => b - a), journals: journals.sort((a, b) => a - b), segments };
}

/** Whether nothing was ever committed: no root, and of any number of tries nothing but first manifests, half-written ones too, and empty journals. */
async function isUnmade(driver: StorageDriver, { manifests, journals, segments }: Names): Promise<boolean> {
  if (segments > 0) return false;
  for (const generation of journals) {
    if (!(await reading(driver, journalName(generation), async ({ size }) => size <= HEADER_BYTES))) return false;
  }
  for (const generation of manifests) {
    const name = manifestName(generation);
    try {
      const { version } = await reading(driver, name, (file) => readManifest(file, name, generation));
      if (version > 0) return false;
    } catch (error) {
      if (damageOf(error, name) === undefined) throw error;
    }
  }
  return true;
}

class Search {
  readonly #parts: OpenParts;
  readonly #names: Names;
  readonly #roots: Roots;
  readonly #damages: Damage[];
  #index: StoredIndex | undefined;
  /** The newest version that a damaged manifest spoke of. */
  #claimed = -1;
  isMissingFiles = false;

  constructor(parts: OpenParts, names: Names, roots: Roots) {
    this.#parts = parts;
    this.#names = names;
    this.#roots = roots;
    this.#damages = [...roots.damages];
  }

  /** A root that is not there although it was written: the second is missing after more than one, or a later journal has records. */
  async noteLostRoots(): Promise<void> {
    const { best, older, damages } = this.#roots;
    if (damages.length > 0) return;
    const missing = best?.slot === 0 ? rootName(1) : rootName(0);
    const isOneMissing = best !== undefined && older === undefined && best.sequence > 1;
    if (best === undefined || isOneMissing || (await this.#hasRecordsBehind(best.generation))) {
      this.#damages.push({ file: missing, offset: 0, reason: "the root is missing, or older than the files" });
    }
  }

  async #hasRecordsBehind(generation: number): Promise<boolean> {
    for (const later of this.#names.journals.filter((journal) => journal > generation)) {
      try {
        const size = await reading(this.#parts.driver, journalName(later), async (file) => file.size);
        if (size > HEADER_BYTES) return true;
      } catch (error) {
        this.#note(error, journalName(later)); // compacted away since it was listed
      }
    }
    return false;
  }

  async open(): Promise<Opened | undefined> {
    for (const generation of this.#candidates()) {
      const manifest = await this.#manifest(generation);
      const loaded = manifest === undefined ? undefined : await this.#load(manifest);
      if (manifest === undefined || loaded === undefined || this.#index === undefined) continue;
      const { settings } = manifest;
      const records = new Records({ ...loaded, index: this.#index });
      this.#index = undefined;
      const recovered = this.#recovery(loaded);
      return {
        settings,
        shape: this.#parts.shapeOf(settings),
        records,
        loaded,
        root: this.#roots.best,
        recovered,
        canResume: this.#damages.length === 0,
      };
    }
    return undefined;
  }

  async closeUnused(): Promise<void> {
    await this.#index?.close();
    this.#index = undefined;
  }

  error(): NearfieldError {
    const [first] = this.#damages;
    const cause = first === undefined ? undefined : new DamageError(first);
    return new NearfieldError("CORRUPT", {
      got: `${this.#parts.driver.location}, of which no state is whole${first === undefined ? "" : `: ${first.reason} (${first.file})`}`,
      expected: "a collection with a root, its manifest, and that manifest's segments",
      remedy: "restore the folder from a copy; nothing in it was changed",
      details: this.#damages,
      cause,
    });
  }

  /** Generations of manifests to try, the newest state first. A whole root says which are committed; where one is damaged, it may have named any. */
  #candidates(): number[] {
    const { best, older } = this.#roots;
    const { manifests } = this.#names;
    if (best === undefined || this.#damages.length > 0) return [...manifests];
    const before = manifests.filter((generation) => generation < best.generation);
    const named = older === undefined ? [best.generation] : [best.generation, older.generation];
    return [...new Set([...named, ...before])];
  }

  async #manifest(generation: number): Promise<Manifest | undefined> {
    const name = manifestName(generation);
    try {
      return await reading(this.#parts.driver, name, (file) => readManifest(file, name, generation));
    } catch (error) {
      this.#note(error, name);
      return undefined;
    }
  }

  async #load(manifest: Manifest): Promise<LoadedVersion | undefined> {
    const { driver, shapeOf, newIndex, options } = this.#parts;
    const isNewest = this.#damages.length === 0 && manifest.generation === this.#roots.best?.generation;
    const later = this.#names.journals.filter((generation) => generation > manifest.generation);
    const followers = isNewest ? [] : later;
    this.#index ??= await newIndex(manifest.settings);
    let upTo = Number.POSITIVE_INFINITY;
    for (;;) {
      try {
        const shape = shapeOf(manifest.settings);
        return await loadVersion(driver, shape, manifest, this.#index, { ...options, upTo, followers });
      } catch (error) {
        this.#note(error, manifestName(manifest.generation));
        if (!(error instanceof JournalSegmentError)) {
          this.#claimed = Math.max(this.#claimed, manifest.version);
          return undefined;
        }
        this.#claimed = Math.max(this.#claimed, error.version);
        upTo = error.version - 1;
      }
    }
  }

  /** Takes note of damage; throws what is none. */
  #note(error: unknown, file: string): void {
    const damage = damageOf(error, file);
    if (damage === undefined) throw error;
    this.isMissingFiles ||= error instanceof NearfieldError && error.code === "NOT_FOUND";
    this.#damages.push(damage);
  }

  #recovery({ damage, version, beyond }: LoadedVersion): Recovery | undefined {
    const first = this.#damages[0] ?? damage;
    if (first === undefined) return undefined;
    const from = Math.max(this.#claimed, beyond ?? 0, version + (damage === undefined ? 0 : 1));
    return { from, reason: `${first.file}, byte ${first.offset}: ${first.reason}` };
  }
}
