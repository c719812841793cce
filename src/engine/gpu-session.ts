/**
 * The GPU of one index over time: open, lost, recovering in the background (one attempt at a time,
 * with growing delays), open again, or given up. Asks for nothing but the proposer seam.
 */
import type { OpenProposer, Proposer, ProposerFactory, ProposerRequest } from "../core/backend.ts";
import type { Clock } from "../core/clock.ts";
import type { EventSink } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";

export interface SessionOptions {
  readonly factory: ProposerFactory;
  /** How to open again after a loss: the first request without the caller's device. */
  readonly request: ProposerRequest;
  readonly clock: Clock;
  readonly emit: EventSink;
  /**
   * Delay before each attempt to recover; after the last the session gives up. A device that is lost
   * before it answered anything was a failed attempt: the next delay follows, not the first one.
   */
  readonly recoveryDelaysMs: readonly number[];
}

type State =
  | { readonly kind: "open"; readonly open: OpenProposer; readonly since: number; readonly nextAttempt: number }
  | { readonly kind: "recovering"; readonly cancel: () => void }
  | { readonly kind: "abandoned"; readonly reason: string; readonly isLoss: boolean }
  | { readonly kind: "closed" };

export class GpuSession {
  readonly #options: SessionOptions;
  #state: State;
  #losses = 0;
  /** The last proposer, for its name and counters while there is no open one. */
  #last: Proposer;

  constructor(open: OpenProposer, options: SessionOptions) {
    this.#options = options;
    this.#last = open.proposer;
    this.#state = this.#watch(open, 0);
  }

  /** The proposer to use now, if there is one. */
  get proposer(): Proposer | undefined {
    return this.#state.kind === "open" ? this.#state.open.proposer : undefined;
  }

  /** Whether searches are on the GPU; of a closed session, whether they were. */
  get isServing(): boolean {
    return this.#state.kind === "open" || this.#state.kind === "closed";
  }

  get last(): Proposer {
    return this.#last;
  }

  get losses(): number {
    return this.#losses;
  }

  /** Why there is no proposer now, for people. */
  get absenceReason(): string {
    const state = this.#state;
    if (state.kind === "recovering") return "the GPU device was lost and another is being requested";
    if (state.kind === "abandoned") return `the GPU was given up: ${state.reason}`;
    return "";
  }

  /** Why there is no proposer now, as `report.degraded` names it. */
  get absence(): "device-lost" | "gpu-abandoned" {
    return this.#state.kind === "abandoned" && !this.#state.isLoss ? "gpu-abandoned" : "device-lost";
  }

  /** Fault injection: loses the device. Resolves when the session has noticed. */
  async lose(): Promise<void> {
    if (this.#state.kind !== "open") return;
    const { open } = this.#state;
    open.lose();
    await open.lost;
    this.#onLost(open, "destroyed");
  }

  /** Stops using the GPU for good: it keeps failing without being lost. */
  abandon(reason: string): void {
    if (this.#state.kind !== "open") return;
    this.#state.open.proposer.close();
    this.#state = { kind: "abandoned", reason, isLoss: false };
    this.#options.emit({
      code: "device-abandoned",
      level: "error",
      message: `the GPU is not used any more: ${reason}`,
    });
  }

  /** Says that the proposer answered a batch: if its device is lost, recovery starts with the first delay again. */
  confirm(proposer: Proposer): void {
    const state = this.#state;
    if (state.kind === "open" && state.open.proposer === proposer && state.nextAttempt > 0) {
      this.#state = { ...state, nextAttempt: 0 };
    }
  }

  close(): void {
    if (this.#state.kind === "open") this.#state.open.proposer.close();
    if (this.#state.kind === "recovering") this.#state.cancel();
    this.#state = { kind: "closed" };
  }

  #watch(open: OpenProposer, nextAttempt: number): State {
    void open.lost.then((reason) => this.#onLost(open, reason));
    return { kind: "open", open, since: this.#options.clock.now(), nextAttempt };
  }

  /** May be called twice for one loss (`lose`, then the device's own promise): the second finds another state. */
  #onLost(open: OpenProposer, reason: string): void {
    if (this.#state.kind !== "open" || this.#state.open !== open) return;
    const { since, nextAttempt } = this.#state;
    const hasLasted = this.#options.clock.now() - since >= LIMITS.lastingDeviceMs;
    this.#losses++;
    open.proposer.close();
    this.#options.emit({
      code: "device-lost",
      level: "warning",
      message: `the GPU device was lost (${reason}); queries finish on the CPU while another is requested`,
    });
    this.#recover(hasLasted ? 0 : nextAttempt, reason);
  }

  #recover(attempt: number, lastReason: string): void {
    const { clock, recoveryDelaysMs, emit } = this.#options;
    const delay = recoveryDelaysMs[attempt];
    if (delay === undefined) {
      this.#state = { kind: "abandoned", reason: lastReason, isLoss: true };
      emit({
        code: "device-abandoned",
        level: "error",
        message: `no GPU device after ${attempt} attempts (${lastReason}); the CPU serves this index from now on`,
      });
      return;
    }
    const cancel = clock.after(delay, () => void this.#attempt(attempt));
    this.#state = { kind: "recovering", cancel };
  }

  async #attempt(attempt: number): Promise<void> {
    const { factory, request, emit } = this.#options;
    const result = await factory(request).catch((cause: unknown) => ({ refused: String(cause), cause }));
    if (this.#state.kind !== "recovering") {
      if ("open" in result) result.open.proposer.close(); // closed meanwhile
      return;
    }
    if ("refused" in result) {
      this.#recover(attempt + 1, result.refused);
      return;
    }
    this.#last = result.open.proposer;
    this.#state = this.#watch(result.open, attempt + 1);
    emit({
      code: "device-recovered",
      level: "info",
      message: `searches are on the GPU again (${this.#last.info.name})`,
    });
  }
}
