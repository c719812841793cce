/**
 * The order that the snapshot rule (DESIGN rule 5) needs of changes: one after the other, in the
 * order of their calls. That a row is overwritten only while no search reads it is core/lock.ts.
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
