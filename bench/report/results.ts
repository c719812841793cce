/** The JSON lines of the CPU's benchmarks, read for the report and the regression gate: newest last, smoke runs left out. */
import { readFileSync } from "node:fs";
import type { CaseResult, ContenderOutcome } from "../compare.ts";
import type { KernelRate } from "../cpu/kernels.ts";
import type { ColdStart } from "../engine/cold-start.ts";
import type { IngestRate, IngestShape } from "../engine/ingest.ts";
import type { MemoryTask, MemoryUse } from "../engine/memory.ts";
import type { Runtime } from "../machine.ts";

interface About {
  readonly commit: string;
  readonly date: string;
  readonly runtime: Runtime;
}

/** One case, several contenders in turn: of bench:peers, bench (its searches) and bench:cpu (its kernels). */
export interface Comparison extends About, CaseResult {
  readonly type: string;
  readonly key: string;
  /** Versions of the peers, by engine. */
  readonly peers?: Readonly<Record<string, string>>;
  /** Of kernels. */
  readonly rates?: readonly KernelRate[];
}

export interface Ingest extends About {
  readonly shape: IngestShape;
  readonly rates: readonly IngestRate[];
}

export interface Memory extends About {
  readonly task: MemoryTask;
  readonly use: MemoryUse;
}

export interface Cold extends About {
  readonly starts: readonly ColdStart[];
}

export type Measured = ContenderOutcome & { readonly status: "ok" };

type Line = About & { readonly type?: unknown; readonly part?: unknown; readonly smoke?: unknown };

/** All lines of a file that are records of a run that counts; a line cut short by a crash is left out. */
export function readLines(path: string): Line[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .flatMap((line) => {
      try {
        const value: unknown = JSON.parse(line);
        if (typeof value !== "object" || value === null || !("runtime" in value)) return [];
        return Reflect.get(value, "smoke") === true ? [] : [value as Line];
      } catch {
        return [];
      }
    });
}

export function isComparison(line: Line): line is Comparison & Line {
  return "key" in line && "contenders" in line;
}

export function isIngest(line: Line): line is Ingest & Line {
  return line.part === "ingest";
}

export function isMemory(line: Line): line is Memory & Line {
  return line.part === "memory";
}

export function isCold(line: Line): line is Cold & Line {
  return line.part === "cold";
}

/** What numbers may be put side by side: the processor, how many of it, and the runtime. */
export function machineOf({ runtime: { cpu, cpus, node } }: About): string {
  return `${cpu}, ${cpus} vCPU, Node ${node.replace(/^v/, "")}`;
}

/** The last record of each key. */
export function newest<T extends { readonly date: string }>(records: readonly T[], keyOf: (record: T) => string): T[] {
  const byKey = new Map<string, T>();
  for (const record of [...records].sort((a, b) => (a.date < b.date ? -1 : 1))) byKey.set(keyOf(record), record);
  return [...byKey.values()];
}

export function measuredOf({ contenders }: Pick<Comparison, "contenders">): Measured[] {
  return contenders.flatMap((outcome) => (outcome.status === "ok" ? [outcome] : []));
}
