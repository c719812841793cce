/** A stored column that is in memory already, read like one in a file. */
import type { StoredColumn, StoredColumnReader } from "./stored-column.ts";

/** The column is only read; it must not change until the last row was. */
export function readColumn(column: StoredColumn): StoredColumnReader {
  const { rows, terms, scales, minNorm, maxNorm } = column;
  const count = terms.length;
  const rowBytes = count === 0 ? 0 : rows.length / count;
  return {
    count,
    minNorm,
    maxNorm,
    read(first, into) {
      const end = first + into.terms.length;
      into.rows.set(rows.subarray(first * rowBytes, end * rowBytes));
      into.terms.set(terms.subarray(first, end));
      into.scales.set(scales.subarray(first, first + into.scales.length));
      return Promise.resolve();
    },
  };
}
