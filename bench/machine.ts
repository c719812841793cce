/** Where numbers were measured: part of every record. */
import { cpus, release, totalmem, type } from "node:os";

export interface Runtime {
  readonly node: string;
  readonly os: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryBytes: number;
}

export function runtime(): Runtime {
  const all = cpus();
  return {
    node: process.version,
    os: `${type()} ${release()}`,
    cpu: all[0]?.model.trim() ?? "unknown",
    cpus: all.length,
    memoryBytes: totalmem(),
  };
}
