/** What is drawn and which images are like it. The images are kept while other pages are shown; the sheet is new each time. */
import { type Signal, signal } from "@preact/signals";
import { Latest } from "../latest.ts";
import type { DigitSpace, Likeness } from "./digit-space.ts";

/** What stands on the pad. */
export interface Drawing {
  /** [PIXELS] grey values, prepared like those of the set. */
  readonly pixels: Float32Array;
  /** The image of the set that it is, which is then no answer. */
  readonly row?: number;
}

/** Images that vote. */
export const VOTERS = 40;

export class DigitSession {
  readonly space: DigitSpace;
  /** Nearest first; none while nothing is drawn. */
  readonly likenesses: Signal<readonly Likeness[]> = signal([]);
  readonly failure: Signal<string | undefined> = signal(undefined);
  readonly #questions: Latest<() => Drawing | undefined>;

  constructor(space: DigitSpace) {
    this.space = space;
    this.#questions = new Latest(
      async (read) => {
        const drawing = read();
        this.likenesses.value = drawing === undefined ? [] : await space.nearest(drawing.pixels, VOTERS, drawing.row);
        this.failure.value = undefined;
      },
      (error) => (this.failure.value = `The search failed: ${String(error)}`),
    );
  }

  /** `read` is called when the search before is done, so that ink which came meanwhile counts. */
  ask(read: () => Drawing | undefined): void {
    this.#questions.ask(read);
  }
}
