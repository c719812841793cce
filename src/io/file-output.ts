/**
 * A file that appears whole or not at all: written under another name beside its place, synced, and
 * renamed. Appends are gathered; what was written may be patched. Owns its handle.
 */
import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { NearfieldError } from "../core/errors.ts";
import { IO_LIMITS } from "../core/limits.ts";
import { fileFailure } from "./file-failure.ts";

/** Throws INVALID_OPTION where something is there already. */
export async function checkIsFree(path: string, remedy = "remove it, or give another name"): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return;
  throw new NearfieldError("INVALID_OPTION", {
    got: `${path}, which is there already`,
    expected: "the name of a file that is not there",
    remedy,
  });
}

/** The name under which a file is written until it is whole. */
function partialName(path: string): string {
  return `${path}.partial`;
}

/** Makes what a file holds, or the names in a folder, last. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export class FileOutput {
  readonly path: string;
  readonly #handle: FileHandle;
  #pieces: Uint8Array[] = [];
  #held = 0;
  #written = 0;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  static async create(path: string): Promise<FileOutput> {
    const handle = await open(partialName(path), "w").catch((cause: unknown) => {
      throw fileFailure(path, "written", cause);
    });
    return new FileOutput(path, handle);
  }

  /** Takes the bytes over. Rejects with QUOTA_EXCEEDED where the disk is full. */
  async append(bytes: Uint8Array): Promise<void> {
    this.#pieces.push(bytes);
    this.#held += bytes.length;
    if (this.#held >= IO_LIMITS.pieceBytes) await this.#flush();
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#held = 0;
    await this.#write(bytes, this.#written);
    this.#written += bytes.length;
  }

  async #write(bytes: Uint8Array, offset: number): Promise<void> {
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, offset + done);
        done += bytesWritten;
      }
    } catch (cause) {
      throw fileFailure(this.path, "written", cause);
    }
  }

  /** Overwrites bytes appended before. */
  async patch(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#flush();
    await this.#write(bytes, offset);
  }

  /** Puts the file in its place. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#handle.sync();
    await this.#handle.close();
    await rename(partialName(this.path), this.path);
    await syncPath(dirname(this.path));
  }

  /** Leaves nothing behind. */
  async abort(): Promise<void> {
    await this.#handle.close().catch(() => {});
    await rm(partialName(this.path), { force: true });
  }
}
