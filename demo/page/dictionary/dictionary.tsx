/** The front page: what a thing is called, found by what it means, while one types. */
import { effect, useSignal, useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { PARTS_OF_SPEECH } from "../../synset.ts";
import { DATA_FILES } from "../data-files.ts";
import { showEngine } from "../engine/engine.ts";
import "./dictionary.css";
import { addressOf, type Ask, askOf, type Example, NOTHING, queryOf } from "./ask.ts";
import { DefinitionItem } from "./definition-item.tsx";
import { type Definition, DictionarySession } from "./session.ts";
import { StageNote } from "./stage-note.tsx";

const session = new DictionarySession();
let isOpening = false;

const TRY = [
  "fear of tight spaces",
  "a place where you borrow books",
  "to walk without any aim",
  "the day before today",
  "someone who studies the stars",
];

export function Dictionary(): JSX.Element {
  const ask = useSignal<Ask>(NOTHING);
  const showsNot = useSignal(false);
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLOListElement>(null);

  useEffect(() => {
    const follow = (): void => {
      const asked = askOf(location.hash);
      if (asked === undefined) return;
      ask.value = asked;
      showsNot.value = asked.notText !== "";
    };
    follow();
    // Back from another page: what was asked here still is.
    if (askOf(location.hash) !== undefined && queryOf(ask.value) === "" && queryOf(session.asked) !== "") {
      history.replaceState(null, "", addressOf(session.asked));
      follow();
    }
    addEventListener("hashchange", follow);
    const slash = (event: KeyboardEvent): void => goToField(event, input.current);
    addEventListener("keydown", slash);
    if (!isOpening) {
      isOpening = true;
      void session.open();
    }
    focusField(input.current);
    const stopShowing = effect(() => showEngine(session.engine.value));
    return () => {
      removeEventListener("hashchange", follow);
      removeEventListener("keydown", slash);
      stopShowing();
      showEngine(undefined);
    };
  }, []);
  useSignalEffect(() => session.ask(ask.value));

  /** What is typed changes the address in place; a step that somebody may want to take back is one of the history's. */
  const change = (part: Partial<Ask>, isStep = false): void => {
    ask.value = { ...ask.value, ...part };
    if (isStep) history.pushState(null, "", addressOf(ask.value));
    else history.replaceState(null, "", addressOf(ask.value));
  };
  const addExample = ({ id }: Definition, isLiked: boolean): void => {
    const others = ask.value.examples.filter((example) => example.id !== id);
    change({ examples: [...others, { id, isLiked }] }, true);
    focusField(input.current);
  };
  const moreLike = ({ id }: Definition): void => {
    // Alone: what was typed led here, and would pull back.
    change({ text: "", notText: "", examples: [{ id, isLiked: true }] }, true);
    focusField(input.current);
    scrollTo({ top: 0 });
  };

  const { text, notText, examples, part } = ask.value;
  const isEmpty = text === "" && examples.length === 0;
  const isDisliking = notText.trim() !== "" || examples.length > 0;
  const isOnlyDisliked = isDisliking && text.trim() === "" && !examples.some(({ isLiked }) => isLiked);
  return (
    <section class="dictionary" onKeyDown={(event) => moveFocus(event, input.current, list.current)}>
      <h1>The word for it</h1>
      <p class="faint">
        Say what you mean: {DATA_FILES.glosses.count.toLocaleString("en")} definitions are ranked by meaning as you
        type.
      </p>
      <form role="search" onSubmit={(event) => event.preventDefault()}>
        <label class="visually-hidden" for="meaning">
          A meaning
        </label>
        <input
          ref={input}
          id="meaning"
          class="large"
          type="search"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          placeholder="fear of tight spaces"
          value={text}
          aria-controls="definitions"
          onInput={(event) => change({ text: event.currentTarget.value })}
        />
        {showsNot.value ? (
          <NotLike text={notText} onText={(value) => change({ notText: value })} />
        ) : (
          <button type="button" class="quiet" onClick={() => (showsNot.value = true)}>
            … but not like
          </button>
        )}
        <PartFilter part={part} onPart={(value) => change({ part: value })} />
        <Examples
          examples={examples}
          words={session.words.value}
          onExamples={(value) => change({ examples: value }, true)}
        />
      </form>
      {isEmpty ? <Suggestions onText={(value) => change({ text: value })} /> : null}
      {isOnlyDisliked ? <p class="faint">Say what it is like, too: what it is not may be anything.</p> : null}
      <StageNote state={session.state} notices={session.notices} onRetry={() => void session.reopen()} />
      {session.failure.value === undefined ? null : (
        <p class="notice" role="alert">
          {session.failure.value}
        </p>
      )}
      <p class="visually-hidden" role="status">
        {announcement(session.found.value)}
      </p>
      <ol
        id="definitions"
        ref={list}
        class="definitions"
        data-answers={queryOf(session.answered.value)}
        aria-label="Definitions, the nearest first"
      >
        {(session.found.value ?? []).map((definition) => (
          <DefinitionItem
            key={definition.id}
            definition={definition}
            asked={session.answered.value.text}
            onMore={() => moreLike(definition)}
            onAlso={() => addExample(definition, true)}
            onNot={() => addExample(definition, false)}
          />
        ))}
      </ol>
    </section>
  );
}

function NotLike({ text, onText }: { text: string; onText: (text: string) => void }): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  return (
    <label class="not-like">
      but not like{" "}
      <input
        ref={input}
        type="search"
        autocomplete="off"
        spellcheck={false}
        value={text}
        onInput={(event) => onText(event.currentTarget.value)}
      />
    </label>
  );
}

