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
