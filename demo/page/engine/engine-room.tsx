/** The panel below each page: in a line what answers and how fast; opened, all about it (inside.tsx, loaded then). */
import { type Signal, signal, useSignal } from "@preact/signals";
import type { ComponentType, JSX } from "preact";
import { type Engine, shownEngine } from "./engine.ts";
import "./engine-room.css";

type Contents =
  | { readonly kind: "absent" }
  | { readonly kind: "loaded"; readonly Inside: ComponentType<{ readonly engine: Engine }> }
  | { readonly kind: "failed"; readonly reason: string };

const contents: Signal<Contents> = signal<Contents>({ kind: "absent" });

/** What failed is tried again when the panel is opened again. */
async function load(): Promise<void> {
  if (contents.value.kind === "loaded") return;
  contents.value = await import("./inside.tsx").then(
    ({ Inside }): Contents => ({ kind: "loaded", Inside }),
    (error: unknown): Contents => ({ kind: "failed", reason: String(error) }),
  );
}

export function EngineRoom(): JSX.Element {
  const isOpen = useSignal(false);
  const engine = shownEngine.value;
  return (
    <aside class="engine-room" aria-label="Engine room">
      <details
        onToggle={({ currentTarget }) => {
          isOpen.value = currentTarget.open;
          if (isOpen.value) void load();
        }}
      >
        <summary>
          <b>Engine room</b>{" "}
          {engine === undefined ? <span class="faint">nothing is open yet</span> : <Headline engine={engine} />}
        </summary>
        {isOpen.value && engine !== undefined ? <Shown engine={engine} /> : null}
      </details>
    </aside>
  );
}

function Shown({ engine }: { engine: Engine }): JSX.Element | null {
  const state = contents.value;
  switch (state.kind) {
    case "absent":
      return null;
    case "loaded":
      return <state.Inside engine={engine} />;
    case "failed":
      return <p class="notice" role="alert">{`The engine room could not be loaded (${state.reason}).`}</p>;
    default:
      return state satisfies never;
  }
}

function Headline({ engine }: { engine: Engine }): JSX.Element {
  const kind = engine.active.value;
  const report = engine.lastReport.value;
  void engine.answers.value;
  const p50 = engine.latencies(kind).percentile(0.5);
  return (
    <span class="faint" data-testid="headline">
      {kind.toUpperCase()}
      {report === undefined || p50 === undefined
        ? ""
        : ` · ${report.total.toLocaleString("en")} rows in ${p50.toFixed(1)} ms · ${report.exact ? "exact" : "not exact"}`}
    </span>
  );
}
