/**
 * A file that is read by position. Every read is bounded by the file's size, so no header can make
 * us allocate more than the file holds. Owns its handle.
 */
import { type FileHandle, open } from "node:fs/promises";
import { NearfieldError } from "../core/errors.ts";
import { IO_LIMITS } from "../core/limits.ts";
import { fileFailure } from "./file-failure.ts";

export class FileBytes {
  readonly path: string;
  readonly size: number;
  readonly #handle: FileHandle;

  private constructor(path: string, size: number, handle: FileHandle) {
    this.path = path;
    this.size = size;
    this.#handle = handle;
  }

  /** Rejects with NOT_FOUND, UNSUPPORTED where it may not be read, INVALID_OPTION for what is no file. */
  static async open(path: string): Promise<FileBytes> {
    const handle = await open(path, "r").catch((cause: unknown) => {
      throw fileFailure(path, "read", cause);
    });
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) {
        throw new NearfieldError("INVALID_OPTION", {
          got: `${path}, which is a ${stat.isDirectory() ? "folder" : "device or pipe"}`,
          expected: "a regular file",
          remedy: "give a file; a collection is named by its folder where a command takes one",
        });
      }
      return new FileBytes(path, stat.size, handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Exactly these bytes, `onPiece` called now and then. Rejects with CORRUPT where the file ends before them. */
  async read(offset: number, length: number, onPiece?: () => void): Promise<Uint8Array<ArrayBuffer>> {
    if (offset + length > this.size)
      throw corrupt(this, offset, `${length} bytes, of which the file has ${Math.max(0, this.size - offset)}`);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const piece = Math.min(length - done, IO_LIMITS.readBytes);
      const { bytesRead } = await this.#handle.read(bytes, done, piece, offset + done);
      if (bytesRead === 0) throw corrupt(this, offset + done, "more bytes: the file became shorter while it was read");
      done += bytesRead;
      onPiece?.();
    }
    return bytes;
  }

  /** Up to so many bytes: fewer at the end of the file. */
  upTo(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.read(offset, Math.max(0, Math.min(length, this.size - offset)));
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** What a file holds is not what its format says. `what`: what should have been there. */
export function corrupt(
  file: { readonly path: string },
  offset: number | undefined,
  what: string,
  cause?: unknown,
): NearfieldError {
  return new NearfieldError("CORRUPT", {
    got: `${file.path}${offset === undefined ? "" : `, byte ${offset}`}`,
    expected: what,
    remedy: "the file is damaged or was cut short: write or copy it again",
    ...(cause === undefined ? {} : { cause }),
  });
}

/** What a library that decodes a format said of a file. What it stumbled over by accident, a missing property or a length out of range, tells the user nothing. */
export function undecodable(file: { readonly path: string }, format: string, cause: unknown): NearfieldError {
  const isAccident = !(cause instanceof Error) || cause instanceof TypeError || cause instanceof RangeError;
  return corrupt(
    file,
    undefined,
    isAccident ? `${format} whose parts fit together` : `${format} (${cause.message})`,
    cause,
  );
}

/** A file that is whole and that this reader has no use for. */
export function unsupported(
  file: { readonly path: string },
  got: string,
  expected: string,
  remedy: string,
): NearfieldError {
  return new NearfieldError("UNSUPPORTED_FORMAT", { got: `${file.path}: ${got}`, expected, remedy });
}
