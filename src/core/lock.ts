/** Who may look at something while it changes: the rows of an index, the scan copies of a store. */
import { abortedError } from "./errors.ts";

/** Many readers or one writer; a waiting writer goes before readers that come after it. */
export class ReadersWriterLock {
  #readers = 0;
  #isWriting = false;
  readonly #waiting: { readonly isWriter: boolean; readonly enter: () => void }[] = [];

  get readers(): number {
    return this.#readers;
  }

  /**
   * Enters as a reader: at once (undefined) or when the promise resolves; pair with `endRead`.
   * Rejects with ABORTED, without having entered, when the signal aborts first.
   */
  beginRead(signal?: AbortSignal): Promise<void> | undefined {
    if (!this.#isWriting && this.#waiting.length === 0) {
      this.#readers++;
      return undefined;
    }
    return new Promise((resolve, reject) => {
      const waiter = {
        isWriter: false,
        enter: (): void => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      const onAbort = (): void => {
        const at = this.#waiting.indexOf(waiter);
        if (signal === undefined || at < 0) return;
        this.#waiting.splice(at, 1);
        reject(abortedError(signal));
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(waiter);
    });
  }

  endRead(): void {
    this.#readers--;
    this.#admit();
  }

  /** Runs the task while nobody reads and nobody else writes. */
  async write<T>(task: () => T | Promise<T>): Promise<T> {
    if (this.#isWriting || this.#readers > 0 || this.#waiting.length > 0) {
      await new Promise<void>((resolve) => {
        this.#waiting.push({ isWriter: true, enter: resolve });
      });
    } else {
      this.#isWriting = true;
    }
    try {
      return await task();
    } finally {
      this.#isWriting = false;
      this.#admit();
    }
  }

  #admit(): void {
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined || this.#isWriting) return;
      if (next.isWriter) {
        if (this.#readers > 0) return;
        this.#isWriting = true;
      } else {
        this.#readers++;
      }
      this.#waiting.shift();
      next.enter();
    }
  }
}
