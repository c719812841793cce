/**
 * JSON lines on the disk: each record is appended in a single write and flushed at once, so that a
 * killed run keeps all it measured. A line that a crash cut short is closed off before the next is
 * written, so that it spoils no other.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** Appends records to one file. */
export class ResultFile {
  readonly path: string;
  readonly #file: number;

  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true });
    const isCut = existsSync(path) && !/(^|\n)$/.test(readFileSync(path, "utf8"));
    this.path = path;
    this.#file = openSync(path, "a");
    if (isCut) writeSync(this.#file, "\n");
  }

  append(record: object): void {
    writeSync(this.#file, `${JSON.stringify(record)}\n`);
    fsyncSync(this.#file);
  }

  close(): void {
    closeSync(this.#file);
  }
}
