/** How far an import came, kept beside the collection so that the same command goes on after a kill. */
import { readFile, rename, rm, writeFile } from "node:fs/promises";

/** How far an import came. */
export interface Checkpoint {
  /** What is imported, and how: another import does not go on from here. */
  readonly facts: string;
  readonly file: number;
  readonly row: number;
  readonly written: number;
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

  async load(): Promise<Checkpoint> {
    const none = { facts: this.#facts, file: 0, row: 0, written: 0, rejected: 0 };
    try {
      const found = JSON.parse(await readFile(this.#path, "utf8")) as Checkpoint;
      return found.facts === this.#facts ? found : none;
    } catch {
      return none; // there is none, or a kill left it unreadable: then all is written again, which changes nothing
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
