/** The images nearest to a drawing, each with its label and distance. */
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { EDGE } from "../../data/digit-file.ts";
import type { DigitSpace, Likeness } from "./digit-space.ts";
import { inkOf } from "./pad.ts";

interface LikenessesProps {
  readonly space: DigitSpace;
  readonly likenesses: readonly Likeness[];
}

export function Likenesses({ space, likenesses }: LikenessesProps): JSX.Element {
  return (
    <ol class="digit-likenesses" data-testid="nearest" aria-label="Nearest images">
      {likenesses.map(({ row, label, distance }, place) => (
        // By place: each answer paints on the canvases of the one before.
        <li key={place}>
          <Image pixels={space.image(row)} row={row} />
          <span>
            <strong>{label}</strong>{" "}
            <span class="digit-distance faint">{Math.round(distance).toLocaleString("en")}</span>
          </span>
        </li>
      ))}
    </ol>
  );
}

/** `row` says which image it is: `pixels` is another view of it at each call. */
function Image({ pixels, row }: { readonly pixels: Uint8Array; readonly row: number }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => canvas.current?.getContext("2d")?.putImageData(inkOf(pixels), 0, 0), [row]);
  return <canvas ref={canvas} class="digit-ink" width={EDGE} height={EDGE} aria-hidden="true" />;
}
