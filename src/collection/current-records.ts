/** The records that queries see now. Rewriting makes new ones; the old ones live until their last reader is done. */
import type { Records } from "./records.ts";

export class CurrentRecords {
  #records: Records;
  #version: number;
  readonly #leaving = new Set<Promise<void>>();
  readonly #old = new Set<Records>();

  constructor(records: Records, version: number) {
    this.#records = records;
    this.#version = version;
  }

  /** Which version the records are. */
  get version(): number {
    return this.#version;
  }

  get records(): Records {
    return this.#records;
  }

  /** The records have changed in place. */
  shows(version: number): void {
    this.#version = version;
  }

  swap(next: Records, version: number): void {
    const old = this.#records;
    this.#records = next;
    this.#version = version;
    this.#old.add(old);
    const leaving = old.retire().finally(() => {
      this.#old.delete(old);
      this.#leaving.delete(leaving);
    });
    this.#leaving.add(leaving);
  }

  /** Queries that run finish; what is left open by a reader that went away does not hold it up. */
  async close(): Promise<void> {
    for (const old of this.#old) old.hurry();
    await Promise.all([...this.#leaving, this.#records.close()]);
  }
}
