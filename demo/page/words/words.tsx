/** The word explorer: a word's neighbours as a list and as a picture, and analogies. */
import { useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { decodeWords } from "../../data/word-file.ts";
import { DATA_FILES, loadData } from "../data-files.ts";
import { showEngine } from "../engine/engine.ts";
import { Opened, Opening } from "../opening.tsx";
import { Analogies } from "./analogies.tsx";
import { Explorer } from "./explorer.ts";
import { WordInput } from "./word-input.tsx";
import { WordList } from "./word-list.tsx";
import { WordMap } from "./word-map.tsx";
import { WordSpace } from "./word-space.ts";
import "./words.css";

const ROUTE = "#/words";
const FIRST_WORD = "coffee";

const opening = new Opening(async (onProgress) => {
  const table = decodeWords(new Uint8Array(await loadData(DATA_FILES.words.url, onProgress)));
  return new Explorer(await WordSpace.open(table));
});

export function Words(): JSX.Element {
  return (
    <section class="words" aria-labelledby="words-title">
      <h1 id="words-title">Words by meaning</h1>
      <p class="faint">
        {`${DATA_FILES.words.count.toLocaleString("en")} English words as points in 100 dimensions: words that people use in the same way lie near each other.`}
      </p>
      <Opened opening={opening} what="the words">
        {(explorer) => <Exploring explorer={explorer} />}
      </Opened>
    </section>
  );
}

function Exploring({ explorer }: { readonly explorer: Explorer }): JSX.Element {
  const { space } = explorer;
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    showEngine(space.engine);
    return () => showEngine(undefined);
  }, [space]);
  useEffect(() => {
    const follow = (): void => {
      const word = wordIn(location.hash);
      if (word !== undefined) explorer.type(word);
    };
    follow();
    if (explorer.text.value === "") explorer.type(FIRST_WORD);
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, [explorer]);
  useSignalEffect(() => {
    const word = explorer.word.value;
    // Somebody may have gone on to another page before this effect ran.
    if (word !== undefined && isShown(location.hash)) history.replaceState(history.state, "", addressOf(word));
  });
  const neighbourhood = explorer.neighbourhood.value;
  /** A step that somebody may want to take back; what is typed changes the address in place. */
  const goTo = (word: string): void => {
    if (word !== explorer.word.value) history.pushState(null, "", addressOf(word));
    explorer.type(word);
  };
  const goToAndRead = (word: string): void => {
    goTo(word);
    // The button that was pressed may be gone with its list: the keyboard goes on where the new one begins.
    title.current?.focus();
  };
  return (
    <>
      <WordInput
        label="A word"
        vocabulary={space.vocabulary}
        text={explorer.text.value}
        onText={(text) => explorer.type(text)}
      />
      {explorer.failure.value !== undefined && <p role="alert">{explorer.failure.value}</p>}
      {neighbourhood !== undefined && (
        <div class="word-neighbourhood">
          <section aria-labelledby="nearest-title">
            <h2 id="nearest-title" ref={title} tabIndex={-1}>{`Nearest to “${neighbourhood.word}”`}</h2>
            <WordList words={neighbourhood.neighbours} testId="word-list" onPick={goToAndRead} />
          </section>
          <WordMap neighbourhood={neighbourhood} onPick={goTo} />
        </div>
      )}
      <p role="status" class="visually-hidden">
        {neighbourhood !== undefined &&
          `Nearest to ${neighbourhood.word}: ${neighbourhood.neighbours
            .slice(0, 3)
            .map(({ word }) => word)
            .join(", ")}`}
      </p>
      <Analogies space={space} onPick={goToAndRead} />
    </>
  );
}

/** Whether an address is this page's. */
function isShown(hash: string): boolean {
  return hash.split("?", 1)[0] === ROUTE;
}

function addressOf(word: string): string {
  return `${ROUTE}?${new URLSearchParams({ word })}`;
}

/** Of this page's address; undefined where it names none. */
function wordIn(hash: string): string | undefined {
  if (!isShown(hash)) return undefined;
  const [, search = ""] = hash.split("?", 2);
  return new URLSearchParams(search).get("word") ?? undefined;
}
