/** Seeded randomness: the same data on every machine and in the browser. */
import { uniform } from "../../src/core/random.ts";

export { uniform };

/** Standard normal, by Box and Muller. */
export function normal(seed: number): () => number {
  const next = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}
