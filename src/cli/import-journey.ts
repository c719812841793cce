/** How far an import came, kept beside the collection so that the same command goes on after a kill. */
import { readFile, rename, rm, writeFile } from "node:fs/promises";

/** How far an import came. */
export interface Checkpoint {
  /** What is imported, and how: another import does not go on from here. */
  readonly facts: string;
  readonly file: number;
  readonly row: number;
  readonly written: number;
  /** Of those written, how many took the place of another with the same id. */
  readonly replaced: number;
  readonly rejected: number;
}

/** The file that says how far an import came; replaced as a whole, gone when the import is done. */
export class Journey {
  readonly #path: string;
  readonly #facts: string;

  constructor(path: string, facts: string) {
    this.#path = path;
    this.#facts = facts;
  }

  /** Where to begin; `isOther`: an import of other files, or with other options, was not finished. */
  async load(): Promise<{ readonly from: Checkpoint; readonly isOther: boolean }> {
    const none = { facts: this.#facts, file: 0, row: 0, written: 0, replaced: 0, rejected: 0 };
    try {
      const found = JSON.parse(await readFile(this.#path, "utf8")) as Checkpoint;
      const isOther = found.facts !== this.#facts;
      return { from: isOther ? none : found, isOther };
    } catch {
      // There is none, or a kill left it unreadable: then all is written again, which changes nothing.
      return { from: none, isOther: false };
    }
  }

  async save(state: Checkpoint): Promise<void> {
    await writeFile(`${this.#path}.partial`, JSON.stringify(state));
    await rename(`${this.#path}.partial`, this.#path);
  }

  async end(): Promise<void> {
    await rm(this.#path, { force: true });
  }
}
