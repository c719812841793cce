/** Files and a driver in memory, for tests of the format: they count what is asked of them, and can fail on purpose. */
import { NearfieldError } from "../../src/core/errors.ts";
import type { ReadableFile, StorageDriver, WritableFile } from "../../src/storage/driver.ts";

export class MemoryFile implements WritableFile {
  bytes: Uint8Array = new Uint8Array(0);
  /** Bytes asked for so far, and the calls that did. */
  readBytes = 0;
  writes = 0;
  syncs = 0;
  /** What the disk is told to do next: `write` writes half and fails. */
  faults: ("write" | "sync" | "truncate")[] = [];

  static of(bytes: Uint8Array): MemoryFile {
    const file = new MemoryFile();
    file.bytes = bytes;
    return file;
  }

  get size(): number {
    return this.bytes.length;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.readBytes += into.length;
    if (offset + into.length > this.bytes.length) throw damaged("a read beyond the end");
    into.set(this.bytes.subarray(offset, offset + into.length));
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.writes++;
    const fails = this.takeFault("write");
    const written = fails ? bytes.subarray(0, bytes.length >> 1) : bytes;
    if (offset > this.bytes.length) throw new Error("a write that leaves a hole");
    const grown = new Uint8Array(Math.max(this.bytes.length, offset + written.length));
    grown.set(this.bytes);
    grown.set(written, offset);
    this.bytes = grown;
    if (fails) throw new NearfieldError("QUOTA_EXCEEDED", { got: "a full disk", expected: "room", remedy: "none" });
  }

  async truncate(size: number): Promise<void> {
    if (this.takeFault("truncate")) throw new Error("truncate failed");
    this.bytes = this.bytes.slice(0, size);
  }

  async sync(): Promise<void> {
    this.syncs++;
    if (this.takeFault("sync")) throw new Error("sync failed");
  }

  async close(): Promise<void> {}

  takeFault(kind: "write" | "sync" | "truncate"): boolean {
    const at = this.faults.indexOf(kind);
    if (at >= 0) this.faults.splice(at, 1);
    return at >= 0;
  }
}

export class MemoryDriver implements StorageDriver {
  readonly location = ":memory:";
  readonly isReadOnly = false;
  readonly files: Map<string, MemoryFile> = new Map();
  folderSyncs = 0;

  async lock(): Promise<() => Promise<void>> {
    return async () => {};
  }

  async isLocked(): Promise<boolean> {
    return false;
  }

  async list(): Promise<readonly string[]> {
    return [...this.files.keys()];
  }

  async openToRead(name: string): Promise<ReadableFile> {
    const file = this.files.get(name);
    if (file !== undefined) return file;
    throw new NearfieldError("NOT_FOUND", { got: name, expected: "a file that is there", remedy: "none" });
  }

  async openToWrite(name: string): Promise<WritableFile> {
    const file = new MemoryFile();
    this.files.set(name, file);
    return file;
  }

  async remove(name: string): Promise<void> {
    this.files.delete(name);
  }

  async syncFolder(): Promise<void> {
    this.folderSyncs++;
  }

  async close(): Promise<void> {}
}

function damaged(got: string): NearfieldError {
  return new NearfieldError("CORRUPT", { got, expected: "bytes", remedy: "none" });
}
