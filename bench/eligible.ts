/** The rows of a filtered case: each by its own hash, so that a smaller share is part of a larger one and none lies in a run. */
import { RowSet } from "nearfield";

/** Whether `row` is among the `share` (0 … 1) of all rows that the filter lets through. */
export function isEligible(row: number, share: number): boolean {
  // Fibonacci hashing (Knuth 6.4): the multiples of 2^32 / φ are spread evenly.
  return (Math.imul(row + 1, 0x9e3779b1) >>> 0) / 2 ** 32 < share;
}

export function eligibleRows(rows: number, share: number): RowSet {
  const set = RowSet.of([], rows);
  for (let row = 0; row < rows; row++) if (isEligible(row, share)) set.add(row);
  return set;
}
