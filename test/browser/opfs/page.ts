/** The page's side: drivers from the sources, collections from the built package. */
import { type Collection, type CollectionOptions, type NearfieldError, openCollection } from "nearfield";
import type { StorageDriver } from "../../../src/storage/driver.ts";
import { opfsDriver } from "../../../src/storage/opfs-driver.ts";
import { spawnOpfsWorker } from "../../../src/storage/opfs-spawn.ts";
import { DRIVER_CASES } from "../../storage/driver-cases.ts";

/** Workers that handle files, so that a test can end one as a crash would. */
const storageWorkers: Worker[] = [];
const PlainWorker = globalThis.Worker;
globalThis.Worker = class extends PlainWorker {
  constructor(url: string | URL, options?: WorkerOptions) {
    super(url, options);
    if (options?.name === "nearfield-opfs") storageWorkers.push(this);
  }
};

const open = new Map<string, Collection>();
let folders = 0;

function found(key: string): Collection {
  const collection = open.get(key);
  if (collection === undefined) throw new Error(`${key} is not open`);
  return collection;
}

/** What is written by step `step`: the vector and the metadata say so both. */
function recordOf(
  id: number,
  step: number,
  padding = 0,
): Parameters<Collection["upsert"]>[0] extends Iterable<infer R> | AsyncIterable<unknown> ? R : never {
  return { id: `id-${id}`, vector: [step, id, 1, 0], metadata: { step, bucket: id % 7, padding: "x".repeat(padding) } };
}

export interface Write {
  readonly kind: "upsert" | "delete";
  readonly ids: readonly number[];
  readonly step: number;
}

/** Set by the test: hears of each change before it begins, and after it is done. */
declare const report: (line: { readonly begin: Write } | { readonly done: true }) => Promise<void>;

const opfsApi = {
  /** Runs one case of the table in a folder of its own; resolves with what was wrong. */
  async runDriverCase(index: number): Promise<string | undefined> {
    const name = `case-${folders++}`;
    const drivers: StorageDriver[] = [];
    try {
      await DRIVER_CASES[index]?.run(async (options) => {
        const driver = await opfsDriver(spawnOpfsWorker, `opfs:${name}`, { create: true, ...options });
        drivers.push(driver);
        return driver;
      });
      return undefined;
    } catch (error) {
      return error instanceof Error ? (error.stack ?? error.message) : String(error);
    } finally {
      await Promise.all(drivers.map((driver) => driver.close()));
    }
  },

  /** Opens a collection under a key; resolves with its version, or the code it was refused with. */
  async open(
    key: string,
    location: string,
    options: CollectionOptions,
  ): Promise<{ version: number; recovered: boolean } | { code: string; message: string }> {
    try {
      const collection = await openCollection(location, { backend: "cpu", threads: 1, ...options });
      open.set(key, collection);
      return { version: collection.version, recovered: collection.recovered !== undefined };
    } catch (error) {
      return { code: (error as NearfieldError).code, message: String(error) };
    }
  },

  async close(key: string): Promise<void> {
    await found(key).close();
    open.delete(key);
  },

  /** Upserts ids first … first + count − 1; resolves with the version, or the code. */
  async write(key: string, first: number, count: number, step: number, padding = 0): Promise<number | string> {
    const records = Array.from({ length: count }, (_, i) => recordOf(first + i, step, padding));
    return found(key)
      .upsert(records)
      .then(
        ({ version }) => version,
        ({ code }: NearfieldError) => code,
      );
  },

  /** [id, step] of all records, checked against their own vectors, and that scan, count, get and a search agree. */
  async content(key: string): Promise<[number, number][]> {
    const collection = found(key);
    const records = new Map<number, number>();
    for await (const batch of collection.scan()) {
      for (const { id, vector, metadata } of batch) {
        const [step, number] = vector;
        if (step === undefined || number === undefined || id !== `id-${number}` || metadata?.["step"] !== step) {
          throw new Error(`${id} is not what was written`);
        }
        records.set(number, step);
      }
    }
    const ids = [...records.keys()];
    const got = await collection.get(ids.map((id) => `id-${id}`));
    if (got.some((record, i) => record?.id !== `id-${ids[i]}`)) throw new Error("get and scan do not agree");
    const third = ids.filter((id) => id % 7 === 3).length;
    if ((await collection.count({ bucket: 3 })) !== third || collection.size !== ids.length)
      throw new Error("count and scan do not agree");
    const { matches } = await collection.query({ vector: [1, 1, 1, 1], k: ids.length + 1, include: [] });
    if (matches.length !== ids.length) throw new Error("a search and scan do not agree");
    return [...records];
  },

  async verify(key: string): Promise<{ ok: boolean; damages: readonly object[] }> {
    return found(key).verify();
  },

  /** Writes until it is stopped from outside, one change after the other. */
  async writeForEver(key: string, seed: number): Promise<string> {
    const collection = found(key);
    let state = seed;
    const below = (bound: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return (state >>> 8) % bound;
    };
    try {
      for (let step = seed * 1000; ; step++) {
        const ids = Array.from({ length: 1 + below(30) }, () => below(200));
        const kind = below(4) === 0 ? "delete" : "upsert";
        await report({ begin: { kind, ids, step } });
        if (kind === "delete") await collection.delete(ids.map((id) => `id-${id}`));
        else await collection.upsert(ids.map((id) => recordOf(id, step, below(8) === 0 ? 20_000 : 0)));
        await report({ done: true });
      }
    } catch (error) {
      return (error as NearfieldError).code;
    }
  },

  /** Puts files, as base64, where the collection of that name has its own. */
  async place(name: string, files: { readonly [file: string]: string }): Promise<void> {
    const parent = await (await navigator.storage.getDirectory()).getDirectoryHandle("nearfield", { create: true });
    const folder = await parent.getDirectoryHandle(name, { create: true });
    for (const [file, text] of Object.entries(files)) {
      const writer = await (await folder.getFileHandle(file, { create: true })).createWritable();
      await writer.write(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)));
      await writer.close();
    }
  },

  /** The files of a collection, as base64. */
  async files(name: string): Promise<{ [file: string]: string }> {
    const parent = await (await navigator.storage.getDirectory()).getDirectoryHandle("nearfield");
    const files: { [file: string]: string } = {};
    for await (const [file, handle] of (await parent.getDirectoryHandle(name)).entries()) {
      if (!(handle instanceof FileSystemFileHandle)) continue;
      const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
      files[file] = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    }
    return files;
  },

  /** Every record as plain values. */
  async records(key: string): Promise<{ id: string; vector: number[]; metadata: unknown }[]> {
    const records: { id: string; vector: number[]; metadata: unknown }[] = [];
    for await (const batch of found(key).scan()) {
      for (const { id, vector, metadata } of batch) records.push({ id, vector: [...vector], metadata });
    }
    return records;
  },

  endStorageWorkers(): number {
    for (const worker of storageWorkers) worker.terminate();
    return storageWorkers.splice(0).length;
  },
};

export type OpfsPageApi = typeof opfsApi;
Object.assign(globalThis, { opfsApi });
