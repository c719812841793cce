/**
 * The durable side of a collection that is written: the journal that changes go to, checkpoints
 * that begin the next, tags, and which versions can be opened. One call at a time.
 *
 * A change is committed by the journal's sync, or, where it does not fit a journal, by the root
 * that names a checkpoint with it. After a root could not be written nobody knows which of two
 * states the next opening finds: what follows is refused.
 */
import { NearfieldError } from "../core/errors.ts";
import { STORAGE_LIMITS } from "../core/limits.ts";
import type { StoredColumnShape } from "../core/stored-column.ts";
import type { StorageDriver, WritableFile } from "../storage/driver.ts";
import type { JournalEnd } from "../storage/journal-reader.ts";
import type { JournalChange, JournalRecord } from "../storage/journal-record.ts";
import { JournalWriter } from "../storage/journal-writer.ts";
import type { CollectionSettings, KeptVersion, ManifestSegment } from "../storage/manifest.ts";
import { writeManifest } from "../storage/manifest-writer.ts";
import { journalName, manifestName } from "../storage/names.ts";
import { type Root, writeRoot } from "../storage/roots.ts";

/** Where a log goes on. */
export interface LogStart {
  readonly root: Root | undefined;
  readonly version: number;
  readonly tags: ReadonlyMap<string, number>;
  readonly history: readonly KeptVersion[];
  /** undefined: the first change begins with a checkpoint. */
  readonly journal: { readonly generation: number; readonly end: JournalEnd } | undefined;
  /** Above those of all manifests and journals that there are. */
  readonly nextGeneration: number;
  /** Generations above the root's: checkpoints whose writer died before their root was written. */
  readonly uncommitted: readonly number[];
}

/** One committed change and the records there are after it. */
export interface LoggedChange {
  readonly change: JournalChange;
  readonly liveRows: number;
}

/** A state that a checkpoint writes down. */
export interface Checkpoint {
  readonly version: number;
  readonly atMs: number;
  readonly liveRows: number;
  readonly segments: readonly ManifestSegment[];
  /** Which versions can be opened from then on, the state's own in any case. Default: all that can be now. */
  readonly isKept?: (entry: KeptVersion) => boolean;
}

interface OpenJournal {
  readonly generation: number;
  readonly file: WritableFile;
  readonly writer: JournalWriter;
}

export class VersionLog {
  readonly #driver: StorageDriver;
  readonly #settings: CollectionSettings;
  readonly #shape: StoredColumnShape;
  #root: Root | undefined;
  #version: number;
  #tags: Map<string, number>;
  #history: KeptVersion[];
  #journal: OpenJournal | undefined;
  /** Where the journal goes on from the first change on. */
  #waiting: LogStart["journal"];
  #nextGeneration: number;
  #uncommitted: number[];
  #failure: unknown;

  private constructor(driver: StorageDriver, settings: CollectionSettings, shape: StoredColumnShape, start: LogStart) {
    this.#driver = driver;
    this.#settings = settings;
    this.#shape = shape;
    this.#root = start.root;
    this.#version = start.version;
    this.#tags = new Map(start.tags);
    this.#history = [...start.history];
    this.#nextGeneration = start.nextGeneration;
    this.#waiting = start.journal;
    this.#uncommitted = [...start.uncommitted];
  }

  /** `driver`: locked. */
  static async open(
    driver: StorageDriver,
    settings: CollectionSettings,
    shape: StoredColumnShape,
    start: LogStart,
  ): Promise<VersionLog> {
    const log = new VersionLog(driver, settings, shape, start);
    // A damaged end is cut off by the first change, not by looking. A whole one is synced: who read it may rely on it.
    if (start.journal?.end.damage === undefined) await log.#resume();
    return log;
  }

  get version(): number {
    return this.#version;
  }

  get tags(): ReadonlyMap<string, number> {
    return this.#tags;
  }

  /** Versions that can be opened, ascending. */
  get history(): readonly KeptVersion[] {
    return this.#history;
  }

  /** Of the journal that the next change goes to. */
  get journalEnd(): Pick<JournalEnd, "goodBytes" | "recordCount"> {
    return this.#journal?.writer.end ?? this.#waiting?.end ?? { goodBytes: 0, recordCount: 0 };
  }

  /** Whether the next change must be preceded by a checkpoint. */
  get needsCheckpoint(): boolean {
    return this.#journal === undefined && this.#waiting === undefined;
  }

  /** Whether the journal is as long as it should become. */
  get isLong(): boolean {
    const { goodBytes, recordCount } = this.journalEnd;
    return goodBytes >= STORAGE_LIMITS.journalBytes || recordCount >= STORAGE_LIMITS.journalRecords;
  }

