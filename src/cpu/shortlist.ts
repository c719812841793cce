/**
 * The rows that may be among a query's k nearest, by float32 estimates, for large k: a heap of true
 * distances would settle k·ln(N/k) rows, one by one, where the k nearest and their margin are enough.
 * Rows are gathered until there are twice as many as wanted; then the k-th smallest estimate says
 * which of them can still belong, and becomes the bound of those to come.
 */

/** Room beside twice the rows wanted. */
const SPARE = 256;

export class Shortlist {
  /** k */
  readonly wanted: number;
  readonly #estimates: Float32Array;
  readonly #rows: Uint32Array;
  readonly #scratch: Float32Array;
  #count = 0;

  constructor(wanted: number) {
    this.wanted = wanted;
    this.#estimates = new Float32Array(2 * wanted + SPARE);
    this.#rows = new Uint32Array(2 * wanted + SPARE);
    this.#scratch = new Float32Array(2 * wanted + SPARE);
  }

  get count(): number {
    return this.#count;
  }

  /** Its rows, ascending. Nothing can be added from then on. */
  sorted(): Uint32Array {
    return this.#rows.subarray(0, this.#count).sort();
  }

  /** Takes a row; false when there is no room for it, before `tighten` makes some. */
  add(estimate: number, row: number): boolean {
    if (this.#count === this.#rows.length) return false;
    this.#estimates[this.#count] = estimate;
    this.#rows[this.#count++] = row;
    return true;
  }

  /** The `k`-th smallest estimate, by default that of the last row wanted; +∞ while there are fewer. */
  kth(k: number = this.wanted): number {
    if (this.#count < k) return Infinity;
    this.#scratch.set(this.#estimates.subarray(0, this.#count));
    return select(this.#scratch, this.#count, k - 1);
  }

  /** Drops the rows whose estimates exceed `limit`; false when hardly any do. */
  tighten(limit: number): boolean {
    let kept = 0;
    for (let i = 0; i < this.#count; i++) {
      const estimate = this.#estimates[i] ?? Infinity;
      if (estimate > limit) continue;
      this.#estimates[kept] = estimate;
      this.#rows[kept++] = this.#rows[i] ?? 0;
    }
    this.#count = kept;
    return kept <= this.wanted + (this.#rows.length - this.wanted) / 2;
  }
}

/** The `k`-th smallest of the first `count` values, which are left in another order (Hoare, algorithm 65). */
function select(values: Float32Array, count: number, k: number): number {
  let low = 0;
  let high = count - 1;
  while (low < high) {
    const pivot = values[(low + high) >>> 1]!; // indices are inside the array throughout
    let i = low;
    let j = high;
    while (i <= j) {
      while (values[i]! < pivot) i++;
      while (values[j]! > pivot) j--;
      if (i > j) break;
      const value = values[i]!;
      values[i++] = values[j]!;
      values[j--] = value;
    }
    if (k <= j) high = j;
    else if (k >= i) low = i;
    else break;
  }
  return values[k] ?? Infinity;
}
