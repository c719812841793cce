/**
 * Files of the file system, in Node; reached from the Node entry only. One driver is one folder. It
 * does not judge what else lies there, and lists nothing of its own lock (file-lock.ts).
 *
 * `syncFolder` opens the folder and syncs it, which POSIX needs for names to last; Windows cannot
 * sync a folder, and its file systems write names to their own journal.
 */
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, stat, unlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { NearfieldError } from "../core/errors.ts";
import type { ReadableFile, StorageDriver, WritableFile } from "./driver.ts";
import { errorCode, fileError } from "./file-errors.ts";
import { isFolderLocked, isLockFile, lockFolder } from "./file-lock.ts";
import { OpenFile } from "./open-file.ts";
import { checkedAction, checkFileName, closedStorage, type FileAction, fileNotFound } from "./storage-errors.ts";

export interface FileOptions {
  readonly readOnly?: boolean;
  /** Whether a folder that is not there is made, parents included. Default: true unless `readOnly`. */
  readonly create?: boolean;
}

/** Rejects with INVALID_OPTION where `folder` is a file, NOT_FOUND where it is nothing and may not be made, READ_ONLY where it cannot be. */
export async function fileDriver(folder: string, options: FileOptions = {}): Promise<StorageDriver> {
  const isReadOnly = options.readOnly ?? false;
  const action: FileAction = { location: folder, name: "", verb: "opening" };
  if (!(await isFolder(action))) {
    if (!(options.create ?? !isReadOnly)) throw fileNotFound(action);
    await attempt({ ...action, verb: "creating" }, () => makeFolder(folder));
  }
  return new FileDriver(folder, isReadOnly);
}

async function isFolder(action: FileAction): Promise<boolean> {
  try {
    const found = await stat(action.location);
    if (found.isDirectory()) return true;
  } catch (cause) {
    if (errorCode(cause) === "ENOENT") return false;
    throw fileError(action, cause);
  }
  throw new NearfieldError("INVALID_OPTION", {
    got: `the location ${action.location}, which is a file`,
    expected: "a folder, or a path where one can be made",
    remedy: "name another location",
  });
}

/** Makes the folder, and its name durable in each folder above that was made for it. */
async function makeFolder(folder: string): Promise<void> {
  const topmost = await mkdir(folder, { recursive: true });
  if (topmost === undefined) return; // another process was faster
  const root = dirname(resolve(topmost));
  for (let made = resolve(folder); made.length > root.length; made = dirname(made)) await syncFolderAt(dirname(made));
}

class FileDriver implements StorageDriver {
  readonly location: string;
  readonly isReadOnly: boolean;
  readonly #open = new Set<OpenFile>();
  #isClosed = false;

  constructor(folder: string, isReadOnly: boolean) {
    this.location = folder;
    this.isReadOnly = isReadOnly;
  }

  async lock(): Promise<() => Promise<void>> {
    const action = this.#check("locking", "", true);
    return attempt(action, () => lockFolder(this.location));
  }

  async isLocked(): Promise<boolean> {
    const action = this.#check("locking", "", false);
    return attempt(action, () => isFolderLocked(this.location));
  }

  async list(): Promise<readonly string[]> {
    const action = this.#check("listing", "", false);
    const entries = await attempt(action, () => readdir(this.location, { withFileTypes: true }));
    return entries.filter((entry) => entry.isFile() && !isLockFile(entry.name)).map((entry) => entry.name);
  }

  async openToRead(name: string): Promise<ReadableFile> {
    return this.#opened(this.#checkNamed("opening", name, false), constants.O_RDONLY);
  }

  async openToWrite(name: string, mode: "create" | "modify"): Promise<WritableFile> {
    const action = this.#checkNamed(mode === "create" ? "creating" : "opening", name, true);
    if (mode === "modify") return this.#opened(action, constants.O_RDWR);
    // Not O_TRUNC: whoever has the old file open goes on reading it.
    await this.#unlink(action);
    return this.#opened(action, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL);
  }

  async remove(name: string): Promise<void> {
    await this.#unlink(this.#checkNamed("removing", name, true));
  }

  async syncFolder(): Promise<void> {
    const action = this.#check("writing", "", false);
    if (!this.isReadOnly) await attempt(action, () => syncFolderAt(this.location));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#open].map((file) => file.close()));
  }

  async #unlink(action: FileAction): Promise<void> {
    try {
      await unlink(this.#path(action.name));
    } catch (cause) {
      if (errorCode(cause) !== "ENOENT") throw fileError(action, cause);
    }
  }

  async #opened(action: FileAction, flags: number): Promise<OpenFile> {
    let handle: FileHandle | undefined;
    try {
      handle = await open(this.#path(action.name), flags);
      const found = await handle.stat();
      // A device or a pipe of that name would not have a size to check against.
      if (!found.isFile()) throw new Error("not a regular file");
      if (this.#isClosed) throw closedStorage(action);
      const file = new OpenFile(action, handle, found.size, () => this.#open.delete(file));
      this.#open.add(file);
      return file;
    } catch (cause) {
      await handle?.close();
      throw fileError(action, cause);
    }
  }

  #path(name: string): string {
    return join(this.location, name);
  }

  #checkNamed(verb: FileAction["verb"], name: string, isChange: boolean): FileAction {
    checkFileName(name);
    return this.#check(verb, name, isChange);
  }

  #check(verb: FileAction["verb"], name: string, isChange: boolean): FileAction {
    return checkedAction(this, this.#isClosed, verb, name, isChange);
  }
}

async function attempt<T>(action: FileAction, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (cause) {
    throw fileError(action, cause);
  }
}

/** What platforms and file systems say that cannot sync a folder: Windows (EPERM, EISDIR, EACCES), some network file systems (EINVAL, ENOTSUP, ENOSYS). */
const CANNOT_SYNC_FOLDERS: ReadonlySet<string | undefined> = new Set(["EINVAL", "ENOTSUP", "ENOSYS"]);
const WINDOWS_CANNOT: ReadonlySet<string | undefined> = new Set(["EPERM", "EISDIR", "EACCES", "EBADF"]);

async function syncFolderAt(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, constants.O_RDONLY);
    await handle.sync();
  } catch (error) {
    const code = errorCode(error);
    if (CANNOT_SYNC_FOLDERS.has(code) || (process.platform === "win32" && WINDOWS_CANNOT.has(code))) return;
    throw error;
  } finally {
    await handle?.close();
  }
}
