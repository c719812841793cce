/** Which live rows a filter matches. */
import { countBits } from "../core/rowset.ts";
import type { CompiledFilter } from "./filter.ts";
import type { Records } from "./records.ts";

/** Live rows that match, as a bitmap over the rows there are: ids, metadata and index agree on it. */
export function matchBits(
  records: Records,
  filter: CompiledFilter | undefined,
  signal?: AbortSignal,
): Promise<Uint32Array> {
  return matched(records, filter, (bits) => bits, signal);
}

export async function countMatches(records: Records, filter: CompiledFilter): Promise<number> {
  return countBits(await matchBits(records, filter));
}

/** Calls `use` with the live rows that match, in the turn in which they are known to be the present ones. */
export function matched<R>(
  records: Records,
  filter: CompiledFilter | undefined,
  use: (bits: Uint32Array, rowCount: number) => R,
  signal?: AbortSignal,
): Promise<R> {
  return records.steady(
    async () => (filter === undefined ? undefined : records.metadata.match(filter, records.slices, signal)),
    (found) => {
      const live = records.index.liveBits();
      if (found !== undefined) for (let i = 0; i < live.length; i++) live[i] = (live[i] ?? 0) & (found[i] ?? 0);
      return use(live, records.index.rowCount);
    },
    signal,
  );
}
