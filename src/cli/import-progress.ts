/**
 * How far an import came: a file beside the collection, replaced as a whole after each group and
 * gone when the import is done, so that the same command goes on after a kill.
 */
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { fileFailure } from "../io/file-failure.ts";

export interface Checkpoint {
  /** What is imported: another import does not go on from here. */
  readonly facts: string;
  readonly file: number;
  readonly row: number;
  readonly written: number;
  readonly rejected: number;
  /** Of the collection, when the group before this row was durable. */
  readonly version: number;
  readonly atMs: number;
  readonly size: number;
  /** Its records before the first group. */
  readonly sizeBefore: number;
  /** Of the file of rejects: what lies behind is of a group that is written again. */
  readonly rejectsBytes: number;
}

export class ImportProgress {
  readonly #path: string;
  readonly #facts: string;

  constructor(path: string, facts: string) {
    this.#path = path;
    this.#facts = facts;
  }

  /** Undefined where there is none; `"other"`: an import of other files, or by other names, was not finished. */
  async load(): Promise<Checkpoint | "other" | undefined> {
    try {
      const found = JSON.parse(await readFile(this.#path, "utf8")) as Checkpoint;
      return found.facts === this.#facts ? found : "other";
    } catch {
      return undefined; // nothing is there, or nothing that can be read: all is written again, which changes nothing
    }
  }

  async save(state: Omit<Checkpoint, "facts">): Promise<void> {
    try {
      await writeFile(`${this.#path}.partial`, JSON.stringify({ facts: this.#facts, ...state }));
      await rename(`${this.#path}.partial`, this.#path);
    } catch (cause) {
      throw fileFailure(this.#path, "written", cause);
    }
  }

  async end(): Promise<void> {
    await rm(this.#path, { force: true });
  }
}
