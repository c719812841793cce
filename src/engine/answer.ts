/** The arrays that a call returns: allocated with an error that names them, blanked in slices. */
import { NearfieldError } from "../core/errors.ts";
import type { WorkSlices } from "../core/slices.ts";
import { NO_ROW, type TopK } from "../core/topk.ts";

/** What the caller asked for, or OUT_OF_MEMORY where there is no room for it. */
export function allocated<T>(what: string, allocate: () => T): T {
  try {
    return allocate();
  } catch (cause) {
    throw new NearfieldError("OUT_OF_MEMORY", {
      got: `no memory for ${what}`,
      expected: "room for the arrays to be returned",
      remedy: "ask for less at once",
      cause,
    });
  }
}

/** An answer without any rows yet. */
export async function blankAnswer(queries: number, width: number, slices: WorkSlices): Promise<TopK> {
  const answer: TopK = allocated(`${queries} × ${width} results`, () => ({
    k: width,
    rows: new Uint32Array(queries * width),
    distances: new Float32Array(queries * width),
    counts: new Uint32Array(queries),
  }));
  for (let at = 0; at < answer.rows.length; at += slices.budget) {
    const end = Math.min(answer.rows.length, at + slices.budget);
    const turn = slices.take(end - at);
    if (turn !== undefined) await turn;
    answer.rows.fill(NO_ROW, at, end);
    answer.distances.fill(Infinity, at, end);
  }
  return answer;
}
