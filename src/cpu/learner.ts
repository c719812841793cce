/** Learning of directions, in turns: the worker stays open to searches between them. */
import type { LearnProjectionOptions, LearntProjection } from "../core/learn.ts";
import { LIMITS } from "../core/limits.ts";

/** Posted to a worker, which has its own way to multiply. */
export type LearnRequest = Omit<LearnProjectionOptions, "multiply">;

export interface LearnStep {
  /** What part of the work is done, about. */
  readonly share: number;
  readonly learnt?: LearntProjection;
  /** Why it could not be learnt: no fault of the worker, which goes on. */
  readonly failure?: string;
}

/** Learning that is ready to begin. */
export interface Learning {
  /** Yields the multiply-adds since the last yield. */
  readonly work: Generator<number, LearntProjection>;
  /** What they come to, about. */
  readonly total: number;
}

export class Learner {
  readonly #work: Generator<number, LearntProjection>;
  readonly #total: number;
  #done = 0;

  constructor({ work, total }: Learning) {
    this.#work = work;
    this.#total = total;
  }

  /** Learns for about `LIMITS.learnStep` multiply-adds. */
  step(): LearnStep {
    try {
      for (const until = this.#done + LIMITS.learnStep; this.#done < until; ) {
        const { done, value } = this.#work.next();
        if (done === true) return { share: 1, learnt: value };
        this.#done += value;
      }
      return { share: this.#done / this.#total };
    } catch (cause) {
      return { share: this.#done / this.#total, failure: String(cause) };
    }
  }
}
