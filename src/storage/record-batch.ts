/**
 * Records as they are stored: in memory between the caller and a segment or journal record, and in
 * the columns of both. Plain data, checked before it is made; vectors as core/stored-rows.ts makes
 * them, so that a backend takes them without looking at them again.
 */
import type { StoredColumn } from "../core/stored-column.ts";

/** Strings in a row: string i is UTF-8, bytes `offsets[i] … offsets[i + 1]` of `bytes`. */
export interface TextColumn {
  /** [count + 1], from 0. */
  readonly offsets: Uint32Array;
  readonly bytes: Uint8Array;
}

export interface RecordBatch {
  readonly count: number;
  readonly ids: TextColumn;
  /** JSON objects; empty strings where a record has none. */
  readonly metadata: TextColumn;
  readonly vectors: StoredColumn;
}
