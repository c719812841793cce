/** Where the words of a neighbourhood stand in the picture, on the way from one to the next, and which get a label. Pure. */
import { principalPlane } from "./pca.ts";
import type { Neighbour } from "./word-space.ts";

export interface Dot {
  readonly word: string;
  readonly distance: number;
  /** In the plane of the neighbourhood, about 0. */
  readonly x: number;
  readonly y: number;
  /** 1, or less while it comes or goes. */
  readonly opacity: number;
}

export interface Layout {
  /** Nearest first: the word itself is the first. */
  readonly dots: readonly Dot[];
  /** All dots lie within ± these; never 0. */
  readonly halfWidth: number;
  readonly halfHeight: number;
}

/** Words on their principal plane; lengths of the vectors do not matter, as in cosine distance. */
export function layOut(neighbours: readonly Neighbour[], vectorOf: (neighbour: Neighbour) => Float32Array): Layout {
  const vectors = neighbours.map((neighbour) => {
    const vector = vectorOf(neighbour);
    const length = Math.hypot(...vector) || 1;
    return vector.map((x) => x / length);
  });
  const dimensions = vectors[0]?.length ?? 1;
  const rows = new Float32Array(vectors.length * dimensions);
  for (const [row, vector] of vectors.entries()) rows.set(vector, row * dimensions);
  const { coordinates } = principalPlane(rows, dimensions);
  const along = (axis: number): number[] => neighbours.map((_, row) => coordinates[2 * row + axis] ?? 0);
  const [xs, ys] = [middled(along(0)), middled(along(1))];
  return {
    dots: neighbours.map(({ word, distance }, i) => ({
      word,
      distance,
      x: xs.values[i] ?? 0,
      y: ys.values[i] ?? 0,
      opacity: 1,
    })),
    halfWidth: xs.half,
    halfHeight: ys.half,
  };
}

/** Shifted so that the smallest and the largest are equally far from 0. */
function middled(values: readonly number[]): { values: readonly number[]; half: number } {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return { values: values.map((value) => value - (low + high) / 2), half: (high - low) / 2 || 1 };
}

/** On the way, `share` (0 … 1) of it done: words of both move, the others come or go. */
export function between(from: Layout, to: Layout, share: number): Layout {
  if (share >= 1) return to;
  const mix = (a: number, b: number): number => a + (b - a) * share;
  const before = new Map(from.dots.map((dot) => [dot.word, dot]));
  const staying = to.dots.map((dot) => {
    const old = before.get(dot.word);
    if (old === undefined) return { ...dot, opacity: share };
    return { ...dot, x: mix(old.x, dot.x), y: mix(old.y, dot.y), opacity: mix(old.opacity, 1) };
  });
  const kept = new Set(to.dots.map(({ word }) => word));
  const leaving = from.dots
    .filter(({ word }) => !kept.has(word))
    .map((dot) => ({ ...dot, opacity: mix(dot.opacity, 0) }));
  return {
    dots: [...staying, ...leaving],
    halfWidth: mix(from.halfWidth, to.halfWidth),
    halfHeight: mix(from.halfHeight, to.halfHeight),
  };
}

/** A rectangle on the screen, in CSS pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** From a dot to its label, so that the two do not touch. */
const GAP = 8;

/**
 * A place for each label that fits, in the order given: right of its dot, else left, below or above; undefined where it
 * would lie over one placed before, or leave the area.
 */
export function placeLabels(
  dots: readonly { readonly x: number; readonly y: number; readonly labelWidth: number }[],
  labelHeight: number,
  area: { readonly width: number; readonly height: number },
): (Box | undefined)[] {
  const placed: Box[] = [];
  return dots.map(({ x, y, labelWidth: width }) => {
    const height = labelHeight;
    const box = [
      { left: x + GAP, top: y - height / 2, width, height },
      { left: x - GAP - width, top: y - height / 2, width, height },
      { left: x - width / 2, top: y + GAP, width, height },
      { left: x - width / 2, top: y - GAP - height, width, height },
    ].find((candidate) => isInside(candidate, area) && !placed.some((other) => overlap(candidate, other)));
    if (box !== undefined) placed.push(box);
    return box;
  });
}

function isInside(
  { left, top, width, height }: Box,
  area: { readonly width: number; readonly height: number },
): boolean {
  return left >= 0 && top >= 0 && left + width <= area.width && top + height <= area.height;
}

function overlap(a: Box, b: Box): boolean {
  return a.left < b.left + b.width && b.left < a.left + a.width && a.top < b.top + b.height && b.top < a.top + a.height;
}