function PartFilter({ part, onPart }: { part: Ask["part"]; onPart: (part: Ask["part"]) => void }): JSX.Element {
  return (
    <fieldset class="parts">
      <legend class="visually-hidden">Part of speech</legend>
      {(["any", ...PARTS_OF_SPEECH] as const).map((value) => (
        <label key={value} class="choice">
          <input type="radio" name="part" value={value} checked={part === value} onChange={() => onPart(value)} />
          <span>{value}</span>
        </label>
      ))}
    </fieldset>
  );
}

function Examples(props: {
  examples: readonly Example[];
  words: ReadonlyMap<string, string>;
  onExamples: (examples: readonly Example[]) => void;
}): JSX.Element | null {
  const { examples, words, onExamples } = props;
  if (examples.length === 0) return null;
  return (
    <ul class="examples" aria-label="Examples">
      {examples.map(({ id, isLiked }) => (
        <li key={id} class={isLiked ? "liked" : "disliked"}>
          {isLiked ? "like" : "not like"} <b>{words.get(id) ?? "…"}</b>
          <button
            type="button"
            class="quiet"
            aria-label={`Remove ${words.get(id) ?? "it"} from the examples`}
            onClick={() => onExamples(examples.filter((example) => example.id !== id))}
          >
            ×
          </button>
        </li>
      ))}
    </ul>
  );
}

function Suggestions({ onText }: { onText: (text: string) => void }): JSX.Element {
  return (
    <p class="suggestions">
      {TRY.map((text) => (
        <button key={text} type="button" onClick={() => onText(text)}>
          {text}
        </button>
      ))}
    </p>
  );
}

/** For those who do not see the list; polite, so that it is read when somebody stops typing. */
function announcement(found: readonly Definition[] | undefined): string {
  if (found === undefined) return "";
  if (found.length === 0) return "Nothing was found";
  const nearest = found.slice(0, 3).map(({ words }) => words[0]);
  return `${found.length} definitions, the nearest: ${nearest.join(", ")}`;
}

/** Where a finger would bring up a keyboard over what was found, the field is left alone. */
function focusField(field: HTMLInputElement | null): void {
  if (!matchMedia("(pointer: coarse)").matches) field?.focus({ preventScroll: true });
}

/** "/" goes to the field, from wherever nobody types. */
function goToField(event: KeyboardEvent, field: HTMLInputElement | null): void {
  const { target } = event;
  if (event.key !== "/" || event.ctrlKey || event.altKey || event.metaKey) return;
  if (target instanceof HTMLElement && target.matches("input:not([type=radio])")) return;
  event.preventDefault();
  field?.focus();
}

/** Arrows go through the definitions, Escape comes back to the field, where it clears. */
function moveFocus(event: KeyboardEvent, input: HTMLInputElement | null, list: HTMLOListElement | null): void {
  const items = [...(list?.querySelectorAll<HTMLElement>("li[tabindex]") ?? [])];
  const at = items.findIndex((item) => item.contains(document.activeElement));
  if (
    event.key === "ArrowDown" &&
    event.target instanceof HTMLElement &&
    event.target.matches("[type=search], li, li *")
  ) {
    items[Math.min(at + 1, items.length - 1)]?.focus();
  } else if (event.key === "ArrowUp" && at >= 0) {
    (items[at - 1] ?? input)?.focus();
  } else if (event.key === "Escape" && at >= 0) {
    input?.focus();
  } else return;
  event.preventDefault();
}
