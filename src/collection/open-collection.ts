/**
 * Opening a collection: options checked, the folder locked, the newest whole version found or a
 * collection made. The entries bind it to their platform's parts.
 */
import { systemClock, wallClockMs } from "../core/clock.ts";
import { describe, NearfieldError } from "../core/errors.ts";
import { type EventSink, safeSink } from "../core/events.ts";
import type { StoredColumnShape } from "../core/stored-column.ts";
import { rowFormat } from "../core/stored-rows.ts";
import type { IndexOptions } from "../engine/contract.ts";
import { checkSignal, invalidOption, resolveOptions } from "../engine/options.ts";
import type { StoredIndex } from "../engine/stored-index.ts";
import type { StorageDriver } from "../storage/driver.ts";
import type { CollectionSettings } from "../storage/manifest.ts";
import { parseFileName } from "../storage/names.ts";
import { StoredCollection } from "./collection.ts";
import { checkCallback, checkObject, flag } from "./collection-options.ts";
import type { Collection, CollectionOptions } from "./contract.ts";
import { Extents } from "./extents.ts";
import { IdTable } from "./id-table.ts";
import { MetadataTable } from "./metadata-table.ts";
import { checkedModel, requireModel } from "./model.ts";
import { openNewest, type Opened } from "./open-newest.ts";
import { Records } from "./records.ts";
import { SegmentStore } from "./segment-store.ts";
import { VersionLog } from "./version-log.ts";

/** What a platform brings. */
export interface CollectionPlatform {
  readonly defaultThreads: number;
  /** Rejects with INVALID_OPTION for a location that is none here, NOT_FOUND, READ_ONLY, UNSUPPORTED. */
  openDriver(
    location: string,
    options: { readonly readOnly: boolean; readonly create: boolean; readonly workerUrl: string | URL | undefined },
  ): Promise<StorageDriver>;
  createIndex(options: IndexOptions): Promise<StoredIndex>;
}

export async function openCollectionOn(
  platform: CollectionPlatform,
  location: string,
  options: CollectionOptions = {},
): Promise<Collection> {
  const checked = checkedOptions(location, options);
  if (options.dimensions !== undefined)
    resolveOptions(indexOptions(options, options.dimensions), platform.defaultThreads);
  const driver = await openDriver(platform, location, checked, options);
  let release: (() => Promise<void>) | undefined;
  try {
    if (!checked.readOnly) release = await driver.lock();
    const opening = new Opening(platform, driver, checked, options);
    const opened = (await opening.newest()) ?? (await opening.made());
    return await opening.collection(opened, release);
  } catch (error) {
    await driver.close();
    await release?.();
    throw error;
  }
}

/** Makes no folder for a collection that cannot be made. */
async function openDriver(
  platform: CollectionPlatform,
  location: string,
  { readOnly, create }: CheckedOptions,
  { dimensions, workerUrl }: CollectionOptions,
): Promise<StorageDriver> {
  const canMake = create && dimensions !== undefined;
  try {
    return await platform.openDriver(location, { readOnly, create: canMake, workerUrl });
  } catch (error) {
    const isMissing = error instanceof NearfieldError && error.code === "NOT_FOUND";
    throw isMissing && create && !canMake ? missingDimensions(location) : error;
  }
}

function missingDimensions(location: string): NearfieldError {
  return new NearfieldError("INVALID_DIMENSIONS", {
    got: `no dimensions for ${location}, where there is no collection yet`,
    expected: "the length of its vectors",
    remedy: "give dimensions to make the collection; one that is there knows its own",
  });
}

/** Options that an index knows, and none of ours; symbols come along, for nearfield/testing. */
function indexOptions(options: CollectionOptions, dimensions: number): IndexOptions {
  const { create: _1, readOnly: _2, model: _3, signal: _4, onProgress: _5, ...rest } = options;
  return { ...rest, dimensions };
}

interface CheckedOptions {
  readonly readOnly: boolean;
  readonly create: boolean;
  readonly model: CollectionSettings["model"];
  readonly emit: EventSink;
}

function checkedOptions(location: unknown, options: CollectionOptions): CheckedOptions {
  if (typeof location !== "string" || location === "") {
    throw invalidOption("location", location, '":memory:", a folder, or "opfs:name"', "say where the collection lies");
  }
  checkObject("collection options", options);
  checkSignal(options.signal);
  checkCallback("onProgress", options.onProgress);
  checkCallback("onEvent", options.onEvent);
  const readOnly = flag("readOnly", options.readOnly, false);
  const create = flag("create", options.create, !readOnly);
  if (readOnly && create) throw invalidOption("create", true, "false with readOnly", "leave one of the two out");
  return { readOnly, create, model: checkedModel(options.model), emit: safeSink(options.onEvent) };
}

/** Milliseconds after which a reader looks again at what a writer seems to be writing: a few times soon, then ever later. */
const PAUSE_MS = 20;
const SOON = 5;
const MOST_PAUSE_MS = 200;

class Opening {
  readonly #platform: CollectionPlatform;
  readonly #driver: StorageDriver;
  readonly #checked: CheckedOptions;
  readonly #options: CollectionOptions;

  constructor(
    platform: CollectionPlatform,
    driver: StorageDriver,
    checked: CheckedOptions,
    options: CollectionOptions,
  ) {
    this.#platform = platform;
    this.#driver = driver;
    this.#checked = checked;
    this.#options = options;
  }

