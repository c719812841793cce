/**
 * A box for a word: suggests words that begin with what is typed (the ARIA pattern of an editable combobox with a list),
 * and says so where a word is not known.
 */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import type { Vocabulary } from "./vocabulary.ts";

interface WordInputProps {
  readonly label: string;
  readonly vocabulary: Vocabulary;
  readonly text: string;
  readonly onText: (text: string) => void;
}

/** Suggestions: what a phone shows above its keyboard, and some to scroll to. */
const SUGGESTED = 12;
const CLOSEST = 5;

export function WordInput({ label, vocabulary, text, onText }: WordInputProps): JSX.Element {
  const id = useId();
  const box = useRef<HTMLInputElement>(null);
  const isTyping = useSignal(false);
  /** Place among the suggestions; −1: the text as typed. */
  const marked = useSignal(-1);
  const suggestions = isTyping.value ? vocabulary.startingWith(text, SUGGESTED) : [];
  const isKnown = vocabulary.rowOf(text) !== undefined;
  // A list of nothing but what is typed suggests nothing.
  const isOpen = suggestions.length > (isKnown ? 1 : 0);
  const optionId = (place: number): string => `${id}-option-${place}`;
  useEffect(() => {
    if (marked.value >= 0) document.getElementById(optionId(marked.value))?.scrollIntoView({ block: "nearest" });
  }, [marked.value]);
  const close = (): void => {
    isTyping.value = false;
    marked.value = -1;
  };
  const choose = (word: string): void => {
    close();
    onText(word);
    box.current?.focus();
  };
  const move = (by: number): void => {
    isTyping.value = true;
    const places = suggestions.length + 1;
    marked.value = ((marked.value + 1 + by + places) % places) - 1;
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const word = suggestions[marked.value];
    if (event.key === "ArrowDown") move(1);
    else if (event.key === "ArrowUp") move(-1);
    else if (event.key === "Enter" && word !== undefined) choose(word);
    else if (event.key === "Enter" || (event.key === "Escape" && isOpen)) close();
    else return;
    event.preventDefault();
  };
  return (
    <div class="word-input">
      <label for={id}>{label}</label>
      <input
        ref={box}
        id={id}
        type="text"
        role="combobox"
        autocomplete="off"
        autocapitalize="none"
        spellcheck={false}
        aria-autocomplete="list"
        aria-expanded={isOpen}
        aria-controls={isOpen ? `${id}-list` : undefined}
        aria-activedescendant={isOpen && marked.value >= 0 ? optionId(marked.value) : undefined}
        value={text}
        onInput={(event) => {
          isTyping.value = true;
          marked.value = -1;
          onText(event.currentTarget.value);
        }}
        onKeyDown={onKeyDown}
        onBlur={close}
      />
      {isOpen && (
        <ul
          id={`${id}-list`}
          class="word-options"
          role="listbox"
          aria-label={`Words that begin with “${text.trim()}”`}
          // The box keeps the focus: losing it would close the list before the click.
          onPointerDown={(event) => event.preventDefault()}
        >
          {suggestions.map((word, place) => (
            <li
              key={word}
              id={optionId(place)}
              role="option"
              aria-selected={place === marked.value}
              onClick={() => choose(word)}
            >
              {word}
            </li>
          ))}
        </ul>
      )}
      <div role="status">
        {!isOpen && !isKnown && text.trim() !== "" && (
          <Unknown text={text.trim()} closest={vocabulary.closest(text, CLOSEST)} onPick={choose} />
        )}
      </div>
    </div>
  );
}

interface UnknownProps {
  readonly text: string;
  readonly closest: readonly string[];
  readonly onPick: (word: string) => void;
}

function Unknown({ text, closest, onPick }: UnknownProps): JSX.Element {
  return (
    <p class="word-unknown">
      {`“${text}” is not among the words.`}
      {closest.length > 0 && " Do you mean "}
      {closest.map((word) => (
        <button key={word} type="button" onClick={() => onPick(word)}>
          {word}
        </button>
      ))}
    </p>
  );
}
