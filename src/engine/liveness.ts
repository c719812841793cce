/** Which rows exist: a bitmap that searches hold as it was when they were called (copy on write). */
import type { Eligibility } from "../core/backend.ts";
import { countBits, hasBit, resizedBits, setBitRange } from "../core/rowset.ts";

export class Liveness {
  #bits: Uint32Array = new Uint32Array(0);
  #rowCount = 0;
  #count = 0;
  #snapshot: Eligibility | undefined;
  /** Eligibilities under a filter, by the filter's bitmap; valid for the snapshot they were made from. */
  #filtered = new WeakMap<Uint32Array, Eligibility>();

  get rowCount(): number {
    return this.#rowCount;
  }

  /** Live rows. */
  get count(): number {
    return this.#count;
  }

  has(row: number): boolean {
    return row < this.#rowCount && hasBit(this.#bits, row);
  }

  /** All live rows, as they are now. */
  snapshot(): Eligibility {
    this.#snapshot ??= { bits: this.#bits, rowCount: this.#rowCount, count: this.#count };
    return this.#snapshot;
  }

  /** The rows of `live` that are in `filter` too, remembered while the index does not change. */
  filtered(live: Eligibility, filter: Uint32Array): Eligibility {
    const isCurrent = this.#snapshot === live;
    const known = isCurrent ? this.#filtered.get(filter) : undefined;
    if (known !== undefined) return known;
    const bits = filter.slice();
    for (let i = 0; i < bits.length; i++) bits[i] = (bits[i] ?? 0) & (live.bits[i] ?? 0);
    const eligibility = { bits, rowCount: live.rowCount, count: countBits(bits) };
    if (isCurrent) this.#filtered.set(filter, eligibility);
    return eligibility;
  }

  append(count: number): void {
    if (count === 0) return;
    this.#bits = resizedBits(this.#bits, this.#rowCount + count);
    setBitRange(this.#bits, this.#rowCount, this.#rowCount + count);
    this.#rowCount += count;
    this.#count += count;
    this.#forget();
  }

  /** Removes rows, each in range; returns how many were live. */
  remove(rows: readonly number[]): number {
    if (this.#snapshot !== undefined) this.#bits = this.#bits.slice();
    let removed = 0;
    for (const row of rows) {
      if (!hasBit(this.#bits, row)) continue;
      this.#bits[row >>> 5] = (this.#bits[row >>> 5] ?? 0) & ~(1 << (row & 31));
      removed++;
    }
    this.#count -= removed;
    this.#forget();
    return removed;
  }

  #forget(): void {
    this.#snapshot = undefined;
    this.#filtered = new WeakMap();
  }
}
