/** The engine room opened: what answers and why, how fast, whether both backends agree, and what can be broken. */
import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import type { Engine, SideState, Trial } from "./engine.ts";
import { LatencyChart } from "./latency-chart.tsx";
import { type Smoothness, smoothness } from "./smoothness.ts";

/** How often figures that change by themselves are read again. */
const REFRESH_MS = 1000;

export function Inside({ engine }: { engine: Engine }): JSX.Element {
  const state = useSignal<SideState | undefined>(undefined);
  const smooth = useSignal<Smoothness>(smoothness.read());
  const perSecond = useSignal(0);
  const trouble = useSignal("");
  const isOpening = useSignal(false);
  const active = useComputed(() => engine.side);
  useEffect(() => {
    const refresh = (): void => {
      smooth.value = smoothness.read();
      perSecond.value = engine.latencies(engine.active.value).perSecond(performance.now());
      void engine.side.state().then((now) => (state.value = now));
    };
    const timer = setInterval(refresh, REFRESH_MS);
    refresh();
    return () => clearInterval(timer);
  }, [engine]);
  useSignalEffect(() => {
    void active.value.state().then((now) => (state.value = now));
  });
  const openOther = async (): Promise<void> => {
    isOpening.value = true;
    trouble.value = "Opening the other backend …";
    try {
      await engine.openOther();
      trouble.value = "";
    } catch (error) {
      trouble.value = messageOf(error);
    }
    isOpening.value = false;
  };
  const hasBoth = engine.sides.value.size > 1;
  return (
    <div class="inside">
      <div class="choose" role="group" aria-label="Backend that answers">
        {[...engine.sides.value.keys()].map((kind) => (
          <button
            key={kind}
            type="button"
            aria-pressed={engine.active.value === kind}
            onClick={() => engine.switchTo(kind)}
          >
            {kind.toUpperCase()}
          </button>
        ))}
        {hasBoth ? (
          <Agreement agree={engine.sidesAgree.value} failure={engine.comparisonFailure.value} />
        ) : (
          <button type="button" class="quiet" disabled={isOpening.value} onClick={() => void openOther()}>
            Open the {engine.active.value === "gpu" ? "CPU" : "GPU"} beside it
          </button>
        )}
        <span role="status">{trouble.value}</span>
      </div>
      <Figures engine={engine} state={state.value} perSecond={perSecond.value} smooth={smooth.value} />
      <LatencyChart engine={engine} />
      <Breaking engine={engine} />
      <Events engine={engine} />
    </div>
  );
}

function Agreement(props: { readonly agree: boolean | undefined; readonly failure: string | undefined }): JSX.Element {
  const { agree, failure } = props;
  if (failure !== undefined) return <span class="bad">{`the side compared with failed: ${failure}`}</span>;
  if (agree === undefined) return <span class="faint">search to compare both</span>;
  return (
    <span data-testid="agreement" class={agree ? "good" : "bad"}>
      {agree ? "identical ids on both" : "different ids"}
    </span>
  );
}

interface FiguresProps {
  readonly engine: Engine;
  readonly state: SideState | undefined;
  readonly perSecond: number;
  readonly smooth: Smoothness;
}

function Figures({ engine, state, perSecond, smooth }: FiguresProps): JSX.Element {
  const report = engine.lastReport.value;
  const rows: readonly (readonly [string, string])[] = [
    ["backend", state === undefined ? "…" : `${state.backend.kind.toUpperCase()}: ${state.backend.name}`],
    ["why", state?.backend.reason ?? "…"],
    ["rows", state?.index.rows.toLocaleString("en") ?? "…"],
    ["bytes of rows", state === undefined ? "…" : megabytes(state.index.cpu.storeBytes)],
    ["bytes on the device", state === undefined ? "…" : megabytes(state.index.gpu?.residentBytes ?? 0)],
    ["queries in the last second", String(perSecond)],
    ["last answer", report === undefined ? "none yet" : scanOf(report)],
    ["event-loop delay p99", smooth.delayP99Ms === undefined ? "…" : `${smooth.delayP99Ms.toFixed(1)} ms`],
    ["tasks over 50 ms", smooth.longTasks === undefined ? "this browser does not tell" : longTasks(smooth)],
  ];
  return (
    <>
      <dl class="figures">
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <button type="button" class="quiet" onClick={() => smoothness.reset()}>
        Count delays from now
      </button>
    </>
  );
}

function Breaking({ engine }: { engine: Engine }): JSX.Element {
  const trial = useSignal<Trial | string | undefined>(undefined);
  const isTrying = useSignal(false);
  const attempt = async (what: Trial["what"]): Promise<void> => {
    isTrying.value = true;
    trial.value = "Searching and breaking …";
    trial.value = await engine.tryBreaking(what).catch(messageOf);
    isTrying.value = false;
  };
  const hasGpu = engine.sides.value.has("gpu");
  return (
    <div class="breaking">
      <button type="button" disabled={!hasGpu || isTrying.value} onClick={() => void attempt("device")}>
        Destroy the GPU device while searching
      </button>
      <button type="button" disabled={isTrying.value} onClick={() => void attempt("worker")}>
        Crash a worker while searching
      </button>
      {hasGpu ? null : <span class="faint">no GPU is open: open it above, where there is one</span>}
      <p role="status" data-testid="trial">
        {typeof trial.value === "object" ? trialText(trial.value) : trial.value}
      </p>
    </div>
  );
}

function Events({ engine }: { engine: Engine }): JSX.Element | null {
  const events = engine.events.value;
  if (events.length === 0) return null;
  return (
    <ol class="events" aria-label="Events of the engine, the newest first" tabIndex={0}>
      {[...events].reverse().map(({ code, level, message }, i) => (
        <li key={events.length - i} class={level}>
          <code>{code}</code> {message}
        </li>
      ))}
    </ol>
  );
}

function trialText({ what, asked, underWay, answered, same, degraded }: Trial): string {
  const how = degraded.length === 0 ? "" : ` (reported: ${degraded.join(", ")})`;
  return `${what === "device" ? "Device destroyed" : "Worker crashed"}: ${answered} of ${asked} searches were answered, ${underWay} of them after it broke, ${same} with the ids they had before${how}.`;
}

function scanOf({ scan, exact, degraded, computeMs }: NonNullable<Engine["lastReport"]["value"]>): string {
  const how =
    scan.method === "full"
      ? "full scan"
      : `${scan.method}, ${scan.prefixDimensions} dimensions, ${scan.survivors.toLocaleString("en")} survivors, ${scan.rescans} rescans`;
  const amiss = degraded.length === 0 ? "" : `; ${degraded.join(", ")}`;
  return `${exact ? "exact" : "not exact"}; ${how}; ${computeMs.toFixed(1)} ms of compute${amiss}`;
}

function longTasks({ longTasks: count, longestTaskMs }: Smoothness): string {
  return count === 0 ? "none" : `${count}, the longest ${Math.round(longestTaskMs)} ms`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toLocaleString("en", { maximumFractionDigits: 1 })} MB`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
