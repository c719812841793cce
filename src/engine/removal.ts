/** Marking rows as removed, in slices; nothing shows before the change is applied. */
import type { WorkSlices } from "../core/slices.ts";
import type { Liveness, LivenessChange } from "./liveness.ts";
import { checkedRows, ROW_COST } from "./row-list.ts";

/** Marks rows, of those there are and of `appended` new ones, as removed. Throws INVALID_ROW. */
export async function beginChange(
  live: Liveness,
  appended: number,
  removed: Iterable<number>,
  slices: WorkSlices,
): Promise<LivenessChange> {
  const list = await checkedRows(removed, live.rowCount + appended, slices);
  const change = live.beginChange(appended);
  for (const row of list) {
    const turn = slices.take(ROW_COST);
    if (turn !== undefined) await turn;
    change.remove(row);
  }
  return change;
}
