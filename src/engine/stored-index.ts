/**
 * An index as collections use it: rows come and go as they are stored, many at once, without
 * anybody looking at the vectors again. Internal; callers of the library see VectorIndex. Not part
 * of the index's class, because pages that only search should not load it.
 */
import type { WorkSlices } from "../core/slices.ts";
import type { StoredColumn, StoredColumnReader } from "../core/stored-column.ts";
import { adoptColumns, exportRows } from "./adopt.ts";
import type { AddOptions, VectorIndex } from "./contract.ts";
import { checkRoom } from "./ingest.ts";
import { beginChange } from "./removal.ts";
import { valuesOf } from "./row-values.ts";
import type { Index } from "./vector-index.ts";

export interface StoredIndex extends VectorIndex {
  /**
   * Appends all rows of the reader, or none; in the order of changes, like `add`. What it reads is
   * believed: rows must be as this index's precision, metric and dimensions store them. Rejects
   * with what the reader rejects with, CORRUPT (bounds of norms that are none), TOO_LARGE,
   * OUT_OF_MEMORY, ABORTED, CLOSED.
   */
  adopt(reader: StoredColumnReader, options?: AddOptions): Promise<AdoptResult>;
  /**
   * Appends the rows of all readers, one after the other, and removes `removed`, in one step: a
   * search sees both or neither. Numbers of the rows being appended may be among `removed`; rows
   * that are gone already are ignored. Rejects like `adopt`, and with INVALID_ROW.
   */
  adoptAndRemove(
    readers: readonly StoredColumnReader[],
    removed: Iterable<number>,
    options?: AddOptions,
  ): Promise<AdoptAndRemoveResult>;
  /** Copies of rows as stored, removed ones included, with bounds of their norms. In the order of changes. */
  exportColumn(first: number, count: number): Promise<StoredColumn>;
  /** Values like `get`'s, of rows that may be removed: what a row number once stood for stays. */
  valuesAt(rows: readonly number[]): Promise<Float32Array | Uint8Array>;
  /** What the index counts its work on the caller's thread with: others take from the same budget. */
  readonly slices: WorkSlices;
  /** A copy of the bitmap of live rows: ceil(rowCount / 32) words, bits beyond `rowCount` zero. */
  liveBits(): Uint32Array;
}

/** Which rows an `adopt` got: `first … first + count − 1`, in the reader's order. */
export interface AdoptResult {
  readonly first: number;
  readonly count: number;
}

interface AdoptAndRemoveResult extends AdoptResult {
  /** Rows that were live, or new, and are removed. */
  readonly removed: number;
}

/** The index, with what collections need beside. */
export function withStoredRows(index: Index): StoredIndex {
  const adoptAndRemove: StoredIndex["adoptAndRemove"] = (readers, removed, options = {}) =>
    index.change("adopt", options.signal, async () => {
      const { rows, live, slices, workAhead } = index.access("adopt");
      const added = readers.reduce((sum, reader) => sum + reader.count, 0);
      checkRoom(rows.rowCount, added);
      const change = await beginChange(live, added, removed, slices);
      const { first, count } = await adoptColumns(rows, readers, options, slices);
      // From here to the end nothing waits: a search sees all of it or nothing.
      rows.commit(first + count);
      const gone = change.apply();
      if (count > 0) workAhead();
      return { first, count, removed: gone };
    });
  return Object.assign(index, {
    adoptAndRemove,
    async adopt(reader: StoredColumnReader, options?: AddOptions): Promise<AdoptResult> {
      const { first, count } = await adoptAndRemove([reader], [], options);
      return { first, count };
    },
    exportColumn: (first: number, count: number): Promise<StoredColumn> =>
      index.change("export", undefined, () => {
        const { rows, slices } = index.access("export");
        return exportRows(rows, first, count, slices);
      }),
    valuesAt: async (list: readonly number[]): Promise<Float32Array | Uint8Array> => {
      const { rows, slices } = index.access("valuesAt");
      return valuesOf(rows, list, slices);
    },
    slices: index.access("collections").slices,
    liveBits: (): Uint32Array => index.access("liveBits").live.snapshot().bits.slice(),
  });
}
