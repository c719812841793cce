/**
 * Collections in the origin private file system of browsers. Each driver has a worker of its own
 * (opfs-service.ts), because sync access handles exist nowhere else; when it dies, so do its handles
 * and its lock, and every call rejects with WORKER_FAILED. Bytes are copied once, in pieces, and
 * transferred; two pieces of a read are under way at once.
 */
import * as Comlink from "comlink";
import { STORAGE_LIMITS } from "../core/limits.ts";
import { invalidLocation } from "./storage-errors.ts";
import type { ReadableFile, StorageDriver, WritableFile } from "./driver.ts";
import type { OpenedFile, OpfsApi } from "./opfs-api.ts";
import { opfsError, workerGone } from "./opfs-errors.ts";
import { inPieces } from "./pieces.ts";
import {
  checkedAction,
  checkFileName,
  checkOffset,
  closedStorage,
  type FileAction,
  fileTooShort,
  lockedStorage,
} from "./storage-errors.ts";

export interface OpfsOptions {
  readonly readOnly?: boolean;
  /** Whether the folder is made. Default: true unless `readOnly`. */
  readonly create?: boolean;
  /** Script of the worker, for pages that forbid inlined ones. */
  readonly workerUrl?: string | URL | undefined;
}

/** A worker that has just been started. */
export type SpawnOpfsWorker = (url: string | URL | undefined) => Worker;

const PREFIX = "opfs:";

/** `location`: `opfs:name`. Rejects with INVALID_OPTION, NOT_FOUND, UNSUPPORTED, WORKER_FAILED. */
export async function opfsDriver(
  spawn: SpawnOpfsWorker,
  location: string,
  options: OpfsOptions = {},
): Promise<StorageDriver> {
  const name = location.slice(PREFIX.length);
  if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(name) || name.length > STORAGE_LIMITS.fileNameLength) {
    throw invalidLocation(
      location,
      `"${PREFIX}" and 1 to ${STORAGE_LIMITS.fileNameLength} of A–Z, a–z, 0–9, ".", "_" and "-"`,
    );
  }
  const isReadOnly = options.readOnly ?? false;
  const link = new Link(location, spawn, options.workerUrl);
  const create = options.create ?? !isReadOnly;
  try {
    await link.call({ location, name: "", verb: "opening" }, (api) => api.openFolder(name, create));
  } catch (error) {
    link.end();
    throw error;
  }
  return new OpfsDriver(location, isReadOnly, link);
}

/** The line to a worker: calls reject when it dies. */
class Link {
  readonly #location: string;
  readonly #worker: Worker;
  readonly #api: Comlink.Remote<OpfsApi>;
  readonly #dead: Promise<never>;

