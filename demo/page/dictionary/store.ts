/**
 * Where the glosses are kept: a collection in the origin private file system, built on the first visit under a lock that
 * all tabs share, and only read from then on, so that any number of tabs may be open. Where the browser refuses storage
 * the collection is in memory, and the page says so.
 */
import { type Collection, type EngineEvent, NearfieldError, openCollection, type VectorRecord } from "nearfield";
import { DATA_FILES } from "../data-files.ts";
import type { EmbeddedSynsets } from "./embed-worker.ts";

type Backend = "auto" | "gpu" | "cpu";

/** Where the rows come from when they are not there yet. */
export interface GlossSource {
  synsets(first: number, count: number): Promise<EmbeddedSynsets>;
}

export type Stage =
  | { readonly kind: "opening" }
  /** Another tab is building the store. */
  | { readonly kind: "waiting" }
  | { readonly kind: "building"; readonly done: number; readonly total: number };

export interface OpenOptions {
  readonly backend: Backend;
  readonly onEvent: (event: EngineEvent) => void;
  readonly onStage: (stage: Stage) => void;
  /** What a person should know: storage refused, a damaged store rebuilt. */
  readonly onNotice: (text: string) => void;
}

export interface GlossStore {
  readonly collection: Collection;
  /** Whether it will be there at the next visit. */
  readonly isKept: boolean;
}

const PREFIX = "glosses-";
const FOLDER = "nearfield";
/** Records of one change: what a closed tab has to do again at most. */
const GROUP = 8192;
/** Records that come from the embedder at once: some milliseconds of work there and of copying here. */
const PIECE = 512;
/** A version of the texts and of how they are embedded has a store of its own. */
const NAME = `${PREFIX}${DATA_FILES.embedding}`;
const LOCATION = `opfs:${NAME}`;
/** Held by the tab that makes the store, and by nobody else. */
const LOCK = `nearfield-demo-${NAME}`;
/** A tab that was closed may keep the files for a moment. */
const LOCKED_TRIES = 25;
const LOCKED_PAUSE_MS = 200;
const SHAPE = { dimensions: 192, metric: "cosine", precision: "i8" } as const;

/** What lies in the store. */
type Kept =
  | { readonly kind: "whole"; readonly collection: Collection }
  | { readonly kind: "unfinished" | "damaged" | "unreadable" };

/** Opens the store, making it first where it is missing, unfinished or damaged. Rejects where the source does. */
export async function openGlosses(source: GlossSource, options: OpenOptions): Promise<GlossStore> {
  options.onStage({ kind: "opening" });
  try {
    // The page itself learns sooner than a worker that it may not store anything.
    await root();
    const kept = await openKept(options);
    if (kept.kind === "whole") return { collection: kept.collection, isKept: true };
    options.onStage({ kind: "waiting" });
    return { collection: await navigator.locks.request(LOCK, () => makeKept(source, options)), isKept: true };
  } catch (error) {
    if (!isStorageProblem(error)) throw error;
    options.onNotice(whyInMemory(error));
    return { collection: await makeInMemory(source, options), isKept: false };
  }
}

/** The same rows on another backend: from the files where there are some, else copied. */
export async function openBeside(
  store: GlossStore,
  options: Omit<OpenOptions, "onStage" | "onNotice">,
): Promise<Collection> {
  const { backend, onEvent } = options;
  if (store.isKept) return openCollection(LOCATION, { readOnly: true, backend, onEvent });
  const copy = await openCollection(":memory:", { ...SHAPE, backend, onEvent });
  try {
    for await (const batch of store.collection.scan({ batch: GROUP })) await copy.upsert(batch);
  } catch (error) {
    await copy.close();
    throw error;
  }
  return copy;
}

/** Looks what is there, and changes nothing. */
async function openKept({ backend, onEvent }: OpenOptions): Promise<Kept> {
  try {
    const collection = await openCollection(LOCATION, { readOnly: true, backend, onEvent });
    if (collection.size === DATA_FILES.glosses.count) return { kind: "whole", collection };
    const { recovered } = collection;
    await collection.close();
    return { kind: recovered === undefined ? "unfinished" : "damaged" };
  } catch (error) {
    const code = error instanceof NearfieldError ? error.code : undefined;
    if (code === "NOT_FOUND") return { kind: "unfinished" };
    if (code === "CORRUPT" || code === "UNSUPPORTED_FORMAT") return { kind: "unreadable" };
    throw error;
  }
}

