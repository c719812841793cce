/**
 * Metadata by row number: kept as the JSON it is stored as, parsed record by record when asked
 * for. Filters work on columns that are made of it on first use (metadata-match.ts, which is loaded then).
 */
import { loadCode } from "../core/late-code.ts";
import type { WorkSlices } from "../core/slices.ts";
import type { TextColumn } from "../storage/record-batch.ts";
import type { CompiledFilter } from "./filter.ts";
import type { Metadata } from "./metadata.ts";
import type { MetadataMatch } from "./metadata-match.ts";
import { parseMetadata } from "./metadata-text.ts";
import { TextRows } from "./text-rows.ts";

export class MetadataTable {
  readonly #texts: TextRows;
  #match: MetadataMatch | undefined;

  constructor(texts: TextRows = new TextRows()) {
    this.#texts = texts;
  }

  get count(): number {
    return this.#texts.count;
  }

  /** Bytes of the JSON itself. */
  get jsonBytes(): number {
    return this.#texts.textBytes;
  }

  /** Memory held: JSON, offsets, and the columns of keys that were filtered on. */
  get sizeBytes(): number {
    return this.#texts.sizeBytes + (this.#match?.sizeBytes ?? 0);
  }

  /** Keys that have a column now. */
  get columnKeys(): readonly string[] {
    return this.#match?.columnKeys ?? [];
  }

  /** Adds rows: JSON as checkMetadata writes it, empty where a record has none. Kept, not copied, when there is much. */
  append(metadata: TextColumn): void {
    this.#texts.append(metadata);
  }

  /** Adds a row: the `json` of checkMetadata, or "" for none. */
  appendJson(json: string): void {
    this.#texts.appendText(json);
  }

  /** A new object with the metadata of row 0 ≤ row < count; undefined when it has none. Throws CORRUPT. */
  get(row: number): Metadata | undefined {
    return parseMetadata(this.jsonOf(row), row);
  }

  /** The stored JSON, not to be written to; empty when there is none. */
  jsonOf(row: number): Uint8Array {
    const { first, offsets, bytes } = this.#texts.partOf(row);
    return bytes.subarray(offsets[row - first], offsets[row - first + 1]);
  }

  /** A copy of the JSON of rows `first … first + count − 1`. */
  column(first: number, count: number): TextColumn {
    return this.#texts.column(first, count);
  }

  /**
   * The rows that match, as a bitmap of ceil(count / 32) words over the rows there are at the call;
   * rows that are no longer alive are among them. Rejects with ABORTED, CORRUPT, or TOO_LARGE for a
   * key with more than 4 GiB of distinct strings, or BACKEND_UNAVAILABLE where the code of filters cannot be loaded.
   */
  async match(filter: CompiledFilter, slices: WorkSlices, signal?: AbortSignal): Promise<Uint32Array> {
    const rowCount = this.#texts.count;
    if (this.#match === undefined) {
      const { MetadataMatch } = await loadCode("filters", () => import("./metadata-match.ts"));
      this.#match ??= new MetadataMatch(this.#texts); // two filters may have waited
    }
    return this.#match.rows(filter, rowCount, slices, signal);
  }

  /** The table after rows were renumbered (old row → new row, 0xffffffff gone); this one stays as it is. Columns are built anew when wanted. */
  async compact(mapping: Uint32Array, slices: WorkSlices): Promise<MetadataTable> {
    return new MetadataTable(await this.#texts.compact(mapping, slices));
  }
}
