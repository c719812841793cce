/** How smoothly the page's thread runs: how late a turn of the event loop comes, and which tasks were long. */

export interface Smoothness {
  /** Milliseconds that a turn came late; undefined before the first one. */
  readonly delayP99Ms: number | undefined;
  /** Tasks of more than 50 ms since the count began; undefined where the browser does not tell. */
  readonly longTasks: number | undefined;
  readonly longestTaskMs: number;
}

/** Delays remembered: some ten seconds. */
const KEPT = 1200;
/** How often a turn is asked for. */
const EVERY_MS = 8;

/** Measures while the page is visible; hidden pages are slowed down by the browser on purpose. */
export class SmoothnessMeter {
  readonly #delays: number[] = [];
  #longTasks: number | undefined;
  #longestTaskMs = 0;

  start(): void {
    const step = (): void => {
      const due = performance.now() + EVERY_MS;
      setTimeout(() => {
        if (document.visibilityState === "visible") this.#add(Math.max(0, performance.now() - due));
        step();
      }, EVERY_MS);
    };
    step();
    if (!PerformanceObserver.supportedEntryTypes.includes("longtask")) return;
    this.#longTasks = 0;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) {
        this.#longTasks = (this.#longTasks ?? 0) + 1;
        this.#longestTaskMs = Math.max(this.#longestTaskMs, duration);
      }
    }).observe({ type: "longtask" });
  }

  /** Forgets what was: loading a page is not what typing feels like. */
  reset(): void {
    this.#delays.length = 0;
    if (this.#longTasks !== undefined) this.#longTasks = 0;
    this.#longestTaskMs = 0;
  }

  read(): Smoothness {
    const sorted = [...this.#delays].sort((a, b) => a - b);
    return {
      delayP99Ms: sorted[Math.max(0, Math.ceil(0.99 * sorted.length) - 1)],
      longTasks: this.#longTasks,
      longestTaskMs: this.#longestTaskMs,
    };
  }

  #add(delayMs: number): void {
    this.#delays.push(delayMs);
    if (this.#delays.length > KEPT) this.#delays.shift();
  }
}

export const smoothness: SmoothnessMeter = new SmoothnessMeter();
