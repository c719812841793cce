/** Row numbers from callers, checked in slices. */
import { describe, NearfieldError } from "../core/errors.ts";
import type { WorkSlices } from "../core/slices.ts";
import type { Liveness } from "./liveness.ts";

/** What looking at one row number costs, in elements: an iterator step and some checks, about 10 ns. */
export const ROW_COST = 4;

/** Row numbers as callers give them, each in range. Throws INVALID_ROW. */
export async function checkedRows(rows: Iterable<number>, rowCount: number, slices: WorkSlices): Promise<number[]> {
  if (typeof rows !== "object" || rows === null || !(Symbol.iterator in rows)) {
    throw new NearfieldError("INVALID_ROW", {
      got: describe(rows),
      expected: "an array or other iterable of row numbers",
      remedy: "give row numbers that add() handed out",
    });
  }
  const list: number[] = [];
  for (const row of rows) {
    const turn = slices.take(ROW_COST);
    if (turn !== undefined) await turn;
    if (!Number.isInteger(row) || row < 0 || row >= rowCount) throw invalidRow(row, rowCount);
    list.push(row);
  }
  return list;
}

function invalidRow(row: number, rowCount: number): NearfieldError {
  return new NearfieldError("INVALID_ROW", {
    got: `row ${describe(row)}`,
    expected: rowCount === 0 ? "no rows: the index is empty" : `an integer from 0 to ${rowCount - 1}`,
    remedy: "use row numbers that add() handed out; compact() renumbers rows",
    details: { row },
  });
}

/** Throws INVALID_ROW for a row that was removed. */
export function checkLive(live: Liveness, row: number): void {
  if (live.has(row)) return;
  throw new NearfieldError("INVALID_ROW", {
    got: `row ${row}, which was removed`,
    expected: "a live row",
    remedy: "add the vector again to give it a new row number",
    details: { row },
  });
}
