/** From nothing to a first answer, in a fresh process: what a script or a cold function waits for. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Spread, spreadOf } from "../statistics.ts";

export interface ColdShape {
  readonly rows: number;
  readonly dimensions: number;
}

/** Milliseconds of one process, in order. */
export interface ColdSteps {
  readonly importMs: number;
  readonly createMs: number;
  readonly addMs: number;
  readonly answerMs: number;
}

export interface ColdStart {
  readonly shape: ColdShape;
  /** All steps together; the start of Node itself and the making of the rows are not in it. */
  readonly totalMs: Spread;
  readonly steps: { readonly [step in keyof ColdSteps]: Spread };
}

export const COLD_SHAPES: readonly ColdShape[] = [
  { rows: 1000, dimensions: 384 },
  { rows: 100_000, dimensions: 384 },
];

export async function measureColdStart(shape: ColdShape, rounds: number): Promise<ColdStart> {
  // Built as a file of its own beside the program.
  const program = fileURLToPath(new URL(/* @vite-ignore */ "./cold-child.js", import.meta.url));
  const starts: ColdSteps[] = [];
  for (let turn = 0; turn < rounds; turn++) {
    const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(shape)]);
    starts.push(JSON.parse(stdout) as ColdSteps);
  }
  const of = (step: keyof ColdSteps): Spread => spreadOf(starts.map((start) => start[step]));
  return {
    shape,
    totalMs: spreadOf(starts.map((start) => Object.values(start).reduce((sum: number, ms: number) => sum + ms, 0))),
    steps: { importMs: of("importMs"), createMs: of("createMs"), addMs: of("addMs"), answerMs: of("answerMs") },
  };
}
