/**
 * The GPU of one index over time: open, lost, recovering in the background (one attempt at a time,
 * with growing delays), open again, or given up. Asks for nothing but the proposer seam.
 */
import type { OpenProposer, Proposer, ProposerFactory, ProposerRequest } from "../core/backend.ts";
import type { Clock } from "../core/clock.ts";
import type { EventSink } from "../core/events.ts";

export interface SessionOptions {
  readonly factory: ProposerFactory;
  /** How to open again after a loss: the first request without the caller's device. */
  readonly request: ProposerRequest;
  readonly clock: Clock;
  readonly emit: EventSink;
  /** Delay before each attempt to recover; after the last the session gives up. */
  readonly recoveryDelaysMs: readonly number[];
}

type State =
  | { readonly kind: "open"; readonly open: OpenProposer }
  | { readonly kind: "recovering"; readonly cancel: () => void }
  | { readonly kind: "abandoned"; readonly reason: string }
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
    this.#state = this.#watch(open);
  }

  /** The proposer to use now, if there is one. */
  get proposer(): Proposer | undefined {
    return this.#state.kind === "open" ? this.#state.open.proposer : undefined;
  }

  get last(): Proposer {
    return this.#last;
  }

  get losses(): number {
    return this.#losses;
  }

  /** Why the GPU was given up, once it was. */
  get abandonedReason(): string | undefined {
    return this.#state.kind === "abandoned" ? this.#state.reason : undefined;
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
    this.#state = { kind: "abandoned", reason };
    this.#options.emit({
      code: "device-abandoned",
      level: "error",
      message: `the GPU is not used any more: ${reason}`,
    });
  }

  close(): void {
    if (this.#state.kind === "open") this.#state.open.proposer.close();
    if (this.#state.kind === "recovering") this.#state.cancel();
    this.#state = { kind: "closed" };
  }

  #watch(open: OpenProposer): State {
    void open.lost.then((reason) => this.#onLost(open, reason));
    return { kind: "open", open };
  }

  /** May be called twice for one loss (`lose`, then the device's own promise): the second finds another state. */
  #onLost(open: OpenProposer, reason: string): void {
    if (this.#state.kind !== "open" || this.#state.open !== open) return;
    this.#losses++;
    open.proposer.close();
    this.#options.emit({
      code: "device-lost",
      level: "warning",
      message: `the GPU device was lost (${reason}); queries finish on the CPU while another is requested`,
    });
    this.#recover(0, reason);
  }

  #recover(attempt: number, lastReason: string): void {
    const { clock, recoveryDelaysMs, emit } = this.#options;
    const delay = recoveryDelaysMs[attempt];
    if (delay === undefined) {
      this.#state = { kind: "abandoned", reason: lastReason };
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
    this.#state = this.#watch(result.open);
    emit({
      code: "device-recovered",
      level: "info",
      message: `searches are on the GPU again (${this.#last.info.name})`,
    });
  }
}
