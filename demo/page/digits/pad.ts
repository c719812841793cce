/**
 * The sheet that digits are drawn on: black ink on a clear canvas, its opacity the grey value, so that a style sheet
 * chooses the colours. Owns its listeners; `dispose` removes them.
 */
import { EDGE, PIXELS } from "../../data/digit-file.ts";
import type { GreyImage } from "./normalise.ts";

/** Pixels along an edge, whatever the size on the screen: sharp on dense screens, and read in a millisecond or two. */
const SHEET_EDGE = 560;
/** MNIST's digits are 20 pixels high with lines of 2 to 3; one that fills the sheet well is 400 high. */
const LINE_WIDTH = 46;

export class Pad {
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #abort = new AbortController();
  /** Of the finger, pen or mouse that draws: others are ignored meanwhile. */
  #pointer: number | undefined;
  #last: readonly [x: number, y: number] = [0, 0];

  /** `onStroke`: there is new ink. */
  constructor(canvas: HTMLCanvasElement, onStroke: () => void) {
    canvas.width = SHEET_EDGE;
    canvas.height = SHEET_EDGE;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (context === null) throw new Error("this browser has no 2-D canvas");
    context.lineWidth = LINE_WIDTH;
    context.lineCap = "round";
    context.lineJoin = "round";
    this.#canvas = canvas;
    this.#context = context;
    this.#listen(onStroke);
  }

  clear(): void {
    this.#context.clearRect(0, 0, SHEET_EDGE, SHEET_EDGE);
  }

  /** An image of the set in place of what was drawn: [PIXELS] grey values. */
  show(image: Uint8Array): void {
    this.clear();
    const small = document.createElement("canvas");
    small.width = EDGE;
    small.height = EDGE;
    small.getContext("2d")?.putImageData(inkOf(image), 0, 0);
    this.#context.drawImage(small, 0, 0, SHEET_EDGE, SHEET_EDGE);
  }

  read(): GreyImage {
    const { data } = this.#context.getImageData(0, 0, SHEET_EDGE, SHEET_EDGE);
    const pixels = new Uint8Array(SHEET_EDGE * SHEET_EDGE);
    for (let i = 0; i < pixels.length; i++) pixels[i] = data[4 * i + 3] ?? 0;
    return { width: SHEET_EDGE, height: SHEET_EDGE, pixels };
  }

  dispose(): void {
    this.#abort.abort();
  }

  #listen(onStroke: () => void): void {
    const { signal } = this.#abort;
    const canvas = this.#canvas;
    canvas.addEventListener(
      "pointerdown",
      (event) => {
        if (this.#pointer !== undefined || event.button !== 0) return;
        this.#pointer = event.pointerId;
        canvas.setPointerCapture(event.pointerId);
        this.#last = this.#at(event);
        this.#lineTo(this.#last); // a dot
        onStroke();
      },
      { signal },
    );
    canvas.addEventListener(
      "pointermove",
      (event) => {
        if (event.pointerId !== this.#pointer) return;
        // Browsers send one event a frame, with the points between in it.
        const events = event.getCoalescedEvents();
        for (const one of events.length === 0 ? [event] : events) this.#lineTo(this.#at(one));
        onStroke();
      },
      { signal },
    );
    const lift = ({ pointerId }: PointerEvent): void => {
      if (pointerId === this.#pointer) this.#pointer = undefined;
    };
    canvas.addEventListener("pointerup", lift, { signal });
    canvas.addEventListener("pointercancel", lift, { signal });
  }

  #at({ clientX, clientY }: PointerEvent): readonly [x: number, y: number] {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    return [((clientX - left) / width) * SHEET_EDGE, ((clientY - top) / height) * SHEET_EDGE];
  }

  #lineTo(to: readonly [x: number, y: number]): void {
    this.#context.beginPath();
    this.#context.moveTo(...this.#last);
    this.#context.lineTo(...to);
    this.#context.stroke();
    this.#last = to;
  }
}

/** Grey values [PIXELS] as black ink. */
export function inkOf(image: Uint8Array): ImageData {
  const ink = new ImageData(EDGE, EDGE);
  for (let i = 0; i < PIXELS; i++) ink.data[4 * i + 3] = image[i] ?? 0;
  return ink;
}
