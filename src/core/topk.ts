/**
 * The order of every answer, (distance, row) ascending, and the two structures that keep it: a
 * bounded heap that meets rows one by one, and a merge of sorted partial answers. A bounded
 * max-heap rather than a sorted buffer because k goes up to the number of rows.
 */

/** "None" in row arrays. */
export const NO_ROW = 0xffffffff;

/** Whether (distance a, row a) comes before (distance b, row b). Distances are never NaN. */
export function isNearer(distanceA: number, rowA: number, distanceB: number, rowB: number): boolean {
  return distanceA < distanceB || (distanceA === distanceB && rowA < rowB);
}

/** Partial or whole answers of a batch: `counts[q]` valid entries at `q * k`, ascending, NO_ROW and +Infinity after them. */
export interface TopK {
  readonly k: number;
  readonly rows: Uint32Array;
  readonly distances: Float32Array;
  readonly counts: Uint32Array;
}

export function emptyTopK(queries: number, k: number): TopK {
  return {
    k,
    rows: new Uint32Array(queries * k).fill(NO_ROW),
    distances: new Float32Array(queries * k).fill(Infinity),
    counts: new Uint32Array(queries),
  };
}

/** The `capacity` nearest of the rows offered: a binary max-heap, farthest at the root. */
export class NearestHeap {
  readonly #capacity: number;
  #distances: Float32Array;
  #rows: Uint32Array;
  #size = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    const initial = Math.min(capacity, 256);
    this.#distances = new Float32Array(initial);
    this.#rows = new Uint32Array(initial);
  }

  get size(): number {
    return this.#size;
  }

  /** The distance that a further row must not exceed; +Infinity while there is room. */
  get bound(): number {
    return this.#size < this.#capacity ? Infinity : this.#capacity === 0 ? -Infinity : (this.#distances[0] ?? Infinity);
  }

  /** Takes the row if it is among the nearest so far. `distance` must be a float32 value. */
  offer(distance: number, row: number): boolean {
    if (this.#size < this.#capacity) {
      if (this.#size === this.#distances.length) this.#grow();
      this.#siftUp(this.#size++, distance, row);
      return true;
    }
    if (this.#capacity === 0 || !isNearer(distance, row, this.#distances[0] ?? Infinity, this.#rows[0] ?? NO_ROW)) {
      return false;
    }
    this.#siftDown(0, distance, row);
    return true;
  }

  /** Empties the heap into `out`, ascending, at entry `at`; returns the number of rows written. */
  drainInto(out: TopK, at: number): number {
    const count = this.#size;
    while (this.#size > 0) {
      const last = --this.#size;
      out.distances[at + last] = this.#distances[0] ?? Infinity;
      out.rows[at + last] = this.#rows[0] ?? NO_ROW;
      if (last > 0) this.#siftDown(0, this.#distances[last] ?? Infinity, this.#rows[last] ?? NO_ROW);
    }
    return count;
  }

  #grow(): void {
    const size = Math.min(this.#capacity, this.#distances.length * 4);
    const distances = new Float32Array(size);
    const rows = new Uint32Array(size);
    distances.set(this.#distances);
    rows.set(this.#rows);
    this.#distances = distances;
    this.#rows = rows;
  }

  #siftUp(from: number, distance: number, row: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const d = this.#distances[parent] ?? Infinity;
      const r = this.#rows[parent] ?? NO_ROW;
      if (!isNearer(d, r, distance, row)) break;
      this.#distances[at] = d;
      this.#rows[at] = r;
      at = parent;
    }
    this.#distances[at] = distance;
    this.#rows[at] = row;
  }

  #siftDown(from: number, distance: number, row: number): void {
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#size) break;
      let d = this.#distances[child] ?? Infinity;
      let r = this.#rows[child] ?? NO_ROW;
      if (child + 1 < this.#size) {
        const d2 = this.#distances[child + 1] ?? Infinity;
        const r2 = this.#rows[child + 1] ?? NO_ROW;
        if (isNearer(d, r, d2, r2)) {
          child++;
          d = d2;
          r = r2;
        }
      }
      if (!isNearer(distance, row, d, r)) break;
      this.#distances[at] = d;
      this.#rows[at] = r;
      at = child;
    }
    this.#distances[at] = distance;
    this.#rows[at] = row;
  }
}

/**
 * Merges sorted partial answers to one query, over disjoint rows, nearest first, in as many steps
 * as the caller likes. Each row taken costs a look at every part: there are as many as workers.
 */
export class TopKMerge {
  readonly #parts: readonly TopK[];
  readonly #heads: Uint32Array;
  #taken = 0;

  /** `parts`: answers to one query each. */
  constructor(parts: readonly TopK[]) {
    this.#parts = parts;
    this.#heads = new Uint32Array(parts.length);
  }

  /** Rows taken so far. */
  get taken(): number {
    return this.#taken;
  }

  /** Writes the next rows, at most `count`, to entry `at` of `out`; returns how many there were. */
  take(out: TopK, at: number, count: number): number {
    for (let i = 0; i < count; i++) {
      const best = this.#nearest();
      if (best < 0) return i;
      const head = this.#heads[best] ?? 0;
      out.distances[at + i] = this.#parts[best]?.distances[head] ?? Infinity;
      out.rows[at + i] = this.#parts[best]?.rows[head] ?? NO_ROW;
      this.#heads[best] = head + 1;
      this.#taken++;
    }
    return count;
  }

  /** The part whose next row is the nearest, or −1. */
  #nearest(): number {
    let best = -1;
    let distance = Infinity;
    let row = NO_ROW;
    for (let p = 0; p < this.#parts.length; p++) {
      const part = this.#parts[p];
      const head = this.#heads[p] ?? 0;
      if (part === undefined || head >= (part.counts[0] ?? 0)) continue;
      const d = part.distances[head] ?? Infinity;
      const r = part.rows[head] ?? NO_ROW;
      if (best >= 0 && !isNearer(d, r, distance, row)) continue;
      best = p;
      distance = d;
      row = r;
    }
    return best;
  }
}
