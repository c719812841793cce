/**
 * Who may record on a device: one piece of work at a time, because the parameters, the buffers of
 * a tile and the error scopes are shared. What a piece of work waits for after it has submitted
 * (results on their way back) is outside its turn: the next one records meanwhile.
 *
 * WebGPU's own errors count as the failure of the turn that caused them, and a lost device is told
 * from a failed one.
 */
import { DeviceLostError } from "../core/backend.ts";
import type { Clock } from "../core/clock.ts";
import { onDeviceLost } from "./device-loss.ts";
import { type ErrorScopes, settle } from "./error-scopes.ts";

/** How long after a failure the device's loss may still be announced. */
const LOSS_GRACE_MS = 50;

export class Turns {
  readonly #errors: ErrorScopes;
  readonly #clock: Clock;
  /** Called when a turn failed, so that nothing half-recorded stays behind. */
  readonly #onFailure: () => void;
  readonly #stopListening: () => void;
  /** Settles when the last piece of work does; holds on to nothing that it made. */
  #tail: Promise<void> = Promise.resolve();
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
  async run<R, T>(record: () => Promise<R>, finish: (recorded: R) => Promise<T>): Promise<T> {
    const turn = this.#tail.then(() => this.#record(record));
    // Whoever asked sees the failure; the next piece has its own turn.
    this.#tail = turn.then(
      () => {},
      () => {},
    );
    const { recorded, pending } = await turn;
    return this.#told(async () => {
      const value = await finish(recorded);
      await settle(pending);
      if (this.#isLost) throw lost();
      return value;
    });
  }

  /** Runs `work` in its turn and nothing outside. */
  alone(work: () => void): void {
    this.#tail = this.#tail.then(work);
  }

  async #record<R>(record: () => Promise<R>): Promise<{ recorded: R; pending: ReturnType<ErrorScopes["take"]> }> {
    return this.#told(async () => {
      if (this.#isLost || this.#isClosed) throw lost();
      try {
        const recorded = await record();
        return { recorded, pending: this.#errors.take() };
      } catch (cause) {
        const pending = this.#errors.take();
        this.#onFailure();
        await settle(pending); // what WebGPU says of it is the better reason
        throw cause;
      }
    });
  }

  /** Runs `work`; its failure is a DeviceLostError if that is what happened. */
  async #told<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof DeviceLostError) throw cause;
      if (this.#isClosed || (await this.#wasLost())) throw lost(cause);
      this.#onFailure();
      throw cause;
    }
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

function lost(cause?: unknown): DeviceLostError {
  return new DeviceLostError("the GPU device was lost or let go of", cause === undefined ? undefined : { cause });
}
