/**
 * Files in memory: `":memory:"` collections, and tests. A folder outlives its drivers, so that a
 * collection can be opened again; nothing survives the process. A file's bytes lie in chunks that
 * never move: an append copies what is appended and nothing else.
 */
import { STORAGE_LIMITS } from "../core/limits.ts";
import type { ReadableFile, StorageDriver, WritableFile } from "./driver.ts";
import {
  checkedAction,
  checkFileName,
  checkOffset,
  closedStorage,
  type FileAction,
  fileNotFound,
  fileTooShort,
  lockedStorage,
} from "./storage-errors.ts";

/** Bytes that grow. Chunks double from `memoryFileFirstBytes` to `memoryFileMostBytes`. */
export class MemoryFile {
  readonly #chunks: { readonly start: number; readonly bytes: Uint8Array }[] = [];
  #capacity = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The caller has checked that the file is long enough. */
  read(offset: number, into: Uint8Array): void {
    this.#walk(offset, into.length, (chunk, at) => into.set(chunk, at));
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#reserve(offset + bytes.length);
    this.#walk(offset, bytes.length, (chunk, at) => chunk.set(bytes.subarray(at, at + chunk.length)));
    if (bytes.length > 0) this.#size = Math.max(this.#size, offset + bytes.length);
  }

  truncate(size: number): void {
    if (size < this.#size) {
      while ((this.#chunks.at(-1)?.start ?? -1) >= size) this.#capacity = this.#chunks.pop()?.start ?? 0;
      // What lies beyond the end must be zeros should the file grow over it again.
      const end = Math.min(this.#size, this.#capacity);
      this.#walk(size, Math.max(0, end - size), (chunk) => chunk.fill(0));
    } else {
      this.#reserve(size);
    }
    this.#size = size;
  }

  #reserve(size: number): void {
    while (this.#capacity < size) {
      const length = Math.min(
        Math.max(this.#capacity, STORAGE_LIMITS.memoryFileFirstBytes),
        STORAGE_LIMITS.memoryFileMostBytes,
      );
      this.#chunks.push({ start: this.#capacity, bytes: new Uint8Array(length) });
      this.#capacity += length;
    }
  }

  /** Visits the parts of chunks that hold the bytes; `at` counts from `offset`. */
  #walk(offset: number, length: number, visit: (part: Uint8Array, at: number) => void): void {
    const end = offset + length;
    for (let i = this.#chunkAt(offset), at = offset; at < end; i++) {
      const chunk = this.#chunks[i];
      if (chunk === undefined) throw new Error(`no chunk at ${at} of a file of ${this.#size}`);
      const to = Math.min(end, chunk.start + chunk.bytes.length);
      visit(chunk.bytes.subarray(at - chunk.start, to - chunk.start), at - offset);
      at = to;
    }
  }

  /** The last chunk that starts at or before the offset. */
  #chunkAt(offset: number): number {
    let low = 0;
    for (let high = this.#chunks.length; high - low > 1; ) {
      const middle = (low + high) >> 1;
      if ((this.#chunks[middle]?.start ?? Number.POSITIVE_INFINITY) <= offset) low = middle;
      else high = middle;
    }
    return low;
  }
}

/** What several drivers see: files by name, and who may write. */
export class MemoryFolder {
  readonly files: Map<string, MemoryFile> = new Map();
  isLocked = false;
}

export interface MemoryOptions {
  /** Default: an empty one. */
  readonly folder?: MemoryFolder;
  readonly readOnly?: boolean;
}

export function memoryDriver(location: string, options: MemoryOptions = {}): StorageDriver {
  return new MemoryDriver(location, options.folder ?? new MemoryFolder(), options.readOnly ?? false);
}

class MemoryDriver implements StorageDriver {
  readonly location: string;
  readonly isReadOnly: boolean;
  readonly #folder: MemoryFolder;
  readonly #open = new Set<OpenMemoryFile>();
  #isClosed = false;

  constructor(location: string, folder: MemoryFolder, isReadOnly: boolean) {
    this.location = location;
    this.isReadOnly = isReadOnly;
    this.#folder = folder;
  }

  async lock(): Promise<() => Promise<void>> {
    this.#check("locking", "", true);
    if (this.#folder.isLocked) throw lockedStorage(this.location, "is open for writing in this process");
    this.#folder.isLocked = true;
    let isHeld = true;
    return async () => {
      if (isHeld) this.#folder.isLocked = false;
      isHeld = false;
    };
  }

  async isLocked(): Promise<boolean> {
    this.#check("locking", "", false);
    return this.#folder.isLocked;
  }

  async list(): Promise<readonly string[]> {
    this.#check("listing", "", false);
    return [...this.#folder.files.keys()];
  }

  async openToRead(name: string): Promise<ReadableFile> {
    return this.#opened(name, this.#find(this.#checkNamed("opening", name, false)), false);
  }

  async openToWrite(name: string, mode: "create" | "modify"): Promise<WritableFile> {
    const action = this.#checkNamed("opening", name, true);
    if (mode === "modify") return this.#opened(name, this.#find(action), true);
    const file = new MemoryFile();
    this.#folder.files.set(name, file);
    return this.#opened(name, file, true);
  }

  async remove(name: string): Promise<void> {
    this.#checkNamed("removing", name, true);
    this.#folder.files.delete(name);
  }

  async syncFolder(): Promise<void> {
    this.#check("writing", "", false);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#open].map((file) => file.close()));
  }

  #find(action: FileAction): MemoryFile {
    const file = this.#folder.files.get(action.name);
    if (file === undefined) throw fileNotFound(action);
    return file;
  }

  #opened(name: string, file: MemoryFile, isWritable: boolean): OpenMemoryFile {
    const opened = new OpenMemoryFile(this.location, name, file, isWritable, () => this.#open.delete(opened));
    this.#open.add(opened);
    return opened;
  }

  #checkNamed(verb: FileAction["verb"], name: string, isChange: boolean): FileAction {
    checkFileName(name);
    return this.#check(verb, name, isChange);
  }

  #check(verb: FileAction["verb"], name: string, isChange: boolean): FileAction {
    return checkedAction(this, this.#isClosed, verb, name, isChange);
  }
}

class OpenMemoryFile implements WritableFile {
  readonly #location: string;
  readonly #name: string;
  readonly #file: MemoryFile;
  readonly #onClose: () => void;
  /** Of a file that is only read: its size when opened. */
  readonly #sizeThen: number | undefined;
  #isClosed = false;

  constructor(location: string, name: string, file: MemoryFile, isWritable: boolean, onClose: () => void) {
    this.#location = location;
    this.#name = name;
    this.#file = file;
    this.#sizeThen = isWritable ? undefined : file.size;
    this.#onClose = onClose;
  }

  get size(): number {
    return this.#sizeThen ?? this.#file.size;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    const action = this.#check("reading");
    checkOffset(offset, into.length);
    if (offset + into.length > this.#file.size) throw fileTooShort(action, offset, into.length, this.#file.size);
    this.#file.read(offset, into);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#check("writing");
    checkOffset(offset, bytes.length);
    this.#file.write(offset, bytes);
  }

  async truncate(size: number): Promise<void> {
    this.#check("writing");
    checkOffset(size);
    this.#file.truncate(size);
  }

  async sync(): Promise<void> {
    this.#check("writing");
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#onClose();
  }

  #check(verb: FileAction["verb"]): FileAction {
    const action: FileAction = { location: this.#location, name: this.#name, verb };
    if (this.#isClosed) throw closedStorage(action);
    return action;
  }
}
