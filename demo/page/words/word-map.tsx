/** The picture of a neighbourhood as a part of the page. The list beside it says the same in words. */
import type { JSX } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import type { Neighbourhood } from "./explorer.ts";
import { MapView } from "./map-view.ts";

interface WordMapProps {
  readonly neighbourhood: Neighbourhood;
  readonly onPick: (word: string) => void;
}

export function WordMap({ neighbourhood, onPick }: WordMapProps): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const view = useRef<MapView>(null);
  const pick = useRef(onPick);
  const hint = useId();
  pick.current = onPick;
  useEffect(() => {
    if (canvas.current === null) return undefined;
    const opened = new MapView(canvas.current, (word) => pick.current(word));
    view.current = opened;
    return () => opened.dispose();
  }, []);
  const { word, neighbours, layout } = neighbourhood;
  useEffect(() => view.current?.show(layout, word), [layout, word]);
  return (
    <div class="word-map">
      <canvas
        ref={canvas}
        role="img"
        tabIndex={0}
        aria-label={`Map of “${word}” and the ${neighbours.length} words nearest to it; the list has the same words`}
        aria-describedby={hint}
      />
      <p id={hint} class="faint">
        Tap a word to go there. Drag, or use the arrow keys, to move; pinch, scroll, or press + and −, to zoom; 0 shows
        everything.
      </p>
    </div>
  );
}
