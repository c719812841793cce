/**
 * Reads a file from front to back in small parts without a call to the platform for each: fetches
 * a window and serves from it. Holds the window; parts larger than it are fetched by themselves.
 */
import type { ReadableFile } from "./driver.ts";

export class ReadAhead {
  readonly #file: ReadableFile;
  readonly #window: Uint8Array;
  #from = 0;
  #to = 0;

  constructor(file: ReadableFile, windowBytes: number) {
    this.#file = file;
    this.#window = new Uint8Array(Math.min(windowBytes, file.size));
  }

  /** Bytes that lie in the file, at most a window of them; good until the next call. */
  async view(offset: number, length: number): Promise<Uint8Array> {
    if (offset < this.#from || offset + length > this.#to) {
      const fetched = Math.min(this.#window.length, this.#file.size - offset);
      // Nothing is held while the window is being filled, should that fail.
      this.#to = 0;
      await this.#file.read(offset, this.#window.subarray(0, fetched));
      this.#from = offset;
      this.#to = offset + fetched;
    }
    return this.#window.subarray(offset - this.#from, offset - this.#from + length);
  }

  /** Bytes that lie in the file, in memory of their own. */
  async copy(offset: number, length: number): Promise<Uint8Array> {
    if (length <= this.#window.length) return (await this.view(offset, length)).slice();
    const bytes = new Uint8Array(length);
    await this.#file.read(offset, bytes);
    return bytes;
  }
}
