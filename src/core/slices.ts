/**
 * The event-loop rule (DESIGN rule 9): long work on the caller's thread is counted in elements
 * and cut into slices of a fixed budget, with a turn of the event loop between them. Counting
 * instead of timing keeps it deterministic; tests read `largest`.
 */
import { type Clock, nextTurn } from "./clock.ts";

/** What the slicing did since it was created. */
export interface SliceStats {
  /** Elements of the longest synchronous stretch. */
  readonly largest: number;
  /** Stretches begun, the running one included. */
  readonly count: number;
}

export class WorkSlices {
  readonly #clock: Clock;
  readonly budget: number;
  #spent = 0;
  #largest = 0;
  #count = 1;

  constructor(clock: Clock, budget: number) {
    this.#clock = clock;
    this.budget = budget;
  }

  /**
   * Accounts for `elements` about to be worked on. Returns a promise to wait for first when the
   * running slice has no room for them, else undefined: `const turn = slices.take(n); if (turn) await turn;`
   */
  take(elements: number): Promise<void> | undefined {
    if (this.#spent > 0 && this.#spent + elements > this.budget) {
      this.#spent = elements;
      this.#count++;
      this.#largest = Math.max(this.#largest, this.#spent);
      return nextTurn(this.#clock);
    }
    this.#spent += elements;
    this.#largest = Math.max(this.#largest, this.#spent);
    return undefined;
  }

  /** Lets the event loop have its turn now. */
  turn(): Promise<void> {
    this.reset();
    return nextTurn(this.#clock);
  }

  /** Call where the work waited for something else anyway: a new stretch begins. */
  reset(): void {
    if (this.#spent > 0) this.#count++;
    this.#spent = 0;
  }

  get stats(): SliceStats {
    return { largest: this.#largest, count: this.#count };
  }
}

/**
 * Runs a piecewise computation through, where nobody waits for the thread (a worker). On the
 * caller's thread go through the pieces instead: each yields the work done since the one before.
 */
export function runToEnd<Result>(work: Generator<number, Result>): Result {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** Runs a generator that yields its work, in slices; undefined when stopped. */
export async function inSlices<T>(
  work: Generator<number, T>,
  slices: WorkSlices,
  isStopped: () => boolean,
): Promise<T | undefined> {
  while (!isStopped()) {
    const step = work.next();
    if (step.done === true) return step.value;
    const turn = slices.take(step.value);
    if (turn !== undefined) await turn;
  }
  return undefined;
}