  newest(): Promise<Opened | undefined> {
    const { signal, onProgress } = this.#options;
    return openNewest({
      driver: this.#driver,
      shapeOf,
      newIndex: (settings) => {
        this.#requireSame(settings);
        return this.#newIndex(settings);
      },
      options: { ...(signal === undefined ? {} : { signal }), ...(onProgress === undefined ? {} : { onProgress }) },
      pause: (attempt) => {
        const ms = Math.min(PAUSE_MS * Math.max(1, attempt - SOON), MOST_PAUSE_MS);
        return new Promise((resolve) => void systemClock.after(ms, resolve));
      },
    });
  }

  /** A new collection, in memory; `collection` writes it down. */
  async made(): Promise<Opened> {
    const { location } = this.#driver;
    if (!this.#checked.create) {
      throw new NearfieldError("NOT_FOUND", {
        got: `${location}, where there is no collection`,
        expected: "a collection",
        remedy: "check the location, or leave create and readOnly out to make one",
      });
    }
    const strange = (await this.#driver.list()).filter(
      (name) => parseFileName(name) === undefined && !name.startsWith("."),
    );
    if (strange.length > 0) {
      throw new NearfieldError("INVALID_OPTION", {
        got: `the location ${location}, a folder with other files: ${strange.slice(0, 3).map(describe).join(", ")}`,
        expected: "a collection, or a folder that is empty or not there",
        remedy: "name a folder of the collection's own",
      });
    }
    const settings = this.#newSettings();
    const index = await this.#newIndex(settings);
    const records = new Records({ index, ids: new IdTable(), metadata: new MetadataTable(), extents: new Extents() });
    const loaded = {
      ids: records.ids,
      metadata: records.metadata,
      extents: records.extents,
      version: 0,
      tags: new Map<string, number>(),
      history: [],
      journal: undefined,
      damage: undefined,
      beyond: undefined,
    };
    return {
      settings,
      shape: shapeOf(settings),
      records,
      loaded,
      root: undefined,
      recovered: undefined,
      canResume: false,
    };
  }

  async collection(opened: Opened, release: (() => Promise<void>) | undefined): Promise<Collection> {
    const { settings, shape, records, loaded, root, recovered, canResume } = opened;
    try {
      if (recovered !== undefined) {
        this.#checked.emit({
          code: "collection-recovered",
          level: "warning",
          message: `${this.#driver.location} was opened at version ${loaded.version}: ${recovered.reason}`,
        });
      }
      const shared = {
        driver: this.#driver,
        settings,
        shape,
        records,
        recovered,
        emit: this.#checked.emit,
        newIndex: () => this.#newIndex(settings),
      };
      if (release === undefined) return new StoredCollection({ ...shared, state: loaded, writing: undefined });
      const next = await nextNumbers(this.#driver);
      const log = await VersionLog.open(this.#driver, settings, shape, {
        root,
        version: loaded.version,
        tags: loaded.tags,
        history: loaded.history,
        journal: canResume ? loaded.journal : undefined,
        nextGeneration: next.generation,
        uncommitted: canResume
          ? [...next.generations].filter((generation) => generation > (root?.generation ?? 0))
          : [],
      });
      const segments = new SegmentStore(this.#driver, shape, next.segment);
      if (loaded.history.length === 0) {
        await log.checkpoint({ version: 0, atMs: wallClockMs(), liveRows: 0, segments: [] });
      }
      return new StoredCollection({ ...shared, state: log, writing: { log, segments, release } });
    } catch (error) {
      await records.close();
      throw error;
    }
  }

  #newIndex(settings: CollectionSettings): Promise<StoredIndex> {
    const { dimensions, metric, precision } = settings;
    return this.#platform.createIndex({ ...indexOptions(this.#options, dimensions), metric, precision });
  }

  #newSettings(): CollectionSettings {
    const { dimensions } = this.#options;
    if (dimensions === undefined) throw missingDimensions(this.#driver.location);
    const options = indexOptions(this.#options, dimensions);
    const { metric, precision } = resolveOptions(options, this.#platform.defaultThreads);
    const { model } = this.#checked;
    return { dimensions, metric, precision, ...(model === undefined ? {} : { model }) };
  }

  /** Throws INVALID_DIMENSIONS, INVALID_OPTION or MODEL_MISMATCH where the caller takes the collection for another. */
  #requireSame(settings: CollectionSettings): void {
    for (const key of ["dimensions", "metric", "precision"] as const) {
      const asked: unknown = this.#options[key];
      if (asked === undefined || asked === settings[key]) continue;
      throw new NearfieldError(key === "dimensions" ? "INVALID_DIMENSIONS" : "INVALID_OPTION", {
        got: `${key} ${describe(asked)} for ${this.#driver.location}`,
        expected: `${describe(settings[key])}, the collection's own`,
        remedy: `leave ${key} out, or name another location for another collection`,
      });
    }
    requireModel(settings.model, this.#checked.model);
  }
}

function shapeOf({ precision, metric, dimensions }: CollectionSettings): StoredColumnShape {
  return { rowBytes: rowFormat(precision, metric, dimensions).rowBytes, hasScales: precision === "i8" };
}

interface Numbers {
  /** Above all numbers that a file in the folder has, be it of use or not. */
  readonly generation: number;
  readonly segment: number;
  /** Of all manifests and journals that there are. */
  readonly generations: ReadonlySet<number>;
}

async function nextNumbers(driver: StorageDriver): Promise<Numbers> {
  const generations = new Set<number>();
  let generation = 1;
  let segment = 1;
  for (const name of await driver.list()) {
    const file = parseFileName(name);
    if (file?.kind === "segment") segment = Math.max(segment, file.id + 1);
    if (file?.kind !== "manifest" && file?.kind !== "journal") continue;
    generation = Math.max(generation, file.generation + 1);
    generations.add(file.generation);
  }
  return { generation, segment, generations };
}
