/**
 * The worker's side of collections in the origin private file system. Files that are written are
 * open as sync access handles, which only a dedicated worker may have and which shut out every
 * other writer. Files that are read are snapshots (`getFile`): they need no handle, so a reader in
 * any page never stands in a writer's way. A snapshot ends when its file is written to; only
 * journals are, at their end, so a new one has the same bytes where the reader wants them.
 *
 * What OPFS does not give: names are durable when the browser says so (there is no syncing a
 * folder), and a file that is removed is gone for its readers. A file that is open here when it is
 * removed here is read into memory first; readers elsewhere meet NotFoundError, and begin again.
 */
import * as Comlink from "comlink";
import type { OpenedFile, OpfsApi } from "./opfs-api.ts";

export { OPFS_WORKER_NAME } from "./opfs-api.ts";

/** All collections of an origin lie in one folder of its root. */
const PARENT = "nearfield";
/** Snapshots taken for one read: each one more means that a writer wrote in between. */
const SNAPSHOTS = 20;
/** What `write` of Chromium 153 returns where the disk or the quota is full, throwing nothing: its error −8, read as unsigned. */
const NO_SPACE = 2 ** 32 - 8;

interface Reader {
  readonly kind: "reader";
  readonly name: string;
  /** Bytes of a file that was removed while it was open. */
  rescued: Uint8Array | undefined;
  snapshot: File;
}

interface Writer {
  readonly kind: "writer";
  readonly name: string;
  readonly access: FileSystemSyncAccessHandle;
}

class OpfsService implements OpfsApi {
  readonly #open = new Map<number, Reader | Writer>();
  #folder: FileSystemDirectoryHandle | undefined;
  #lockName = "";
  #release: (() => void) | undefined;
  #nextHandle = 1;

  async openFolder(name: string, create: boolean): Promise<void> {
    if (navigator.storage?.getDirectory === undefined) {
      throw new DOMException("there is no origin private file system here", "NotSupportedError");
    }
    const root = await navigator.storage.getDirectory();
    const parent = await root.getDirectoryHandle(PARENT, { create });
    this.#folder = await parent.getDirectoryHandle(name, { create });
    this.#lockName = `${PARENT}:${name}`;
  }

  async lock(): Promise<string | undefined> {
    if (navigator.locks === undefined) {
      throw new DOMException(
        "there are no Web Locks here, without which two pages could write at once",
        "NotSupportedError",
      );
    }
    if (this.#release !== undefined) return "is open for writing in this page";
    const isGiven = await new Promise<boolean>((resolve, reject) => {
      const held = navigator.locks.request(this.#lockName, { ifAvailable: true }, (lock) => {
        resolve(lock !== null);
        if (lock === null) return undefined;
        return new Promise<void>((release) => {
          this.#release = release;
        });
      });
      held.catch(reject);
    });
    return isGiven ? undefined : this.#holder();
  }

  async unlock(): Promise<void> {
    this.#release?.();
    this.#release = undefined;
  }

