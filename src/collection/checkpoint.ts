/** States written down whole: what is there, what a change makes of it, or other records altogether. */
import { wallClockMs } from "../core/clock.ts";
import { resizedBits, setBitRange } from "../core/rowset.ts";
import type { ChangePlan } from "./change-plan.ts";
import { Extents } from "./extents.ts";
import type { Records } from "./records.ts";
import { manifestSegments, NewSegments, settledExtents } from "./row-segments.ts";
import type { SegmentStore } from "./segment-store.ts";
import type { Checkpoint, VersionLog } from "./version-log.ts";

export interface CheckpointParts {
  readonly log: VersionLog;
  readonly segments: SegmentStore;
}

/** What a state is written down as. */
export type Stamp = Pick<Checkpoint, "version" | "atMs" | "isKept">;

/** Writes records down, as the version they are or, with a stamp, as another. When it rejects, everything is as before. */
export async function checkpointRecords(
  { log, segments }: CheckpointParts,
  records: Records,
  stamp: Stamp = { version: log.version, atMs: log.atMs },
): Promise<void> {
  await committed(log, segments, async (made) => {
    const settled = await settledExtents(records, made);
    const listed = manifestSegments(settled, records.index.liveBits());
    await log.checkpoint({ ...stamp, liveRows: records.size, segments: listed });
    records.extents.replace(settled);
  });
}

/** Commits a change that a journal cannot hold. Its rows are applied by the caller. */
export async function checkpointPlan(
  { log, segments }: CheckpointParts,
  records: Records,
  plan: ChangePlan,
): Promise<void> {
  await committed(log, segments, async (made) => {
    const settled = await settledExtents(records, made);
    const after = new Extents(settled);
    for (const { segment } of plan.appended) {
      if (segment === undefined) throw new Error("rows of a journal in a change that it cannot hold");
      after.appendSegment(segment);
    }
    const live = resizedBits(records.index.liveBits(), plan.rowCount);
    setBitRange(live, records.rowCount, plan.rowCount);
    for (const row of plan.removed) live[row >>> 5] = (live[row >>> 5] ?? 0) & ~(1 << (row & 31));
    await log.checkpoint({
      version: log.version + 1,
      atMs: wallClockMs(),
      liveRows: plan.liveRows,
      segments: manifestSegments(after.list, live),
    });
    records.extents.replace(settled);
  });
}

/** Segments that the task makes are removed when it fails, unless the disk may name them. */
async function committed(
  log: VersionLog,
  store: SegmentStore,
  task: (made: NewSegments) => Promise<void>,
): Promise<void> {
  const made = new NewSegments(store);
  try {
    await task(made);
  } catch (error) {
    if (log.isUsable) await made.discard();
    throw error;
  }
}