  /** Commits changes, all or none, each as a version of its own (tags as none). Rejects with what the driver does. */
  async append(changes: readonly LoggedChange[], atMs: number): Promise<void> {
    this.#checkUsable();
    await this.#resume();
    await this.#removeUncommitted();
    if (this.#journal === undefined) throw new Error("a change where a checkpoint comes first");
    const { writer, generation } = this.#journal;
    let version = this.#version;
    const records = changes.map(({ change }): JournalRecord => {
      if (change.kind !== "tag") version++;
      return { ...change, version, atMs };
    });
    await writer.append(records);
    for (const [i, { change, liveRows }] of changes.entries()) {
      if (change.kind === "tag") this.#setTag(change.name, change.target);
      else this.#history.push({ version: records[i]?.version ?? 0, generation, atMs, liveRows });
    }
    this.#version = version;
  }

  /**
   * Writes a state down whole and begins a journal behind it. Its version is the present one, or,
   * for a change that is committed by this, the next. On failure the files it made are removed.
   */
  async checkpoint({ version, atMs, liveRows, segments, isKept = () => true }: Checkpoint): Promise<void> {
    this.#checkUsable();
    const generation = this.#nextGeneration++;
    const history = this.#historyWith({ version, generation, atMs, liveRows }, isKept);
    const manifest = {
      generation,
      version,
      atMs,
      settings: this.#settings,
      segments,
      tags: this.#tags,
      history,
      journal: generation,
    };
    let journal: OpenJournal | undefined;
    try {
      await this.#create(manifestName(generation), async (file) => {
        await writeManifest(file, manifest);
        await file.close();
      });
      journal = await this.#create(journalName(generation), async (file) => {
        const writer = await JournalWriter.create(file, { generation, baseVersion: version }, this.#shape);
        return { generation, file, writer };
      });
      await this.#driver.syncFolder();
    } catch (error) {
      await journal?.file.close();
      this.#uncommitted.push(generation);
      await this.#removeUncommitted().catch(() => {}); // the first failure is what is told
      throw error;
    }
    try {
      this.#root = await writeRoot(this.#driver, this.#root, generation);
    } catch (error) {
      this.#failure = error;
      await journal.file.close();
      throw error;
    }
    const before = this.#journal;
    this.#journal = journal;
    this.#waiting = undefined;
    this.#version = version;
    this.#history = history;
    this.#uncommitted = []; // older than what is committed now: nobody takes them for the newest
    await before?.file.close();
  }

  /** Whether it is known what is on the disk. */
  get isUsable(): boolean {
    return this.#failure === undefined && (this.#journal?.writer.isUsable ?? true);
  }

  /** When the present version was committed. */
  get atMs(): number {
    return this.#history.at(-1)?.atMs ?? 0;
  }

  async close(): Promise<void> {
    await this.#journal?.file.close();
    this.#journal = undefined;
    this.#failure ??= new Error("the log is closed");
  }

  async #resume(): Promise<void> {
    if (this.#waiting === undefined) return;
    const { generation, end } = this.#waiting;
    const file = await this.#driver.openToWrite(journalName(generation), "modify");
    try {
      const writer = await JournalWriter.resume(file, end, this.#shape);
      this.#journal = { generation, file, writer };
      this.#waiting = undefined;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /**
   * Checkpoints without a root are gone, durably, before the journal before them grows. They would
   * be taken for the newest state once a root is damaged, and what was appended since be lost.
   */
  async #removeUncommitted(): Promise<void> {
    if (this.#uncommitted.length === 0) return;
    for (const generation of this.#uncommitted) {
      await this.#driver.remove(journalName(generation));
      await this.#driver.remove(manifestName(generation));
    }
    await this.#driver.syncFolder();
    this.#uncommitted = [];
  }

  /** A new file, closed when the task fails. */
  async #create<T>(name: string, task: (file: WritableFile) => Promise<T>): Promise<T> {
    const file = await this.#driver.openToWrite(name, "create");
    try {
      return await task(file);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  #setTag(name: string, target: number | undefined): void {
    if (target === undefined) this.#tags.delete(name);
    else this.#tags.set(name, target);
  }

  /** A version is opened from the newest manifest that has it; of many untagged versions the oldest are forgotten. */
  #historyWith(entry: KeptVersion, isKept: (entry: KeptVersion) => boolean): KeptVersion[] {
    const history = this.#history.filter((older) => older.version !== entry.version && isKept(older));
    history.push(entry);
    const surplus = history.length - STORAGE_LIMITS.historyVersions;
    if (surplus <= 0) return history;
    const tagged = new Set(this.#tags.values());
    return history.filter(({ version }, i) => i >= surplus || tagged.has(version));
  }

  #checkUsable(): void {
    if (this.#failure === undefined) return;
    throw new NearfieldError("READ_ONLY", {
      got: "a change after writing a checkpoint had failed",
      expected: "a collection whose newest state on the disk is known",
      remedy: "close it and open it again: it then says what was kept",
      cause: this.#failure,
    });
  }
}
