/** The memory of an index: each setting in a fresh process, so that none inherits another's heap. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Precision } from "../../src/core/metric.ts";

export interface MemoryTask {
  readonly rows: number;
  readonly dimensions: number;
  readonly precision: Precision;
  /** The caller's rows: as one array, which is not counted, or in pieces of one buffer that is used again. */
  readonly input: "pieces" | "whole";
  readonly scan: "auto" | "full";
  readonly sharesMemory: boolean;
}

/** Growth of the resident set. */
export interface MemoryUse {
  /** With everything ready, after a garbage collection. */
  readonly heldBytes: number;
  /** At most, while rows were added. */
  readonly peakAddBytes: number;
  /** At most, until the first search with codes was answered. */
  readonly peakBytes: number;
  /** Codes of a row; 0: scanned in full. */
  readonly directions: number;
}

export const MEMORY_SHAPE = { rows: 1_000_000, dimensions: 384 } as const;

/** Every precision as it comes; float32 also without codes, and with the caller's rows and the workers' memory the other way. */
export function memoryTasks(shape: { readonly rows: number; readonly dimensions: number }): MemoryTask[] {
  const usual: MemoryTask = { ...shape, precision: "f32", input: "pieces", scan: "auto", sharesMemory: true };
  return [
    usual,
    { ...usual, scan: "full" },
    { ...usual, input: "whole" },
    { ...usual, sharesMemory: false },
    { ...usual, precision: "f16" },
    { ...usual, precision: "i8" },
    { ...usual, precision: "b1" },
  ];
}

export async function measureMemory(task: MemoryTask): Promise<MemoryUse> {
  // Built as a file of its own beside the program.
  const program = fileURLToPath(new URL(/* @vite-ignore */ "./memory-child.js", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", program, JSON.stringify(task)]);
  return JSON.parse(stdout) as MemoryUse;
}
