/** The last latencies of both backends, drawn as they come. The library comes when the chart is first looked at. */
import { useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import type { Engine, Kind } from "./engine.ts";

const KINDS: readonly Kind[] = ["gpu", "cpu"];
const HEIGHT = 160;

export function LatencyChart({ engine }: { engine: Engine }): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | undefined>(undefined);
  useEffect(() => {
    let isGone = false;
    const element = place.current;
    if (element === null) return undefined;
    import("./plot.ts")
      .then(({ latencyPlot }) => {
        if (isGone) return;
        chart.current = latencyPlot(element, dataOf(engine), HEIGHT);
      })
      .catch(() => {}); // offline before it was ever loaded: the figures below say the same
    const resized = new ResizeObserver(() => chart.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    return () => {
      isGone = true;
      resized.disconnect();
      chart.current?.destroy();
      chart.current = undefined;
    };
  }, [engine]);
  useSignalEffect(() => {
    void engine.answers.value;
    chart.current?.setData(dataOf(engine));
  });
  void engine.answers.value;
  return (
    <figure class="latency">
      <div ref={place} aria-hidden="true" />
      <figcaption data-testid="latencies">
        {KINDS.filter((kind) => engine.latencies(kind).count > 0).map((kind) => (
          <span key={kind} class={kind}>
            {kind.toUpperCase()}: median {figure(engine, kind, 0.5)}, p95 {figure(engine, kind, 0.95)} of{" "}
            {engine.latencies(kind).recent.length} searches{" "}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

function figure(engine: Engine, kind: Kind, share: number): string {
  return `${engine.latencies(kind).percentile(share)?.toFixed(1) ?? "–"} ms`;
}

/** Searches back from the newest, one column each; the shorter line begins later. */
function dataOf(engine: Engine): uPlot.AlignedData {
  const lines = KINDS.map((kind) => engine.latencies(kind).recent);
  const length = Math.max(...lines.map((line) => line.length));
  const places = Array.from({ length }, (_, i) => i - length + 1);
  const padded = lines.map((line) => [...Array<null>(length - line.length).fill(null), ...line]);
  return [places, ...padded];
}
