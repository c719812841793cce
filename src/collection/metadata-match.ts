/** Filters run over the metadata of a table, with the columns they need. All that only filters need comes with it, on their first use. */
import type { WorkSlices } from "../core/slices.ts";
import type { CompiledFilter } from "./filter.ts";
import { matchRows } from "./filter-run.ts";
import { MetadataColumns } from "./metadata-columns.ts";
import type { TextRows } from "./text-rows.ts";

export class MetadataMatch {
  readonly #columns: MetadataColumns;

  constructor(texts: TextRows) {
    this.#columns = new MetadataColumns(texts);
  }

  /** Keys that have a column now. */
  get columnKeys(): readonly string[] {
    return this.#columns.keys;
  }

  /** Memory held by the columns. */
  get sizeBytes(): number {
    return this.#columns.sizeBytes;
  }

  /** Those of the first `rowCount` rows that match, as a bitmap of ceil(rowCount / 32) words. */
  async rows(
    filter: CompiledFilter,
    rowCount: number,
    slices: WorkSlices,
    signal: AbortSignal | undefined,
  ): Promise<Uint32Array> {
    const columns = await this.#columns.columnsOf(filter.keys, rowCount, slices, signal);
    return matchRows(filter.predicate, columns, rowCount, slices, signal);
  }
}
