/** Values of rows as callers get them, read in slices. */
import type { Rows } from "../core/backend.ts";
import type { WorkSlices } from "../core/slices.ts";
import { readValues, valueArray } from "../core/stored-rows.ts";
import { allocated } from "./answer.ts";

/** [rows × dimensions] floats, or [rows × ceil(dimensions / 8)] packed bits. `check` is called for each row just before it is read. */
export async function valuesOf(
  store: Rows,
  rows: readonly number[],
  slices: WorkSlices,
  check: (row: number) => void = () => {},
): Promise<Float32Array | Uint8Array> {
  const values = allocated(`${rows.length} rows`, () => valueArray(store, rows.length));
  for (const [i, row] of rows.entries()) {
    const turn = slices.take(store.stride);
    if (turn !== undefined) await turn;
    check(row);
    readValues(store, store.bytes(row, 1), store.scales(row, 1)[0] ?? 0, values, i);
  }
  return values;
}
