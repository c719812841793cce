/** "a is to b as c is to ?": three boxes, examples, and the words that answer. */
import { type Signal, signal, untracked, useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { Latest } from "../latest.ts";
import { type Example, EXAMPLES } from "./examples.ts";
import { WordInput } from "./word-input.tsx";
import { WordList } from "./word-list.tsx";
import type { Neighbour, WordSpace } from "./word-space.ts";

const ANSWERS = 5;

type Triple = readonly [a: string, b: string, c: string];

/** What stands in the boxes, and what answers it. */
class Analogy {
  readonly words: Signal<Triple> = signal(boxesOf(EXAMPLES[0]));
  readonly answers: Signal<readonly Neighbour[]> = signal([]);
  readonly failure: Signal<string | undefined> = signal(undefined);
  readonly #questions: Latest<Triple>;

  constructor(space: WordSpace) {
    this.#questions = new Latest(
      async (words) => {
        const [a, b, c] = words.map((word) => space.vocabulary.rowOf(word));
        const isKnown = a !== undefined && b !== undefined && c !== undefined;
        this.answers.value = isKnown ? await space.solve(a, b, c, ANSWERS) : [];
        this.failure.value = undefined;
      },
      (error) => (this.failure.value = `The search failed: ${String(error)}`),
    );
  }

  ask(words: Triple): void {
    this.#questions.ask(words);
  }
}

interface AnalogiesProps {
  readonly space: WordSpace;
  readonly onPick: (word: string) => void;
}

export function Analogies({ space, onPick }: AnalogiesProps): JSX.Element {
  const analogy = useMemo(() => new Analogy(space), [space]);
  useSignalEffect(() => {
    const words = analogy.words.value;
    // What the engine reads is none of this effect's business.
    untracked(() => analogy.ask(words));
  });
  const words = analogy.words.value;
  const [a, b, c] = words;
  const box = (label: string, place: number): JSX.Element => (
    <WordInput
      label={label}
      vocabulary={space.vocabulary}
      text={words[place] ?? ""}
      onText={(text) =>
        (analogy.words.value = [place === 0 ? text : a, place === 1 ? text : b, place === 2 ? text : c])
      }
    />
  );
  return (
    <section aria-labelledby="analogies-title">
      <h2 id="analogies-title">Analogies</h2>
      <p class="faint">
        The step from one word to another often means the same elsewhere: as “man” is to “king”, so is “woman” to
        “queen”.
      </p>
      <div class="word-boxes">
        {box("As this word", 0)}
        {box("is to this one,", 1)}
        {box("so is this one", 2)}
      </div>
      <h3>to one of these:</h3>
      {analogy.failure.value !== undefined && <p role="alert">{analogy.failure.value}</p>}
      <WordList words={analogy.answers.value} testId="analogy-list" onPick={onPick} />
      <h3 id="analogy-examples">Examples</h3>
      <ul class="word-examples" aria-labelledby="analogy-examples">
        {EXAMPLES.map((example) => (
          <li key={example.join()}>
            <button type="button" onClick={() => (analogy.words.value = boxesOf(example))}>
              {`${example[0]} : ${example[1]} = ${example[2]} : ?`}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Without the answer. */
function boxesOf([a, b, c]: Example): Triple {
  return [a, b, c];
}