  constructor(location: string, spawn: SpawnOpfsWorker, url: string | URL | undefined) {
    this.#location = location;
    this.#worker = spawn(url);
    this.#api = Comlink.wrap<OpfsApi>(this.#worker);
    this.#dead = new Promise((_resolve, reject) => {
      const die = (event: Event): void => reject(workerGone(location, event));
      this.#worker.addEventListener("error", die, { once: true });
      this.#worker.addEventListener("messageerror", die, { once: true });
    });
    this.#dead.catch(() => {}); // told by the calls
  }

  async call<T>(action: FileAction, task: (api: Comlink.Remote<OpfsApi>) => Promise<T>): Promise<T> {
    try {
      return await Promise.race([task(this.#api), this.#dead]);
    } catch (cause) {
      throw opfsError({ ...action, location: this.#location }, cause);
    }
  }

  /** The worker goes, and with it what it has open and locked. */
  end(): void {
    this.#api[Comlink.releaseProxy]();
    this.#worker.terminate();
  }
}

class OpfsDriver implements StorageDriver {
  readonly location: string;
  readonly isReadOnly: boolean;
  readonly #link: Link;
  readonly #open = new Set<OpfsFile>();
  #isClosed = false;
  #isLocked = false;

  constructor(location: string, isReadOnly: boolean, link: Link) {
    this.location = location;
    this.isReadOnly = isReadOnly;
    this.#link = link;
  }

  async lock(): Promise<() => Promise<void>> {
    const action = this.#check("locking", "", true);
    const holder = await this.#link.call(action, (api) => api.lock());
    if (holder !== undefined) throw lockedStorage(this.location, holder);
    this.#isLocked = true;
    let isHeld = true;
    return async () => {
      if (!isHeld) return;
      isHeld = false;
      // Not by ending the worker alone, which lets go some time later.
      await this.#link
        .call(action, (api) => api.unlock())
        .finally(() => {
          this.#isLocked = false;
          if (this.#isClosed) this.#link.end();
        });
    };
  }

  async isLocked(): Promise<boolean> {
    const action = this.#check("locking", "", false);
    return this.#link.call(action, (api) => api.isLocked());
  }

  async list(): Promise<readonly string[]> {
    const action = this.#check("listing", "", false);
    return this.#link.call(action, (api) => api.list());
  }

  async openToRead(name: string): Promise<ReadableFile> {
    const action = this.#checkNamed("opening", name, false);
    return this.#opened(action, await this.#link.call(action, (api) => api.openFile(name, "read")));
  }

  async openToWrite(name: string, mode: "create" | "modify"): Promise<WritableFile> {
    const action = this.#checkNamed(mode === "create" ? "creating" : "opening", name, true);
    return this.#opened(action, await this.#link.call(action, (api) => api.openFile(name, mode)));
  }

  async remove(name: string): Promise<void> {
    const action = this.#checkNamed("removing", name, true);
    await this.#link.call(action, (api) => api.remove(name));
  }

  async syncFolder(): Promise<void> {
    this.#check("writing", "", false); // browsers have nothing to sync a folder with
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await Promise.all([...this.#open].map((file) => file.close()));
    if (!this.#isLocked) this.#link.end();
  }

  #opened(action: FileAction, opened: OpenedFile): OpfsFile {
    if (this.#isClosed) throw closedStorage(action);
    const file = new OpfsFile(action, this.#link, opened, () => this.#open.delete(file));
    this.#open.add(file);
    return file;
  }

  #checkNamed(verb: FileAction["verb"], name: string, isChange: boolean): FileAction {
    checkFileName(name);
    return this.#check(verb, name, isChange);
  }

  #check(verb: FileAction["verb"], name: string, isChange: boolean): FileAction {
    return checkedAction(this, this.#isClosed, verb, name, isChange);
  }
}

class OpfsFile implements WritableFile {
  readonly #action: FileAction;
  readonly #link: Link;
  readonly #handle: number;
  readonly #onClose: () => void;
  #size: number;
  #closing: Promise<void> | undefined;

  constructor(action: FileAction, link: Link, { handle, size }: OpenedFile, onClose: () => void) {
    this.#action = action;
    this.#link = link;
    this.#handle = handle;
    this.#size = size;
    this.#onClose = onClose;
  }

  get size(): number {
    return this.#size;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    const action = this.#check("reading");
    checkOffset(offset, into.length);
    await inPieces(offset, into, STORAGE_LIMITS.storagePiecesInFlight, async (from, piece) => {
      const bytes = await this.#link.call(action, (api) => api.read(this.#handle, from, piece.length));
      if (bytes.length < piece.length) throw fileTooShort(action, offset, into.length, from + bytes.length);
      piece.set(bytes);
    });
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    const action = this.#check("writing");
    checkOffset(offset, bytes.length);
    await inPieces(offset, bytes, 1, async (from, piece) => {
      const copy = piece.slice();
      await this.#link.call(action, (api) => api.write(this.#handle, from, Comlink.transfer(copy, [copy.buffer])));
      this.#size = Math.max(this.#size, from + piece.length);
    });
  }

  async truncate(size: number): Promise<void> {
    const action = this.#check("writing");
    checkOffset(size);
    await this.#link.call(action, (api) => api.truncate(this.#handle, size));
    this.#size = size;
  }

  async sync(): Promise<void> {
    const action = this.#check("writing");
    await this.#link.call(action, (api) => api.sync(this.#handle));
  }

  close(): Promise<void> {
    this.#closing ??= this.#link.call(this.#action, (api) => api.closeFile(this.#handle)).finally(this.#onClose);
    return this.#closing;
  }

  #check(verb: FileAction["verb"]): FileAction {
    const action: FileAction = { ...this.#action, verb };
    if (this.#closing !== undefined) throw closedStorage(action);
    return action;
  }
}
