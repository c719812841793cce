/**
 * The picture of a neighbourhood on its canvas: panned and zoomed, followed by the mouse, redrawn when its size or the
 * colour scheme changes, moving from one word to the next. Owns its listeners; `dispose` removes them.
 */
import { select, type Selection } from "d3-selection";
import { type D3ZoomEvent, zoom, type ZoomBehavior, zoomIdentity, type ZoomTransform, zoomTransform } from "d3-zoom";
import { between, type Layout } from "./layout.ts";
import { arrange, type Colours, type Mark, markAt, paint, type View } from "./paint.ts";

/** From one word to the next, in ms: long enough to follow a word with the eyes, short enough to type on. */
const JOURNEY_MS = 500;
/** CSS pixels that an arrow key moves. */
const KEY_PAN = 40;
const KEY_ZOOM = 1.3;
const NOTHING: Layout = { dots: [], halfWidth: 1, halfHeight: 1 };

/** On the way from what was shown to what will be. */
interface Journey {
  readonly from: Layout;
  /** Undefined once somebody pans or zooms meanwhile. */
  transform: ZoomTransform | undefined;
  readonly startMs: number;
}

export class MapView {
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #selection: Selection<HTMLCanvasElement, unknown, null, undefined>;
  readonly #zoom: ZoomBehavior<HTMLCanvasElement, unknown>;
  readonly #sizes: ResizeObserver;
  readonly #abort = new AbortController();
  #target: Layout = NOTHING;
  #shown: Layout = NOTHING;
  #centre = "";
  #pointed: string | undefined;
  #marks: readonly Mark[] = [];
  #journey: Journey | undefined;
  #frame = 0;
  #colours: Colours;

