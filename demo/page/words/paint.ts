/** One picture of a layout on a canvas. Draws what it is given, in CSS pixels; keeps nothing but how wide words are. */
import type { ZoomTransform } from "d3-zoom";
import { type Box, type Dot, type Layout, placeLabels } from "./layout.ts";

export interface Colours {
  readonly raised: string;
  readonly ink: string;
  readonly faint: string;
  readonly accent: string;
  readonly onAccent: string;
}

export interface View {
  readonly width: number;
  readonly height: number;
  /** Device pixels a CSS pixel. */
  readonly ratio: number;
  readonly transform: ZoomTransform;
}

/** A dot on the screen. */
export interface Mark {
  readonly dot: Dot;
  readonly x: number;
  readonly y: number;
  /** Undefined where its label found no place. */
  readonly label: Box | undefined;
}

const FONT = "14px system-ui, sans-serif";
const CENTRE_FONT = "bold 15px system-ui, sans-serif";
const LABEL_HEIGHT = 18;
/** Left free around the dots, so that labels of the outermost ones fit. */
const MARGIN = 36;
const RADIUS = 3;
const RIM = 3;
/** So far from a dot a finger or the mouse still means it. */
const REACH = 18;

/** Where everything stands; `centre` is the word whose neighbourhood this is. */
export function arrange(context: CanvasRenderingContext2D, layout: Layout, view: View, centre: string): Mark[] {
  const { width, height, transform } = view;
  const scale = Math.min(
    Math.max(1, width / 2 - MARGIN) / layout.halfWidth,
    Math.max(1, height / 2 - MARGIN) / layout.halfHeight,
  );
  const points = layout.dots.map((dot) => {
    const [x, y] = transform.apply([width / 2 + dot.x * scale, height / 2 + dot.y * scale]);
    context.font = dot.word === centre ? CENTRE_FONT : FONT;
    return { dot, x, y, labelWidth: context.measureText(dot.word).width };
  });
  const labels = placeLabels(points, LABEL_HEIGHT, view);
  return points.map(({ dot, x, y }, i) => ({ dot, x, y, label: labels[i] }));
}

/** The nearest word under a point: its label, or its dot within reach. */
export function markAt(marks: readonly Mark[], x: number, y: number): Mark | undefined {
  const labelled = marks.find(({ label }) => label !== undefined && isIn(label, x, y));
  if (labelled !== undefined) return labelled;
  const away = (mark: Mark): number => Math.hypot(mark.x - x, mark.y - y);
  const nearest = marks.reduce<Mark | undefined>(
    (best, mark) => (best === undefined || away(mark) < away(best) ? mark : best),
    undefined,
  );
  return nearest !== undefined && away(nearest) <= REACH ? nearest : undefined;
}

export function paint(
  context: CanvasRenderingContext2D,
  marks: readonly Mark[],
  view: View,
  centre: string,
  pointed: string | undefined,
  colours: Colours,
): void {
  context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
  context.clearRect(0, 0, view.width, view.height);
  context.textBaseline = "middle";
  for (const { dot, x, y } of marks) {
    const isCentre = dot.word === centre;
    context.globalAlpha = dot.opacity;
    context.fillStyle = isCentre ? colours.accent : colours.faint;
    disc(context, x, y, isCentre ? RADIUS * 2 : RADIUS);
  }
  // Labels may lie over dots of other words: a rim in the colour of the ground keeps them readable.
  context.strokeStyle = colours.raised;
  context.lineWidth = RIM;
  context.lineJoin = "round";
  for (const { dot, label } of marks) {
    if (label === undefined || dot.word === pointed) continue;
    const isCentre = dot.word === centre;
    const middle = label.top + label.height / 2;
    context.globalAlpha = dot.opacity;
    context.font = isCentre ? CENTRE_FONT : FONT;
    context.strokeText(dot.word, label.left, middle);
    context.fillStyle = isCentre ? colours.accent : colours.ink;
    context.fillText(dot.word, label.left, middle);
  }
  context.globalAlpha = 1;
  const mark = marks.find(({ dot }) => dot.word === pointed);
  if (mark !== undefined) paintPointed(context, mark, view, colours);
}

/** The word that the mouse points at, with its distance, over all others. */
function paintPointed(context: CanvasRenderingContext2D, mark: Mark, view: View, colours: Colours): void {
  const text = `${mark.dot.word}  ${mark.dot.distance.toFixed(3)}`;
  context.font = CENTRE_FONT;
  const width = context.measureText(text).width + 16;
  const height = LABEL_HEIGHT + 10;
  const left = Math.max(0, Math.min(view.width - width, mark.x - width / 2));
  const top = mark.y - height - 10 < 0 ? mark.y + 10 : mark.y - height - 10;
  context.fillStyle = colours.accent;
  disc(context, mark.x, mark.y, RADIUS * 2);
  context.beginPath();
  context.roundRect(left, top, width, height, 6);
  context.fill();
  context.fillStyle = colours.onAccent;
  context.fillText(text, left + 8, top + height / 2);
}

function disc(context: CanvasRenderingContext2D, x: number, y: number, radius: number): void {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function isIn({ left, top, width, height }: Box, x: number, y: number): boolean {
  return x >= left && x <= left + width && y >= top && y <= top + height;
}
