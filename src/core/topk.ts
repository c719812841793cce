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
 * Merges query `query` of several sorted partial answers over disjoint rows into entry `at` of
 * `out`, at most `wanted` rows; returns how many. Linear in the parts for each row taken: there
 * are as many parts as workers.
 */
export function mergeQuery(parts: readonly TopK[], query: number, out: TopK, at: number, wanted: number): number {
  const heads = parts.map((part) => query * part.k);
  const ends = parts.map((part) => query * part.k + (part.counts[query] ?? 0));
  let taken = 0;
  while (taken < wanted) {
    let best = -1;
    let distance = Infinity;
    let row = NO_ROW;
    for (let p = 0; p < parts.length; p++) {
      const head = heads[p] ?? 0;
      if (head >= (ends[p] ?? 0)) continue;
      const d = parts[p]?.distances[head] ?? Infinity;
      const r = parts[p]?.rows[head] ?? NO_ROW;
      if (best < 0 || isNearer(d, r, distance, row)) {
        best = p;
        distance = d;
        row = r;
      }
    }
    if (best < 0) break;
    out.distances[at + taken] = distance;
    out.rows[at + taken] = row;
    heads[best] = (heads[best] ?? 0) + 1;
    taken++;
  }
  return taken;
}
