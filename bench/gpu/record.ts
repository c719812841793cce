/** What a run leaves: one JSON line a case, and one for the peaks; what a next run reads to go on. */
import { existsSync, readFileSync } from "node:fs";
import type { Runtime } from "../machine.ts";
import type { Case } from "./cases.ts";
import type { AdapterRecord } from "./device.ts";
import type { Peaks } from "./peaks.ts";
import type { Roofline } from "./roofline.ts";
import type { Spread } from "../statistics.ts";

const SCHEMA = 1;

/** The machine, the build and the circumstances: the same in all records of a run. */
export interface RunRecord {
  readonly schema: typeof SCHEMA;
  /** Git commit, "-dirty" appended where the tree was changed. */
  readonly commit: string;
  /** True: sizes are tiny and no time is recorded. */
  readonly smoke: boolean;
  readonly runtime: Runtime & { readonly dawn: string };
  readonly adapter: AdapterRecord;
  /** Options of Dawn's `create()`. */
  readonly flags: readonly string[];
  /** Measured at the start of this run; null in a smoke run. */
  readonly peaks: Peaks | null;
}

/** Of one index: the same in all its cases. Milliseconds. */
export interface UploadTimes {
  /** In `add()`: checked, copied into the row store. Making and reading back the data is not in it. */
  readonly addMs: number;
  /** The first search: what was not yet on the device is sent, kernels are compiled. */
  readonly firstSearchMs: number;
  /** Bytes sent to the device by then. */
  readonly uploadedBytes: number;
}

export interface CaseTimes {
  readonly upload: UploadTimes;
  /** One `search` call of the whole batch, read-back and canonical distances included, ms. */
  readonly endToEndMs: Spread;
  /** Sum of the kernels of one batch by timestamp queries, ms; null where the engine reports none. */
  readonly computeMs: Spread | null;
  /** The same by kernel name, mean of the repetitions. */
  readonly kernelMs: Readonly<Record<string, number>> | null;
  /** Queries a second with several callers at once. */
  readonly pipelinedQps: number;
  readonly callers: number;
}

/** What the times mean. Bytes and operations are those that the algorithm must read and do (`roofline`). */
interface Rates {
  readonly floorMs: number;
  readonly bound: Roofline["bound"];
  readonly unit: Roofline["unit"];
  readonly bytes: number;
  readonly operations: number;
  /** Of the kernels alone; null where the engine reports no kernel times. */
  readonly compute: Rate | null;
  readonly endToEnd: Rate;
}

export interface Rate {
  readonly bytesPerSecond: number;
  readonly operationsPerSecond: number;
  /** floorMs / median. */
  readonly fraction: number;
}

/** Of one search call, from the engine's own counters and report. */
export interface Counters {
  readonly submits: number;
  readonly dispatches: number;
  readonly readBackBytes: number;
  readonly survivors: number;
  readonly rescans: number;
  readonly method: string;
  readonly prefixDimensions: number;
  readonly shards: number;
  readonly streamedRows: number;
  readonly residentBytes: number;
}

export type CaseOutcome =
  /** Answers right before and after; times are null in a smoke run. */
  | {
      readonly status: "ok";
      readonly verified: true;
      readonly times: CaseTimes | null;
      readonly rates: Rates | null;
      readonly counters: Counters;
    }
  | { readonly status: "wrong"; readonly verified: false; readonly reason: string }
  /** The engine says that it does not have this. */
  | { readonly status: "unsupported"; readonly verified: false; readonly reason: string }
  /** Not measured this time: an error, a fallback, too little memory. Tried again by the next run. */
  | { readonly status: "failed"; readonly verified: false; readonly reason: string };

export type ResultRecord = RunRecord & { readonly date: string } & (
    | { readonly type: "peaks" }
    | ({ readonly type: "case"; readonly key: string; readonly case: Case } & CaseOutcome)
  );

export const schema: typeof SCHEMA = SCHEMA;

/** The records of a file; lines that are none (cut short, or of another schema) are left out. No file: none. */
export function readRecords(path: string): ResultRecord[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .flatMap((line) => parseRecord(line) ?? []);
}

export function parseRecord(line: string): ResultRecord | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null || Reflect.get(value, "schema") !== SCHEMA) return undefined;
    return value as ResultRecord;
  } catch {
    return undefined; // a line cut short by a crash
  }
}

/** Keys of the cases that need no second run on this build and adapter: measured, wrong or unsupported. */
export function doneKeys(records: readonly ResultRecord[], run: RunRecord): Set<string> {
  const done = new Set<string>();
  for (const record of records) {
    if (record.type !== "case" || record.status === "failed") continue;
    const isSame =
      record.commit === run.commit &&
      record.smoke === run.smoke &&
      record.flags.join() === run.flags.join() &&
      adapterName(record.adapter) === adapterName(run.adapter);
    if (isSame) done.add(record.key);
  }
  return done;
}

export function adapterName({ vendor, architecture, device, description }: AdapterRecord): string {
  return [vendor, architecture, device, description].filter((part) => part !== "").join(" ");
}
