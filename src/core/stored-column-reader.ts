/** Stored columns that are in memory already, read like one in a file. */
import { GrowingNormRange } from "./norm-range.ts";
import type { StoredColumn, StoredColumnReader } from "./stored-column.ts";

/** The column is only read; it must not change until the last row was. */
export function readColumn(column: StoredColumn): StoredColumnReader {
  return readColumns([column]);
}

/** Columns one after the other, as if they were one. */
export function readColumns(columns: readonly StoredColumn[]): StoredColumnReader {
  const norms = new GrowingNormRange();
  let count = 0;
  for (const column of columns) {
    norms.unite(column);
    count += column.terms.length;
  }
  return {
    count,
    minNorm: norms.minNorm,
    maxNorm: norms.maxNorm,
    read(first, into) {
      let from = 0;
      for (const column of columns) {
        copyRows(column, from, first, into);
        from += column.terms.length;
      }
      return Promise.resolve();
    },
  };
}

/** Copies what rows `first …` of the whole and a column that begins at row `from` have in common. */
function copyRows(
  { rows, terms, scales }: StoredColumn,
  from: number,
  first: number,
  into: Parameters<StoredColumnReader["read"]>[1],
): void {
  const begin = Math.max(from, first);
  const end = Math.min(from + terms.length, first + into.terms.length);
  if (begin >= end) return;
  const rowBytes = rows.length / terms.length;
  into.rows.set(rows.subarray((begin - from) * rowBytes, (end - from) * rowBytes), (begin - first) * rowBytes);
  into.terms.set(terms.subarray(begin - from, end - from), begin - first);
  if (scales.length > 0) into.scales.set(scales.subarray(begin - from, end - from), begin - first);
}
