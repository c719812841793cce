/** What a page needs before it can answer: loaded once per visit, with progress, and again where that failed. */
import { type Signal, signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";

type State<T> =
  | { readonly kind: "closed" }
  | { readonly kind: "loading"; readonly receivedBytes: number }
  | { readonly kind: "ready"; readonly value: T }
  | { readonly kind: "failed"; readonly reason: string };

export class Opening<T> {
  readonly state: Signal<State<T>> = signal({ kind: "closed" });
  readonly #load: (onProgress: (bytes: number) => void) => Promise<T>;

  constructor(load: (onProgress: (bytes: number) => void) => Promise<T>) {
    this.#load = load;
  }

  /** Does nothing while it loads and once it is loaded. Never rejects: `state` says what came of it. */
  async start(): Promise<void> {
    const { kind } = this.state.value;
    if (kind === "loading" || kind === "ready") return;
    this.state.value = { kind: "loading", receivedBytes: 0 };
    try {
      const value = await this.#load((receivedBytes) => (this.state.value = { kind: "loading", receivedBytes }));
      this.state.value = { kind: "ready", value };
    } catch (error) {
      this.state.value = { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
    }
  }
}

interface OpenedProps<T> {
  readonly opening: Opening<T>;
  /** What is loaded, as in "Loading the words". */
  readonly what: string;
  readonly children: (value: T) => JSX.Element;
}

/** Starts the opening and shows what came of it. */
export function Opened<T>({ opening, what, children }: OpenedProps<T>): JSX.Element {
  useEffect(() => void opening.start(), [opening]);
  const state = opening.state.value;
  switch (state.kind) {
    case "closed":
    case "loading":
      return (
        <p
          class="faint"
          role="status"
        >{`Loading ${what} … ${progress(state.kind === "loading" ? state.receivedBytes : 0)}`}</p>
      );
    case "failed":
      return (
        <div class="notice" role="alert">
          <p>{`Loading ${what} failed: ${state.reason}`}</p>
          <button type="button" onClick={() => void opening.start()}>
            Try again
          </button>
        </div>
      );
    case "ready":
      return children(state.value);
    default:
      return state satisfies never;
  }
}

/** In whole megabytes, so that a screen reader is told about ten steps and not of every packet. */
function progress(bytes: number): string {
  return bytes === 0 ? "" : `${Math.round(bytes / 1e6)} MB`;
}
