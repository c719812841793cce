/**
 * A row store with its live rows and its readers. An index has one at a time; compaction makes the
 * next, and the old one lives until the last search that began on it is done.
 */
import type { ExactBackend, Rows } from "../core/backend.ts";
import { ReadersWriterLock } from "../core/lock.ts";
import type { WorkSlices } from "../core/slices.ts";
import { NO_ROW } from "../core/topk.ts";
import { allocated } from "./answer.ts";
import { Liveness } from "./liveness.ts";
import { ROW_COST } from "./row-list.ts";

export interface Generation {
  readonly rows: Rows;
  readonly live: Liveness;
  readonly lock: ReadersWriterLock;
  isRetired: boolean;
}

export function newGeneration(exact: ExactBackend): Generation {
  return { rows: exact.createRows(), live: new Liveness(), lock: new ReadersWriterLock(), isRetired: false };
}

/** Copies the live rows of one store to another; returns old row → new row. */
export async function copyLive(from: Generation, to: Generation, slices: WorkSlices): Promise<Uint32Array> {
  const { rowCount } = from.live;
  const mapping = allocated("a number for each row", () => new Uint32Array(rowCount));
  let next = 0;
  for (let row = 0; row < rowCount; row++) {
    const isLive = from.live.has(row);
    const turn = slices.take(isLive ? from.rows.stride : ROW_COST);
    if (turn !== undefined) await turn;
    mapping[row] = isLive ? next : NO_ROW;
    if (!isLive) continue;
    to.rows.reserve(next);
    to.rows.put(next, from.rows.stored(row));
    next++;
  }
  to.live.append(next);
  return mapping;
}
