/** Learning of directions in a worker, in turns: it stays open to searches between them. */
import { learningWork, learnProjection, type LearnRequest, type LearntProjection } from "../core/learn.ts";
import { LIMITS } from "../core/limits.ts";
import type { KernelModules } from "./kernels.ts";
import { kernelMultiply } from "./multiply.ts";

export interface LearnStep {
  /** What part of the work is done, about. */
  readonly share: number;
  readonly learnt?: LearntProjection;
  /** Why it could not be learnt: no fault of the worker, which goes on. */
  readonly failure?: string;
}

export class Learner {
  /** Yields the multiply-adds since the last yield. */
  readonly #work: Generator<number, LearntProjection>;
  /** What they come to, about. */
  readonly #total: number;
  #done = 0;

  /** `modules`: the worker's kernels, which multiply where there are any. */
  constructor(modules: KernelModules, request: LearnRequest) {
    const module = modules.owned?.simd;
    this.#work = learnProjection(module === undefined ? request : { ...request, multiply: kernelMultiply(module) });
    this.#total = learningWork(request.dimensions, request.count);
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
