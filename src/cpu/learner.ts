/** Learning of directions, in turns: the worker stays open to searches between them. */
import type { LearnProjectionOptions, LearntProjection } from "../core/learn.ts";
import { LIMITS } from "../core/limits.ts";

/** Posted to a worker, which has its own way to multiply. */
export type LearnRequest = Omit<LearnProjectionOptions, "multiply">;

export interface LearnStep {
  /** Multiply-adds done so far, about. */
  readonly done: number;
  readonly learnt?: LearntProjection;
  /** Why it could not be learnt: no fault of the worker, which goes on. */
  readonly failure?: string;
}

export class Learner {
  readonly #work: Generator<number, LearntProjection>;
  #done = 0;

  constructor(work: Generator<number, LearntProjection>) {
    this.#work = work;
  }

  /** Learns for about `LIMITS.learnStep` multiply-adds. */
  step(): LearnStep {
    try {
      for (const until = this.#done + LIMITS.learnStep; this.#done < until; ) {
        const { done, value } = this.#work.next();
        if (done === true) return { done: this.#done, learnt: value };
        this.#done += value;
      }
      return { done: this.#done };
    } catch (cause) {
      return { done: this.#done, failure: String(cause) };
    }
  }
}
