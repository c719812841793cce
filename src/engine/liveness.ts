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
    if (count > 0) this.beginChange(count).apply();
  }

  /** Begins to append rows and to remove some, of old and new ones: nothing shows until `apply`, which no other change may come before. */
  beginChange(appended: number): LivenessChange {
    const rowCount = this.#rowCount + appended;
    const bits = resizedBits(this.#bits, rowCount);
    setBitRange(bits, this.#rowCount, rowCount);
    return new LivenessChange(bits, (removed) => {
      if (appended === 0 && removed === 0) return;
      this.#bits = bits;
      this.#rowCount = rowCount;
      this.#count += appended - removed;
      this.#forget();
    });
  }

  #forget(): void {
    this.#snapshot = undefined;
    this.#filtered = new WeakMap();
  }
}

/** Rows on their way in and out: marked in a copy, so that a long removal can be sliced and still be seen wholly or not at all. */
export class LivenessChange {
  readonly #bits: Uint32Array;
  readonly #publish: (removed: number) => void;
  #removed = 0;

  constructor(bits: Uint32Array, publish: (removed: number) => void) {
    this.#bits = bits;
    this.#publish = publish;
  }

  /** Marks a row, in range, as removed; one that is gone already is ignored. */
  remove(row: number): void {
    if (!hasBit(this.#bits, row)) return;
    this.#bits[row >>> 5] = (this.#bits[row >>> 5] ?? 0) & ~(1 << (row & 31));
    this.#removed++;
  }

  /** Makes the change visible; returns how many rows it removed. */
  apply(): number {
    this.#publish(this.#removed);
    return this.#removed;
  }
}
