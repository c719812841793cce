/**
 * Two orders that the snapshot rule (DESIGN rule 5) needs: changes of an index happen one after
 * the other in the order of their calls, and a row is overwritten only while no search reads it.
 */
import { abortedError } from "../core/errors.ts";

/** Runs tasks one at a time, first come first served. */
export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve();
  #refusal: (() => Error) | undefined;

  /** Rejects with ABORTED, without running, when the signal aborts before the task's turn. */
  run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const turn = this.#tail.then(() => {
      if (this.#refusal !== undefined) throw this.#refusal();
      if (signal?.aborted === true) throw abortedError(signal);
      return task();
    });
    this.#tail = turn.catch(() => {}); // the caller sees the failure; the next task has its own turn
    return turn;
  }

  /** Lets the running task finish and refuses the waiting ones; resolves when nothing runs. */
  async close(refusal: () => Error): Promise<void> {
    this.#refusal = refusal;
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

  /** Enters as a reader: at once (undefined) or when the promise resolves. Pair with `endRead`. */
  beginRead(): Promise<void> | undefined {
    if (!this.#isWriting && this.#waiting.length === 0) {
      this.#readers++;
      return undefined;
    }
    return new Promise((resolve) => {
      this.#waiting.push({ isWriter: false, enter: resolve });
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
