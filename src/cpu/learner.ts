/** Learning of directions, in turns: the worker stays open to searches between them. */
import { type LearnProjectionOptions, learnProjection, type LearntProjection } from "../core/learn.ts";
import { LIMITS } from "../core/limits.ts";

export type LearnRequest = LearnProjectionOptions;

export interface LearnStep {
  /** Multiply-adds done so far, about. */
  readonly done: number;
  readonly learnt?: LearntProjection;
}

export class Learner {
  readonly #work: Generator<number, LearntProjection>;
  #done = 0;

  constructor(request: LearnRequest) {
    this.#work = learnProjection(request);
  }

  /** Learns for about `LIMITS.learnStep` multiply-adds. */
  step(): LearnStep {
    for (const until = this.#done + LIMITS.learnStep; this.#done < until; ) {
      const { done, value } = this.#work.next();
      if (done === true) return { done: this.#done, learnt: value };
      this.#done += value;
    }
    return { done: this.#done };
  }
}