  /** `onPick`: the word that was clicked or tapped. */
  constructor(canvas: HTMLCanvasElement, onPick: (word: string) => void) {
    const context = canvas.getContext("2d");
    if (context === null) throw new Error("this browser has no 2-D canvas");
    this.#canvas = canvas;
    this.#context = context;
    this.#colours = coloursOf(canvas);
    this.#selection = select(canvas);
    this.#zoom = zoom<HTMLCanvasElement, unknown>()
      // At 1 all is in view, and the wheel scrolls the page on.
      .scaleExtent([1, 12])
      // … and so does one finger.
      .filter(
        (event: MouseEvent | TouchEvent) => isGesture(event) && (zoomTransform(canvas).k > 1 || !isOneFinger(event)),
      )
      .on("start", (event: D3ZoomEvent<HTMLCanvasElement, unknown>) => {
        if (event.sourceEvent !== null && this.#journey !== undefined) this.#journey.transform = undefined;
      })
      .on("zoom", ({ transform }: D3ZoomEvent<HTMLCanvasElement, unknown>) => {
        canvas.style.touchAction = transform.k > 1 ? "none" : "pan-y";
        this.#redraw();
      });
    // A double click goes to a word twice; it is no zoom.
    this.#selection.call(this.#zoom).on("dblclick.zoom", null);
    this.#sizes = new ResizeObserver(() => this.#resize());
    this.#sizes.observe(canvas);
    this.#listen(onPick);
  }

  /** Goes to a neighbourhood, all of it in view. */
  show(layout: Layout, centre: string): void {
    const isStill = this.#shown.dots.length === 0 || matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#journey = isStill
      ? undefined
      : { from: this.#shown, transform: zoomTransform(this.#canvas), startMs: performance.now() };
    this.#target = layout;
    this.#centre = centre;
    this.#pointed = undefined;
    if (isStill) {
      this.#shown = layout;
      this.#zoom.transform(this.#selection, zoomIdentity);
    }
    this.#redraw();
  }

  dispose(): void {
    cancelAnimationFrame(this.#frame);
    this.#abort.abort();
    this.#sizes.disconnect();
    this.#selection.on(".zoom", null);
  }

  #listen(onPick: (word: string) => void): void {
    const { signal } = this.#abort;
    const canvas = this.#canvas;
    const under = ({ offsetX, offsetY }: MouseEvent): string | undefined =>
      markAt(this.#marks, offsetX, offsetY)?.dot.word;
    canvas.addEventListener("pointermove", (event) => this.#point(under(event)), { signal });
    canvas.addEventListener("pointerleave", () => this.#point(undefined), { signal });
    canvas.addEventListener(
      "click",
      (event) => {
        const word = under(event);
        if (word !== undefined) onPick(word);
      },
      { signal },
    );
    canvas.addEventListener("keydown", (event) => this.#press(event), { signal });
    matchMedia("(prefers-color-scheme: dark)").addEventListener(
      "change",
      () => {
        this.#colours = coloursOf(canvas);
        this.#redraw();
      },
      { signal },
    );
  }

  #point(word: string | undefined): void {
    if (word === this.#pointed) return;
    this.#pointed = word;
    this.#canvas.style.cursor = word === undefined ? "" : "pointer";
    this.#redraw();
  }

  #press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = KEY_PAN / zoomTransform(this.#canvas).k;
    const moves: Readonly<Record<string, () => void>> = {
      ArrowLeft: () => this.#zoom.translateBy(this.#selection, step, 0),
      ArrowRight: () => this.#zoom.translateBy(this.#selection, -step, 0),
      ArrowUp: () => this.#zoom.translateBy(this.#selection, 0, step),
      ArrowDown: () => this.#zoom.translateBy(this.#selection, 0, -step),
      "+": () => this.#zoom.scaleBy(this.#selection, KEY_ZOOM),
      // The same key without shift.
      "=": () => this.#zoom.scaleBy(this.#selection, KEY_ZOOM),
      "-": () => this.#zoom.scaleBy(this.#selection, 1 / KEY_ZOOM),
      "0": () => this.#zoom.transform(this.#selection, zoomIdentity),
    };
    const move = moves[event.key];
    if (move === undefined) return;
    event.preventDefault();
    if (this.#journey !== undefined) this.#journey.transform = undefined;
    move();
  }

  #resize(): void {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    // Not further than the picture's own size away.
    this.#zoom.translateExtent([
      [-width / 2, -height / 2],
      [1.5 * width, 1.5 * height],
    ]);
    this.#redraw();
  }

  #redraw(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame((nowMs) => this.#draw(nowMs));
  }

  #draw(nowMs: number): void {
    this.#travel(nowMs);
    this.#frame = 0;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const ratio = devicePixelRatio;
    const [columns, lines] = [Math.round(width * ratio), Math.round(height * ratio)];
    // Setting a size, even the same one, empties the canvas and is slow.
    if (this.#canvas.width !== columns) this.#canvas.width = columns;
    if (this.#canvas.height !== lines) this.#canvas.height = lines;
    const view: View = { width, height, ratio, transform: zoomTransform(this.#canvas) };
    this.#marks = arrange(this.#context, this.#shown, view, this.#centre);
    paint(this.#context, this.#marks, view, this.#centre, this.#pointed, this.#colours);
    if (this.#journey !== undefined) this.#redraw();
  }

  /** Moves on, and back to the whole picture with it. */
  #travel(nowMs: number): void {
    const journey = this.#journey;
    if (journey === undefined) return;
    const done = Math.min(1, Math.max(0, (nowMs - journey.startMs) / JOURNEY_MS));
    const share = 1 - (1 - done) ** 3; // quick at first, as things that were pushed
    this.#shown = between(journey.from, this.#target, share);
    if (done === 1) this.#journey = undefined;
    if (journey.transform === undefined) return;
    const { x, y, k } = journey.transform;
    const rest = 1 - share;
    this.#zoom.transform(this.#selection, zoomIdentity.translate(x * rest, y * rest).scale(1 + (k - 1) * rest));
  }
}

/** As the library's own filter: the main button, and the wheel even with Ctrl, as which browsers tell of a pinch. */
function isGesture(event: MouseEvent | TouchEvent): boolean {
  return (!event.ctrlKey || event.type === "wheel") && !("button" in event && event.button !== 0);
}

function isOneFinger(event: MouseEvent | TouchEvent): boolean {
  return "touches" in event && event.touches.length === 1;
}

/** The page's colours as they are now. A variable may hold light-dark(…), so each is resolved as the canvas's own colour. */
function coloursOf(canvas: HTMLCanvasElement): Colours {
  const of = (name: string): string => {
    canvas.style.color = `var(${name})`;
    return getComputedStyle(canvas).color;
  };
  return {
    raised: of("--raised"),
    ink: of("--ink"),
    faint: of("--faint"),
    accent: of("--accent"),
    onAccent: of("--on-accent"),
  };
}
