/**
 * What some changes do to the rows, worked out before any of them is written: which rows they
 * append and retire, and what the journal says. Changes of one plan are committed together; each
 * sees those before it. Nothing is changed here.
 */
import { setBits } from "../core/bit-ranges.ts";
import { describe, NearfieldError } from "../core/errors.ts";
import type { StoredColumnReader } from "../core/stored-column.ts";
import { fitsJournal } from "../storage/journal-record.ts";
import type { TextColumn } from "../storage/record-batch.ts";
import type { UpsertOptions } from "./contract.ts";
import type { AppendedRows, Records } from "./records.ts";
import { ROW_ELEMENTS } from "./records.ts";
import type { Staged } from "./staging.ts";
import { TextRows } from "./text-rows.ts";
import type { LoggedChange } from "./version-log.ts";

export type UpsertMode = NonNullable<UpsertOptions["mode"]>;

export class ChangePlan {
  readonly #records: Records;
  /** What the changes so far did to ids: their row, or that there is none. */
  readonly #ids = new Map<string, number | undefined>();
  /** Whether only one change is planned: then `#ids` is not needed. */
  readonly #isSingle: boolean;
  readonly #logged: LoggedChange[] = [];
  readonly #appended: AppendedRows[] = [];
  readonly #removed: number[] = [];
  #hasRetired = false;
  #rowCount: number;
  #liveRows: number;

  /** `changes`: how many there will be at most. The records' ids are prepared. */
  constructor(records: Records, changes: number) {
    this.#records = records;
    this.#isSingle = changes === 1;
    this.#rowCount = records.rowCount;
    this.#liveRows = records.size;
  }

  /** For the journal, in order. */
  get logged(): readonly LoggedChange[] {
    return this.#logged;
  }

  get appended(): readonly AppendedRows[] {
    return this.#appended;
  }

  get removed(): readonly number[] {
    return this.#removed;
  }

  /** Rows after the changes, removed ones included. */
  get rowCount(): number {
    return this.#rowCount;
  }

  /** Versions that the changes so far make. */
  get versions(): number {
    return this.#logged.reduce((sum, { change }) => sum + (change.kind === "tag" ? 0 : 1), 0);
  }

  /** Whether a journal can hold it: else a checkpoint commits it. A segment some of whose records are retired needs a bitmap. */
  get fitsJournal(): boolean {
    return !this.#hasRetired && this.#logged.every(({ change }) => fitsJournal(change));
  }

  /** Live rows after the changes. */
  get liveRows(): number {
    return this.#liveRows;
  }

  /** `vectors`: of all staged records. Throws ID_EXISTS, NOT_FOUND; then the plan is as before. */
  async upsert(staged: Staged, mode: UpsertMode, vectors: StoredColumnReader): Promise<void> {
    const replaced: number[] = [];
    const retired = staged.retired;
    for (let row = 0; row < staged.count; row++) {
      const turn = this.#records.slices.take(ROW_ELEMENTS);
      if (turn !== undefined) await turn;
      if (retired !== undefined && ((retired[row >>> 5] ?? 0) >>> (row & 31)) & 1) continue;
      const before = this.#rowOf(staged, row);
      if (before === undefined ? mode === "update" : mode === "insert") throw conflict(staged.ids.idOf(row), mode);
      if (before !== undefined) replaced.push(before);
    }
    const first = this.#rowCount;
    if (!this.#isSingle) {
      for (let row = 0; row < staged.count; row++) {
        if (staged.ids.isLive(row)) this.#ids.set(staged.ids.idOf(row), first + row);
      }
    }
    for (const row of replaced) this.#removed.push(row);
    let lost = 0;
    for (const row of retired === undefined ? [] : setBits(retired, first)) {
      this.#removed.push(row);
      lost++;
    }
    this.#hasRetired ||= retired !== undefined;
    this.#rowCount += staged.count;
    this.#liveRows += staged.count - lost - replaced.length;
    const { count, texts, batch, segment } = staged;
    this.#appended.push({ count, texts, vectors, segment });
    if (batch !== undefined) this.#logged.push({ change: { kind: "upsert", batch }, liveRows: this.#liveRows });
    else if (segment !== undefined)
      this.#logged.push({ change: { kind: "segment", segment }, liveRows: this.#liveRows });
  }

  /** Returns how many there are; none is no change. */
  async deleteIds(ids: Iterable<string>): Promise<number> {
    const rows: number[] = [];
    const found = new TextRows();
    const seen = new Set<string>();
    for (const id of ids) {
      const turn = this.#records.slices.take(ROW_ELEMENTS);
      if (turn !== undefined) await turn;
      const row = this.#ids.has(id) ? this.#ids.get(id) : this.#records.ids.rowOf(id);
      if (row === undefined || seen.has(id)) continue;
      seen.add(id);
      rows.push(row);
      found.appendText(id);
      if (!this.#isSingle) this.#ids.set(id, undefined);
    }
    this.#delete(rows, found.column(0, found.count));
    return rows.length;
  }

  /** Live rows, of a plan of one change. Returns how many. */
  async deleteRows(live: Iterable<number>): Promise<number> {
    const rows: number[] = [];
    const found = new TextRows();
    for (const row of live) {
      const turn = this.#records.slices.take(ROW_ELEMENTS);
      if (turn !== undefined) await turn;
      rows.push(row);
      found.append(this.#records.ids.column(row, 1));
    }
    this.#delete(rows, found.column(0, found.count));
    return rows.length;
  }

  tag(name: string, target: number): void {
    this.#logged.push({ change: { kind: "tag", name, target }, liveRows: this.#liveRows });
  }

  #delete(rows: readonly number[], ids: TextColumn): void {
    if (rows.length === 0) return;
    for (const row of rows) this.#removed.push(row);
    this.#liveRows -= rows.length;
    this.#logged.push({ change: { kind: "delete", ids }, liveRows: this.#liveRows });
  }

  #rowOf(staged: Staged, row: number): number | undefined {
    if (this.#ids.size > 0) {
      const id = staged.ids.idOf(row);
      if (this.#ids.has(id)) return this.#ids.get(id);
    }
    return this.#records.ids.rowOfOther(staged.ids, row);
  }
}

function conflict(id: string, mode: UpsertMode): NearfieldError {
  const details = { id };
  return mode === "insert"
    ? new NearfieldError("ID_EXISTS", {
        got: `an insert of ${describe(id)}, which is there already`,
        expected: "ids that are new",
        remedy: 'use mode "upsert" to replace records, or leave it out; nothing of this call was written',
        details,
      })
    : new NearfieldError("NOT_FOUND", {
        got: `an update of ${describe(id)}, which is not there`,
        expected: "ids that are there",
        remedy: 'use mode "upsert" to add records, or leave it out; nothing of this call was written',
        details,
      });
}
