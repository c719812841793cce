/** Words with their distances, each a button that goes there; long lists begin with some and show all on demand. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import type { Neighbour } from "./word-space.ts";

interface WordListProps {
  readonly words: readonly Neighbour[];
  readonly testId: string;
  readonly onPick: (word: string) => void;
}

/** Shown at first: what fits beside the picture. */
const FEW = 20;

export function WordList({ words, testId, onPick }: WordListProps): JSX.Element {
  const isWhole = useSignal(false);
  const shown = isWhole.value ? words : words.slice(0, FEW);
  return (
    <div>
      <ol class="word-list" data-testid={testId}>
        {shown.map(({ word, distance }) => (
          <li key={word}>
            <button type="button" onClick={() => onPick(word)}>
              {word}
            </button>{" "}
            <span class="word-distance faint">{distance.toFixed(3)}</span>
          </li>
        ))}
      </ol>
      {words.length > FEW && (
        <button type="button" aria-expanded={isWhole.value} onClick={() => (isWhole.value = !isWhole.value)}>
          {isWhole.value ? `Show ${FEW}` : `Show all ${words.length}`}
        </button>
      )}
    </div>
  );
}
