/** What the dictionary is doing before it answers, and what a person should know about it. */
import type { ReadonlySignal } from "@preact/signals";
import type { JSX } from "preact";
import type { State } from "./session.ts";

interface Props {
  readonly state: ReadonlySignal<State>;
  readonly notices: ReadonlySignal<readonly string[]>;
  readonly onRetry: () => void;
}

export function StageNote({ state, notices, onRetry }: Props): JSX.Element {
  return (
    <>
      {notices.value.map((text, i) => (
        <p key={i} class="notice" role="status">
          {text}
        </p>
      ))}
      <Stage state={state.value} onRetry={onRetry} />
    </>
  );
}

function Stage({ state, onRetry }: { state: State; onRetry: () => void }): JSX.Element | null {
  switch (state.kind) {
    case "ready":
      return null;
    case "opening":
      return (
        <p class="faint" role="status">
          Opening the dictionary …
        </p>
      );
    case "waiting":
      return (
        <p class="faint" role="status">
          Another tab is making the dictionary; this one goes on when it is ready.
        </p>
      );
    case "building":
      return (
        <div class="progress">
          <label for="building">
            First visit: embedding {state.total.toLocaleString("en")} definitions in your browser. They are kept for
            next time.
          </label>
          <progress id="building" max={state.total} value={state.done} />
          <span class="faint">
            {state.done.toLocaleString("en")} of {state.total.toLocaleString("en")}
          </span>
        </div>
      );
    case "failed":
      return (
        <div class="notice" role="alert">
          <p>The dictionary could not be opened: {state.reason}</p>
          <button type="button" onClick={onRetry}>
            Try again
          </button>
        </div>
      );
    default:
      return state satisfies never;
  }
}