/** Under the lock: what another tab left is looked at again, and what it finished is taken. */
async function makeKept(source: GlossSource, options: OpenOptions): Promise<Collection> {
  options.onStage({ kind: "opening" });
  const found = await openKept(options);
  if (found.kind === "whole") return found.collection;
  if (found.kind !== "unfinished") options.onNotice("The stored definitions were damaged: they are made again.");
  if (found.kind === "unreadable") await removeStore(NAME);
  try {
    await write(source, options);
  } catch (error) {
    // Stores of older versions may be what fills the disk.
    if (!isFull(error) || !(await forgetOthers())) throw error;
    await write(source, options);
  }
  const made = await openKept(options);
  if (made.kind !== "whole") throw new Error(`the store is ${made.kind} although it was just made; reload the page`);
  void forgetOthers().catch(() => {}); // the next version's first visit tries again
  return made.collection;
}

/** Writes what is missing. Half a store helps nobody where there is no room for a whole one. */
async function write(source: GlossSource, options: OpenOptions): Promise<void> {
  const collection = await openToWrite(options.onEvent);
  try {
    await fill(collection, source, options);
  } catch (error) {
    await collection.close();
    if (isFull(error)) await removeStore(NAME);
    throw error;
  }
  await collection.close();
}

async function openToWrite(onEvent: OpenOptions["onEvent"]): Promise<Collection> {
  for (let tries = 1; ; tries++) {
    try {
      return await openCollection(LOCATION, { ...SHAPE, backend: "cpu", onEvent });
    } catch (error) {
      if (!(error instanceof NearfieldError && error.code === "LOCKED") || tries === LOCKED_TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, LOCKED_PAUSE_MS));
    }
  }
}

async function makeInMemory(source: GlossSource, options: OpenOptions): Promise<Collection> {
  const { backend, onEvent } = options;
  const collection = await openCollection(":memory:", { ...SHAPE, backend, onEvent });
  try {
    await fill(collection, source, options);
  } catch (error) {
    await collection.close();
    throw error;
  }
  return collection;
}

/** Adds what is missing. Ids are places among the glosses, written in order: the size says where to go on. */
async function fill(collection: Collection, source: GlossSource, { onStage }: OpenOptions): Promise<void> {
  const total = DATA_FILES.glosses.count;
  while (collection.size < total) {
    const first = collection.size;
    const count = Math.min(GROUP, total - first);
    const onDone = (done: number): void => onStage({ kind: "building", done: first + done, total });
    onDone(0);
    const { written } = await collection.upsert(records(source, first, count, onDone));
    if (written !== count)
      throw new Error(`got ${written} of ${count} definitions; reload the page to load them again`);
  }
}

async function* records(
  source: GlossSource,
  first: number,
  count: number,
  onDone: (done: number) => void,
): AsyncGenerator<VectorRecord> {
  const piece = (at: number): Promise<EmbeddedSynsets> => source.synsets(first + at, Math.min(PIECE, count - at));
  let next = piece(0);
  for (let at = 0; at < count; at += PIECE) {
    const { synsets, vectors } = await next;
    // The embedder makes the next ones while these are stored.
    if (at + PIECE < count) next = piece(at + PIECE);
    for (const [i, { part, words, gloss }] of synsets.entries()) {
      const vector = vectors.subarray(i * SHAPE.dimensions, (i + 1) * SHAPE.dimensions);
      yield { id: String(first + at + i), vector, metadata: { part, words, gloss } };
    }
    onDone(at + synsets.length);
  }
}

/** Refused, absent or full storage; anything else is a fault of its own. */
function isStorageProblem(error: unknown): boolean {
  if (error instanceof NearfieldError)
    return ["UNSUPPORTED", "QUOTA_EXCEEDED", "WORKER_FAILED", "READ_ONLY"].includes(error.code);
  return error instanceof DOMException;
}

function isFull(error: unknown): boolean {
  return error instanceof NearfieldError && error.code === "QUOTA_EXCEEDED";
}

function whyInMemory(error: unknown): string {
  const why = isFull(error)
    ? "This browser's storage is full"
    : "This browser does not let the page store data (a private window?)";
  return `${why}: the definitions stay in memory and are made again at the next visit.`;
}

function root(): Promise<FileSystemDirectoryHandle> {
  if (navigator.locks === undefined || navigator.storage?.getDirectory === undefined)
    throw new DOMException("this browser, or this address without https, has no file storage", "NotSupportedError");
  return navigator.storage.getDirectory();
}

async function storesFolder(): Promise<FileSystemDirectoryHandle> {
  return (await root()).getDirectoryHandle(FOLDER, { create: true });
}

async function removeStore(name: string): Promise<void> {
  try {
    await (await storesFolder()).removeEntry(name, { recursive: true });
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "NotFoundError")) throw error;
  }
}

/** Removes stores of older versions of the page, and says whether there were any; what another tab holds stays for now. */
async function forgetOthers(): Promise<boolean> {
  let removed = 0;
  const folder = await storesFolder();
  for await (const name of folder.keys()) {
    if (!name.startsWith(PREFIX) || name === NAME) continue;
    await removeStore(name).then(
      () => removed++,
      () => {},
    );
  }
  return removed > 0;
}
