/** Where somebody is among the words: the word last gone to and what lies around it. Kept while other pages are shown. */
import { type Signal, signal } from "@preact/signals";
import { Latest } from "../latest.ts";
import { layOut, type Layout } from "./layout.ts";
import type { Neighbour, WordSpace } from "./word-space.ts";

export interface Neighbourhood {
  readonly word: string;
  /** Nearest first. */
  readonly neighbours: readonly Neighbour[];
  readonly layout: Layout;
}

/** Words of a neighbourhood: as many as a picture holds. */
export const NEIGHBOURS = 150;

export class Explorer {
  readonly space: WordSpace;
  /** What stands in the box: a word, or what will be one. */
  readonly text: Signal<string> = signal("");
  readonly word: Signal<string | undefined> = signal(undefined);
  readonly neighbourhood: Signal<Neighbourhood | undefined> = signal(undefined);
  readonly failure: Signal<string | undefined> = signal(undefined);
  readonly #questions: Latest<string>;

  constructor(space: WordSpace) {
    this.space = space;
    this.#questions = new Latest(
      async (word) => {
        this.neighbourhood.value = await this.#around(word);
        this.failure.value = undefined;
      },
      (error) => (this.failure.value = `The search failed: ${String(error)}`),
    );
  }

  /** What somebody types: a word that is known is gone to at once. */
  type(text: string): void {
    this.text.value = text;
    const row = this.space.vocabulary.rowOf(text);
    const word = row === undefined ? undefined : this.space.vocabulary.words[row];
    if (word === undefined) return;
    // The same word again tries again where its search failed.
    if (word === this.word.value && this.failure.value === undefined) return;
    this.word.value = word;
    this.#questions.ask(word);
  }

  async #around(word: string): Promise<Neighbourhood> {
    const row = this.space.vocabulary.rowOf(word) ?? 0;
    const neighbours = await this.space.nearest(row, NEIGHBOURS);
    const shown = [{ word, row, distance: 0 }, ...neighbours];
    return { word, neighbours, layout: layOut(shown, (neighbour) => this.space.vectorOf(neighbour.row)) };
  }
}
