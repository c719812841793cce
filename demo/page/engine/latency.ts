/** The last latencies of one engine, for percentiles and the chart. Pure. */

/** Searches remembered. */
const KEPT = 240;

export class Latencies {
  /** Milliseconds, oldest first. */
  readonly #recent: number[] = [];
  /** When each search ended, in the same order. */
  readonly #endedAt: number[] = [];
  #count = 0;

  add(ms: number, endedAtMs: number): void {
    this.#recent.push(ms);
    this.#endedAt.push(endedAtMs);
    this.#count++;
    if (this.#recent.length <= KEPT) return;
    this.#recent.shift();
    this.#endedAt.shift();
  }

  get count(): number {
    return this.#count;
  }

  get recent(): readonly number[] {
    return this.#recent;
  }

  /** The smallest latency that `share` (0 … 1) of the remembered searches do not exceed; undefined where there are none. */
  percentile(share: number): number | undefined {
    const sorted = [...this.#recent].sort((a, b) => a - b);
    return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  }

  /** Searches that ended in the second before `nowMs`; at most `KEPT`. */
  perSecond(nowMs: number): number {
    return this.#endedAt.filter((at) => nowMs - at <= 1000).length;
  }
}
