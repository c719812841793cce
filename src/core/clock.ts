/**
 * Time and turns of the event loop, injected so that the scheduler and the recovery can be
 * tested without waiting. Nothing in `src` calls setTimeout, performance.now or the like but this.
 */

export interface Clock {
  /** Milliseconds from an arbitrary start; monotone. */
  now(): number;
  /** Runs `task` after `ms` milliseconds; the returned function cancels it. 0: the next turn of the event loop. */
  after(ms: number, task: () => void): () => void;
}

/** Resolves on a later turn of the event loop, so that input, painting and other tasks get theirs. */
export function nextTurn(clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    clock.after(0, resolve);
  });
}

/**
 * The real clock. A turn is setImmediate in Node; in browsers a MessageChannel message, because
 * setTimeout(0) is clamped to 4 ms once nested and is throttled in background tabs.
 */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, task) {
    if (ms > 0) {
      const timer = setTimeout(task, ms);
      return () => clearTimeout(timer);
    }
    if (typeof setImmediate === "function") {
      const immediate = setImmediate(task);
      return () => clearImmediate(immediate);
    }
    let isCancelled = false;
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      if (!isCancelled) task();
    };
    port2.postMessage(null);
    return () => {
      isCancelled = true;
    };
  },
};

/** Milliseconds since 1970, by the machine's clock: for dates, never for durations. */
export function wallClockMs(): number {
  return Date.now();
}
