/** Code that comes when it is first needed: chunks that bundlers make of `import()`, so that a page loads no more than it uses. */
import { NearfieldError } from "./errors.ts";

/** Code without which the call cannot be done. Rejects with BACKEND_UNAVAILABLE; nothing is remembered, so the next call tries again. */
export async function loadCode<T>(what: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new NearfieldError("BACKEND_UNAVAILABLE", {
      got: `no code for ${what}: it could not be loaded (${String(cause)})`,
      expected: "all files of the build where the first of them came from",
      remedy: "check the connection and the files on the server, then call again, or load the page again",
      cause,
    });
  }
}

/**
 * Code that is loaded when it is first needed, and that searches do without where it cannot be. A
 * failure is told once and never remembered: whoever needs the code next has it tried again.
 */
export class LateCode<T> {
  readonly #load: () => Promise<T>;
  readonly #onMissing: (cause: unknown) => void;
  #code: Promise<T | undefined> | undefined;
  #isTold = false;

  constructor(load: () => Promise<T>, onMissing: (cause: unknown) => void) {
    this.#load = load;
    this.#onMissing = onMissing;
  }

  /** Undefined: not now. */
  get(): Promise<T | undefined> {
    this.#code ??= this.#load().catch((cause: unknown) => {
      this.#code = undefined;
      if (!this.#isTold) this.#onMissing(cause);
      this.#isTold = true;
      return undefined;
    });
    return this.#code;
  }
}
