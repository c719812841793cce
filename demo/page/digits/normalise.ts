/**
 * A drawing the way MNIST's digits were prepared (yann.lecun.com/exdb/mnist): its bounding box scaled into 20 × 20 pixels
 * with its proportions kept, grey by how much of a pixel is ink, and placed in 28 × 28 so that the centre of mass is in
 * the middle. Pure.
 */
import { EDGE, PIXELS } from "../../data/digit-file.ts";

/** Grey values 0 (paper) … 255 (ink), row by row. */
export interface GreyImage {
  readonly width: number;
  readonly height: number;
  /** [height × width]. */
  readonly pixels: ArrayLike<number>;
}

/** The longer side of a digit within the image. */
const DIGIT_EDGE = 20;

/** [PIXELS] grey values 0 … 255; undefined where nothing is drawn. */
export function normalise(image: GreyImage): Float32Array | undefined {
  const box = inkBox(image);
  if (box === undefined) return undefined;
  const scale = DIGIT_EDGE / Math.max(box.width, box.height);
  const width = Math.max(1, Math.round(box.width * scale));
  const height = Math.max(1, Math.round(box.height * scale));
  const digit = shrink(image, box, width, height);
  const [x, y] = centreOfMass(digit, width, height);
  // By whole pixels, so that nothing is blurred again: the one that holds the centre becomes the 15th, as in MNIST. No ink
  // is lost over the edge.
  const place = (centre: number, size: number): number =>
    Math.min(EDGE - size, Math.max(0, EDGE / 2 - Math.floor(centre)));
  const [left, top] = [place(x, width), place(y, height)];
  const placed = new Float32Array(PIXELS);
  for (let line = 0; line < height; line++) {
    placed.set(digit.subarray(line * width, (line + 1) * width), (top + line) * EDGE + left);
  }
  return placed;
}

interface InkBox {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

function inkBox({ width, height, pixels }: GreyImage): InkBox | undefined {
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if ((pixels[y * width + x] ?? 0) === 0) continue;
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < top) top = y;
      bottom = y;
    }
  }
  return bottom < 0 ? undefined : { left, top, width: right - left + 1, height: bottom - top + 1 };
}

/** The box as `width` × `height` pixels, each the mean grey of the area it covers; first along lines, then across. */
function shrink(image: GreyImage, box: InkBox, width: number, height: number): Float32Array {
  const narrow = new Float32Array(width * box.height);
  const columns = Array.from({ length: width }, (_, x) => cover(x, width, box.width));
  for (let y = 0; y < box.height; y++) {
    const line = (box.top + y) * image.width + box.left;
    for (const [x, parts] of columns.entries()) {
      narrow[y * width + x] = parts.reduce((sum, { at, share }) => sum + share * (image.pixels[line + at] ?? 0), 0);
    }
  }
  const digit = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    for (const { at, share } of cover(y, height, box.height)) {
      for (let x = 0; x < width; x++) {
        digit[y * width + x] = (digit[y * width + x] ?? 0) + share * (narrow[at * width + x] ?? 0);
      }
    }
  }
  return digit;
}

/** Of `from` pixels side by side those that pixel `at` of `to` covers, with their shares of it, which add up to 1. */
function cover(at: number, to: number, from: number): { readonly at: number; readonly share: number }[] {
  const [start, end] = [(at * from) / to, ((at + 1) * from) / to];
  const first = Math.floor(start);
  const last = Math.min(from, Math.ceil(end));
  return Array.from({ length: last - first }, (_, i) => ({
    at: first + i,
    share: (Math.min(end, first + i + 1) - Math.max(start, first + i)) / (end - start),
  }));
}

/** From the image's upper left corner; the middle of the first pixel is at 0.5. */
function centreOfMass(pixels: Float32Array, width: number, height: number): readonly [x: number, y: number] {
  let [mass, alongX, alongY] = [0, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const grey = pixels[y * width + x] ?? 0;
      mass += grey;
      alongX += grey * (x + 0.5);
      alongY += grey * (y + 0.5);
    }
  }
  return [alongX / mass, alongY / mass];
}