  async isLocked(): Promise<boolean> {
    return (await this.#held()) !== undefined;
  }

  async list(): Promise<string[]> {
    const names: string[] = [];
    for await (const [name, handle] of this.#directory.entries()) if (handle.kind === "file") names.push(name);
    return names;
  }

  async openFile(name: string, mode: "read" | "create" | "modify"): Promise<OpenedFile> {
    const file = await this.#directory.getFileHandle(name, { create: mode === "create" });
    if (mode === "read") {
      const writer = this.#writerOf(name);
      const snapshot = await file.getFile();
      const handle = this.#keep({ kind: "reader", name, rescued: undefined, snapshot });
      return { handle, size: writer?.access.getSize() ?? snapshot.size };
    }
    const access = await file.createSyncAccessHandle();
    if (mode === "create") access.truncate(0);
    return { handle: this.#keep({ kind: "writer", name, access }), size: access.getSize() };
  }

  async read(handle: number, offset: number, length: number): Promise<Uint8Array> {
    const bytes = await this.#bytes(this.#find(handle), offset, length);
    return Comlink.transfer(bytes, [bytes.buffer]);
  }

  async write(handle: number, offset: number, bytes: Uint8Array): Promise<void> {
    const { access } = this.#writer(handle);
    for (let done = 0; done < bytes.length; ) {
      const rest = bytes.subarray(done);
      const written = access.write(rest, { at: offset + done });
      const isFull = written === 0 || written === NO_SPACE;
      if (isFull || !isShareOf(written, rest.length))
        throw new DOMException(
          `${written} of ${rest.length} bytes were written`,
          isFull ? "QuotaExceededError" : "UnknownError",
        );
      done += written;
    }
  }

  async truncate(handle: number, size: number): Promise<void> {
    this.#writer(handle).access.truncate(size);
  }

  async sync(handle: number): Promise<void> {
    this.#writer(handle).access.flush();
  }

  async closeFile(handle: number): Promise<void> {
    const file = this.#open.get(handle);
    this.#open.delete(handle);
    if (file?.kind === "writer") file.access.close();
  }

  async remove(name: string): Promise<void> {
    for (const file of this.#open.values()) {
      if (file.kind === "reader" && file.name === name) file.rescued ??= await this.#bytes(file, 0, file.snapshot.size);
    }
    try {
      await this.#directory.removeEntry(name);
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "NotFoundError")) throw error;
    }
  }

  async #bytes(file: Reader | Writer, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (file.kind === "writer") return readAccess(file.access, offset, length);
    if (file.rescued !== undefined) return file.rescued.slice(offset, offset + length);
    const writer = this.#writerOf(file.name);
    if (writer !== undefined) return readAccess(writer.access, offset, length);
    for (let tries = 1; ; tries++) {
      try {
        return new Uint8Array(await file.snapshot.slice(offset, offset + length).arrayBuffer());
      } catch (error) {
        // It was written to since the snapshot, or removed: then the next one is NotFoundError.
        if (tries === SNAPSHOTS) throw error;
        file.snapshot = await (await this.#directory.getFileHandle(file.name)).getFile();
      }
    }
  }

  #keep(file: Reader | Writer): number {
    const handle = this.#nextHandle++;
    this.#open.set(handle, file);
    return handle;
  }

  #find(handle: number): Reader | Writer {
    const file = this.#open.get(handle);
    if (file === undefined) throw new DOMException("the file is closed", "InvalidStateError");
    return file;
  }

  #writer(handle: number): Writer {
    const file = this.#find(handle);
    if (file.kind === "reader") throw new DOMException("the file was opened to read", "InvalidStateError");
    return file;
  }

  /** The file as we write it: other ways of reading it may not see all of it. */
  #writerOf(name: string): Writer | undefined {
    for (const file of this.#open.values()) if (file.kind === "writer" && file.name === name) return file;
    return undefined;
  }

  get #directory(): FileSystemDirectoryHandle {
    if (this.#folder === undefined) throw new DOMException("the folder is not open", "InvalidStateError");
    return this.#folder;
  }

  async #holder(): Promise<string> {
    const clientId = (await this.#held())?.clientId;
    return `is open for writing in another page or worker${clientId === undefined ? "" : ` (client ${clientId})`}`;
  }

  /** Where there are no Web Locks nobody writes. */
  async #held(): Promise<LockInfo | undefined> {
    const { held } = (await navigator.locks?.query()) ?? {};
    return held?.find(({ name }) => name === this.#lockName);
  }
}

function isShareOf(count: number, asked: number): boolean {
  return count > 0 && count <= asked;
}

function readAccess(access: FileSystemSyncAccessHandle, offset: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.max(0, Math.min(length, access.getSize() - offset)));
  let done = 0;
  while (done < bytes.length) {
    const count = access.read(bytes.subarray(done), { at: offset + done });
    if (count === 0) break;
    if (!isShareOf(count, bytes.length - done))
      throw new DOMException(`${count} of ${bytes.length - done} bytes were read`, "NotReadableError");
    done += count;
  }
  return bytes.subarray(0, done);
}

/** Answers from now on. */
export function serveOpfs(): void {
  Comlink.expose(new OpfsService());
}
