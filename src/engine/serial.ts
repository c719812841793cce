/**
 * Two orders that the snapshot rule (DESIGN rule 5) needs: changes of an index happen one after
 * the other in the order of their calls, and a row is overwritten only while no search reads it.
 */
import { abortedError } from "../core/errors.ts";

/** Runs tasks one at a time, first come first served. */
export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve();
  readonly #waiting = new Set<{ readonly refuse: (error: Error) => void }>();

  /** Rejects at once with ABORTED when the signal aborts before the task's turn; the task does not run then. */
  run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiter = { refuse: reject };
      this.#waiting.add(waiter);
      const onAbort = (): void => {
        if (signal === undefined || !this.#waiting.delete(waiter)) return;
        reject(abortedError(signal));
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#tail = this.#tail.then(async () => {
        signal?.removeEventListener("abort", onAbort);
        if (!this.#waiting.delete(waiter)) return; // refused meanwhile
        await task().then(resolve, reject);
      });
    });
  }

  /** Lets the running task finish and refuses the waiting ones; resolves when nothing runs. */
  async close(refusal: () => Error): Promise<void> {
    for (const waiter of this.#waiting) waiter.refuse(refusal());
    this.#waiting.clear();
    await this.#tail;
  }
}

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

  async write(task: () => void): Promise<void> {
    if (this.#isWriting || this.#readers > 0 || this.#waiting.length > 0) {
      await new Promise<void>((resolve) => {
        this.#waiting.push({ isWriter: true, enter: resolve });
      });
    } else {
      this.#isWriting = true;
    }
    try {
      task();
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
