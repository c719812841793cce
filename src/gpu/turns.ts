/**
 * Who may record on a device: one piece of work at a time, because the parameters, the buffers of
 * a tile and the error scopes are shared. What a piece of work waits for after it has submitted
 * (results on their way back) is outside its turn: the next one records meanwhile.
 *
 * WebGPU's own errors count as the failure of the turn that caused them, and a lost device is told
 * from a failed one. Turns that were recorded after a failed one, before its failure was known, may
 * have read what it failed to write: they are told so (OvertakenError) instead of answering, and
 * run again.
 */
import { DeviceLostError } from "../core/backend.ts";
import type { Clock } from "../core/clock.ts";
import { onDeviceLost } from "./device-loss.ts";
import { type ErrorScopes, type PendingErrors, settle } from "./error-scopes.ts";

/** How long after a failure the device's loss may still be announced. */
const LOSS_GRACE_MS = 50;

/** An earlier turn failed after this one was recorded: what it read is doubtful, and nothing says it failed itself. */
export class OvertakenError extends Error {
  override readonly name = "OvertakenError";
}

export class Turns {
  readonly #errors: ErrorScopes;
  readonly #clock: Clock;
  /** Called, within a turn, when one failed, so that nothing half-recorded and nothing doubtful stays behind. */
  readonly #onFailure: () => void;
  readonly #stopListening: () => void;
  /** Settles when the last piece of work does. Neither this nor the next holds on to what a turn made. */
  #tail: Promise<void> = Promise.resolve();
  /** Settled when every turn asked for so far has succeeded or failed, its `finish` included. */
  #outcomes: Promise<void> = Promise.resolve();
  /** Turns that failed after they were recorded. */
  #failedLater = 0;
  /** Whether `onFailure` is still to be called for one of them. */
  #isDoubtful = false;
  /** Told when the device is lost. */
  readonly #waiting = new Set<() => void>();
  #isLost = false;
  #isClosed = false;

  constructor(device: GPUDevice, errors: ErrorScopes, clock: Clock, onFailure: () => void) {
    this.#errors = errors;
    this.#clock = clock;
    this.#onFailure = onFailure;
    this.#stopListening = onDeviceLost(device, () => {
      this.#isLost = true;
      for (const tell of this.#waiting) tell();
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#stopListening();
  }

  /** Runs `record` in its turn, then `finish` with what it made, outside. Either's failure is that of the whole. */
  run<R, T>(record: () => Promise<R>, finish: (recorded: R) => Promise<T>): Promise<T> {
    const began = { failedLater: 0 };
    const turn = this.#tail.then(() => {
      this.#clean();
      began.failedLater = this.#failedLater;
      return this.#record(record);
    });
    this.#tail = settled(turn); // whoever asked sees the failure; the next piece has its own turn
    const outcome = this.#finish(turn, finish, this.#outcomes, began);
    this.#outcomes = settled(outcome);
    return outcome;
  }

  /** Runs `work` in its turn and nothing outside. */
  alone(work: () => void): Promise<void> {
    const turn = this.#tail.then(work);
    this.#tail = settled(turn);
    return turn;
  }

  async #record<R>(record: () => Promise<R>): Promise<Recorded<R>> {
    try {
      if (this.#isLost || this.#isClosed) throw lost();
      return { recorded: await record(), pending: this.#errors.take() };
    } catch (cause) {
      const pending = this.#errors.take();
      this.#onFailure();
      throw await this.#reasonOf(cause, pending);
    }
  }

  async #finish<R, T>(
    turn: Promise<Recorded<R>>,
    finish: (recorded: R) => Promise<T>,
    earlier: Promise<unknown>,
    began: { readonly failedLater: number },
  ): Promise<T> {
    let pending: PendingErrors | undefined;
    try {
      const made = await turn;
      pending = made.pending;
      const value = await finish(made.recorded);
      await settle(pending);
      await earlier;
      if (this.#isLost) throw lost();
      if (began.failedLater !== this.#failedLater) throw overtaken();
      return value;
    } catch (cause) {
      const reason = pending === undefined ? cause : await this.#reasonOf(cause, pending);
      await earlier;
      if (reason instanceof DeviceLostError) throw reason;
      if (began.failedLater !== this.#failedLater) throw reason instanceof OvertakenError ? reason : overtaken(reason);
      if (pending !== undefined) {
        // Another turn may be recording: only the next one may throw things away.
        this.#failedLater++;
        this.#isDoubtful = true;
        void this.alone(() => this.#clean());
      }
      throw reason;
    }
  }

  #clean(): void {
    if (!this.#isDoubtful) return;
    this.#isDoubtful = false;
    this.#onFailure();
  }

  /** A DeviceLostError if that is what happened, else what WebGPU says of it, else the failure itself. */
  async #reasonOf(cause: unknown, pending: PendingErrors): Promise<unknown> {
    if (cause instanceof DeviceLostError || cause instanceof OvertakenError) return cause;
    if (this.#isClosed || (await this.#wasLost())) return lost(cause);
    return settle(pending).then(
      () => cause,
      (reported: unknown) => reported,
    );
  }

  /** Whether the failure just seen was the device's loss, which may be announced a little after its effects. */
  async #wasLost(): Promise<boolean> {
    if (this.#isLost) return true;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        cancel();
        resolve();
      };
      const cancel = this.#clock.after(LOSS_GRACE_MS, done);
      this.#waiting.add(done);
    });
    return this.#isLost;
  }
}

interface Recorded<R> {
  readonly recorded: R;
  readonly pending: PendingErrors;
}

/** Resolves when the work is done or has failed, with nothing. */
function settled(work: Promise<unknown>): Promise<void> {
  return work.then(
    () => {},
    () => {},
  );
}

function overtaken(cause?: unknown): OvertakenError {
  return new OvertakenError(
    "GPU work begun earlier failed: what this work read is doubtful",
    cause === undefined ? undefined : { cause },
  );
}

function lost(cause?: unknown): DeviceLostError {
  return new DeviceLostError("the GPU device was lost or let go of", cause === undefined ? undefined : { cause });
}
