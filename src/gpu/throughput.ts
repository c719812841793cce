/**
 * How much work a device does in the time that one submit may take. Starts from a guess that suits
 * the slowest GPU worth using and follows what is measured, so that fast devices get few submits
 * and slow ones stay responsive.
 */
import { LIMITS } from "../core/limits.ts";

/** Weight of a new measurement: old ones fade within ten batches. */
const WEIGHT = 0.25;
/** Shorter measurements say more about the round trip than about the device. */
const LEAST_MS = 4;

export class Throughput {
  #workPerMs = LIMITS.submitWork / LIMITS.submitMs;

  /** Multiply-adds of one submit. */
  readonly workPerSubmit = (): number =>
    Math.min(LIMITS.mostSubmitWork, Math.max(LIMITS.leastSubmitWork, this.#workPerMs * LIMITS.submitMs));

  /** `work` took `ms` from its submit to the arrival of its results, on a device that did nothing else. */
  measured(work: number, ms: number): void {
    if (ms < LEAST_MS || work <= 0) return;
    this.#workPerMs += (work / ms - this.#workPerMs) * WEIGHT;
  }
}
