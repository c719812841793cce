/**
 * The columns that filters have asked for so far: built from the JSON of the records when a key is
 * first filtered on, in slices, several keys in one pass; later only extended by the rows that came
 * since. When they outgrow the metadata itself the longest unused are dropped: they can be built
 * again. Building is serial, so two filters never extend the same column at once.
 */
import { abortedError } from "../core/errors.ts";
import { TABLE_LIMITS } from "../core/limits.ts";
import type { WorkSlices } from "../core/slices.ts";
import { SerialQueue } from "../engine/serial.ts";
import { KeyColumn } from "./metadata-column.ts";
import { findValues, WantedKeys } from "./metadata-scan.ts";
import { corruptMetadata, parseMetadata } from "./metadata-text.ts";
import type { TextRows } from "./text-rows.ts";

/** Most rows read between two looks at the slices; fewer where they are long. */
const STEP_ROWS = 256;
/** A value that goes into its column takes as long as so many elements of a slice: 50–500 ns. */
const VALUE_ELEMENTS = 16;
/** Until so many bytes were read the code is not compiled and several times as slow: stretches of 50 ms without this. */
const COLD_BYTES = 1 << 20;
const COLD_FACTOR = 8;

export class MetadataColumns {
  readonly #texts: TextRows;
  /** Longest unused first. */
  readonly #columns = new Map<string, KeyColumn>();
  readonly #leastBytes: number;
  #bytesRead = 0;
  readonly #building = new SerialQueue();

  /** `leastBytes` of columns are kept however little metadata there is. */
  constructor(texts: TextRows, leastBytes: number = TABLE_LIMITS.columnBytes) {
    this.#texts = texts;
    this.#leastBytes = leastBytes;
  }

  /** Keys that have a column now. */
  get keys(): readonly string[] {
    return [...this.#columns.keys()];
  }

  get sizeBytes(): number {
    let size = 0;
    for (const column of this.#columns.values()) size += column.sizeBytes;
    return size;
  }

  /** The columns of these keys over rows 0 … rowCount − 1 at least, built or extended as needed. */
  columnsOf(
    keys: readonly string[],
    rowCount: number,
    slices: WorkSlices,
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, KeyColumn>> {
    return this.#building.run(async () => {
      const found = new Map<string, KeyColumn>();
      for (const key of keys) {
        const column = this.#columns.get(key) ?? new KeyColumn();
        this.#columns.delete(key);
        this.#columns.set(key, column);
        found.set(key, column);
      }
      try {
        await this.#extend([...found], rowCount, slices, signal);
      } finally {
        this.#dropUnused(found);
      }
      return found;
    }, signal);
  }

  /** Columns that have come equally far are extended together. */
  async #extend(
    columns: readonly (readonly [string, KeyColumn])[],
    rowCount: number,
    slices: WorkSlices,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const groups = new Map<number, (readonly [string, KeyColumn])[]>();
    for (const entry of columns) {
      const from = entry[1].rowCount;
      const group = groups.get(from);
      if (group === undefined) groups.set(from, [entry]);
      else group.push(entry);
    }
    for (const [from, group] of groups) {
      const pass = new Pass(group);
      for (let row = from; row < rowCount; ) {
        if (signal?.aborted === true) throw abortedError(signal);
        const part = this.#texts.partOf(row);
        const at = row - part.first;
        const most = Math.min(at + STEP_ROWS, part.count, rowCount - part.first);
        const base = part.offsets[at] ?? 0;
        let end = at + 1;
        while (end < most && (part.offsets[end] ?? 0) - base < TABLE_LIMITS.metadataBytes) end++;
        const bytes = (part.offsets[end] ?? 0) - base;
        const work = Math.ceil(bytes / TABLE_LIMITS.metadataBytesRead) + (end - at) * group.length * VALUE_ELEMENTS;
        const turn = slices.take(this.#bytesRead < COLD_BYTES ? Math.min(work * COLD_FACTOR, slices.budget) : work);
        this.#bytesRead += bytes;
        if (turn !== undefined) await turn;
        for (let i = at; i < end; i++) {
          pass.add(part.bytes, part.offsets[i] ?? 0, part.offsets[i + 1] ?? 0, part.first + i);
        }
        row = part.first + end;
      }
    }
  }

  #dropUnused(inUse: ReadonlyMap<string, KeyColumn>): void {
    const limit = Math.max(this.#leastBytes, this.#texts.textBytes);
    let size = this.sizeBytes;
    for (const [key, column] of this.#columns) {
      if (size <= limit) return;
      if (inUse.has(key)) continue;
      size -= column.sizeBytes;
      this.#columns.delete(key);
    }
  }
}

/** One way through the records for some keys: every column gets one row of each record. */
class Pass {
  readonly #keys: readonly string[];
  readonly #columns: readonly KeyColumn[];
  readonly #wanted: WantedKeys;

  constructor(columns: readonly (readonly [string, KeyColumn])[]) {
    this.#keys = columns.map(([key]) => key);
    this.#columns = columns.map(([, column]) => column);
    this.#wanted = new WantedKeys(this.#keys);
  }

  add(bytes: Uint8Array, start: number, end: number, row: number): void {
    if (start === end) {
      for (const column of this.#columns) column.addMissing();
      return;
    }
    const wanted = this.#wanted;
    if (!findValues(bytes, start, end, wanted)) {
      this.#addParsed(bytes.subarray(start, end), row);
      return;
    }
    for (let i = 0; i < this.#columns.length; i++) {
      const from = wanted.starts[i] ?? 0;
      const to = wanted.ends[i] ?? 0;
      if (from === to) this.#columns[i]?.addMissing();
      else if (this.#columns[i]?.addJson(bytes, from, to) === false) throw corruptMetadata(row, undefined);
    }
  }

  #addParsed(bytes: Uint8Array, row: number): void {
    const metadata = parseMetadata(bytes, row) ?? {};
    for (const [i, column] of this.#columns.entries()) {
      const key = this.#keys[i] ?? "";
      column.addValue(Object.hasOwn(metadata, key) ? metadata[key] : undefined);
    }
  }
}
