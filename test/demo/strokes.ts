/** Digits as somebody draws them with a round pen, for tests without a canvas. */
import type { GreyImage } from "../../demo/page/digits/normalise.ts";

type Point = readonly [x: number, y: number];

/** Each digit as lines through points of a unit square, y downwards. */
export const DIGIT_STROKES: readonly (readonly (readonly Point[])[])[] = [
  [arc(0.5, 0.5, 0.22, 0.35, 0, 360)],
  [
    [
      [0.52, 0.15],
      [0.48, 0.85],
    ],
  ],
  [[...arc(0.5, 0.32, 0.2, 0.17, -170, 40), [0.28, 0.83], [0.76, 0.8]]],
  [[...arc(0.46, 0.31, 0.2, 0.16, -150, 90), ...arc(0.46, 0.66, 0.24, 0.19, -90, 150)]],
  [
    [
      [0.3, 0.15],
      [0.26, 0.5],
      [0.7, 0.48],
    ],
    [
      [0.7, 0.15],
      [0.64, 0.88],
    ],
  ],
  [[[0.72, 0.15], [0.36, 0.17], [0.33, 0.45], ...arc(0.46, 0.64, 0.23, 0.2, -110, 140)]],
  [[[0.6, 0.12], [0.38, 0.4], ...arc(0.5, 0.66, 0.18, 0.19, -180, 180)]],
  [
    [
      [0.25, 0.2],
      [0.72, 0.18],
      [0.44, 0.88],
    ],
  ],
  [
    [...arc(0.5, 0.32, 0.17, 0.17, -60, -270), ...arc(0.5, 0.67, 0.2, 0.18, -90, 270)],
    arc(0.5, 0.32, 0.17, 0.17, -60, 90),
  ],
  [
    arc(0.48, 0.34, 0.18, 0.17, 0, 360),
    [
      [0.66, 0.34],
      [0.62, 0.6],
      [0.56, 0.88],
    ],
  ],
];

/** Points of an ellipse, from one angle to the other in degrees: 0 is right, 90 is below. */
function arc(x: number, y: number, radiusX: number, radiusY: number, from: number, to: number): Point[] {
  return Array.from({ length: 25 }, (_, i) => {
    const angle = ((from + ((to - from) * i) / 24) * Math.PI) / 180;
    return [x + radiusX * Math.cos(angle), y + radiusY * Math.sin(angle)];
  });
}

/** Drawn with a line of `lineWidth` pixels on a sheet of `edge` × `edge`, grey at the rim. */
export function drawStrokes(strokes: readonly (readonly Point[])[], edge: number, lineWidth: number): GreyImage {
  const pixels = new Uint8Array(edge * edge);
  const segments = strokes.flatMap((line) => line.slice(1).map((to, i) => [line[i] ?? to, to] as const));
  for (let y = 0; y < edge; y++) {
    for (let x = 0; x < edge; x++) {
      const point: Point = [(x + 0.5) / edge, (y + 0.5) / edge];
      const away = segments.reduce((least, [from, to]) => Math.min(least, distance(point, from, to)), Infinity) * edge;
      pixels[y * edge + x] = Math.round(255 * Math.min(1, Math.max(0, lineWidth / 2 + 0.5 - away)));
    }
  }
  return { width: edge, height: edge, pixels };
}

function distance([x, y]: Point, [fromX, fromY]: Point, [toX, toY]: Point): number {
  const [alongX, alongY] = [toX - fromX, toY - fromY];
  const length = alongX * alongX + alongY * alongY;
  const share = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - fromX) * alongX + (y - fromY) * alongY) / length));
  return Math.hypot(x - fromX - share * alongX, y - fromY - share * alongY);
}
