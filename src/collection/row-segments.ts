/** Rows of records in memory, written into segments: what checkpoints and compaction do. */
import { bitRange, setBits } from "../core/bit-ranges.ts";
import { STORAGE_LIMITS } from "../core/limits.ts";
import { countBits } from "../core/rowset.ts";
import type { ManifestSegment } from "../storage/manifest.ts";
import { selectRecords } from "../storage/record-selection.ts";
import type { SegmentRef } from "../storage/segment-facts.ts";
import type { Extent } from "./extents.ts";
import type { Records } from "./records.ts";
import type { NewSegment, SegmentStore } from "./segment-store.ts";

/** Segments that were written for something that is not committed yet. */
export class NewSegments {
  readonly #store: SegmentStore;
  readonly #made: NewSegment[] = [];

  constructor(store: SegmentStore) {
    this.#store = store;
  }

  /** Writes rows `first … first + count − 1`, or those of them that are live in `live` where it is given. undefined: there are none. */
  async write(records: Records, first: number, count: number, live?: Uint32Array): Promise<SegmentRef | undefined> {
    if (count === 0 || (live !== undefined && countBits(bitRange(live, first, count)) === 0)) return undefined;
    const segment = await this.#store.create();
    this.#made.push(segment);
    const { ids, metadata, index, slices } = records;
    const most = Math.max(1, Math.floor(STORAGE_LIMITS.stagedBytes / (index.dimensions * 4)));
    for (let from = first; from < first + count; from += most) {
      const rows = Math.min(most, first + count - from);
      const vectors = await index.exportColumn(from, rows);
      const batch = { count: rows, ids: ids.column(from, rows), metadata: metadata.column(from, rows), vectors };
      const turn = slices.take(slices.budget);
      if (turn !== undefined) await turn;
      await segment.append(live === undefined ? batch : selectRecords(batch, [...setBits(bitRange(live, from, rows))]));
    }
    return segment.finish();
  }

  /** Leaves no file behind. */
  async discard(): Promise<void> {
    for (const segment of this.#made) await segment.discard();
  }
}

/** The extents with each of the journal's in a segment of its own. */
export async function settledExtents(records: Records, segments: NewSegments): Promise<Extent[]> {
  const settled: Extent[] = [];
  for (const extent of records.extents.list) {
    const segment = extent.segment ?? (await segments.write(records, extent.first, extent.count));
    settled.push({ ...extent, segment });
  }
  return settled;
}

/** What a manifest says of rows that lie in segments. `live`: over all rows. */
export function manifestSegments(extents: readonly Extent[], live: Uint32Array): ManifestSegment[] {
  return extents.map(({ first, count, segment }) => {
    if (segment === undefined) throw new Error("rows of the journal in a manifest");
    const deleted = bitRange(
      live.map((word) => ~word),
      first,
      count,
    );
    return { ...segment, deleted: countBits(deleted) === 0 ? undefined : deleted };
  });
}
