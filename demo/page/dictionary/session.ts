/**
 * The dictionary behind its page: opens the store, turns what is asked into a vector and a filter, and keeps the newest
 * answer. Lives as long as the document, whichever page is shown.
 */
import { batch, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Collection, Match } from "nearfield";
import type { Synset } from "../../synset.ts";
import { DATA_FILES } from "../data-files.ts";
import { type Answer, Engine, type Found, type Side, type SideState } from "../engine/engine.ts";
import { Latest } from "../latest.ts";
import { type Ask, NOTHING } from "./ask.ts";
import { startEmbedder } from "./embedding.ts";
import { combine, type Part } from "./question.ts";
import { type GlossStore, openBeside, openGlosses, type Stage } from "./store.ts";

/** One definition that was found. */
export interface Definition extends Found, Synset {}

interface DictionaryQuestion {
  readonly vector: Float32Array;
  readonly part: Ask["part"];
  /** Ids of examples, which are not answers. */
  readonly without: readonly string[];
}

type DictionaryEngine = Engine<DictionaryQuestion, Definition>;

export type State =
  | Stage
  | { readonly kind: "ready"; readonly isKept: boolean }
  | { readonly kind: "failed"; readonly reason: string };

/** In place of the words of an example that the dictionary does not have. */
const NOT_THERE = "a definition that is not in this dictionary";

/** Definitions shown. */
const SHOWN = 20;

export class DictionarySession {
  readonly state: Signal<State> = signal<State>({ kind: "opening" });
  readonly notices: Signal<readonly string[]> = signal<readonly string[]>([]);
  /** Why the newest search failed, if it did. */
  readonly failure: Signal<string | undefined> = signal<string | undefined>(undefined);
  readonly found: Signal<readonly Definition[] | undefined> = signal<readonly Definition[] | undefined>(undefined);
  /** What `found` answers. */
  readonly answered: Signal<Ask> = signal(NOTHING);
  /** The first words of definitions that were examples, by id. */
  readonly words: Signal<ReadonlyMap<string, string>> = signal(new Map());
  readonly #engine: Signal<DictionaryEngine | undefined> = signal<DictionaryEngine | undefined>(undefined);
  #embedder = startEmbedder();
  #store: GlossStore | undefined;
  #asked: Ask = NOTHING;
  readonly #questions = new Latest<Ask>(
    (ask) => this.#answer(ask),
    (error) => (this.failure.value = `The search failed: ${String(error)}`),
  );

  /** The newest ask, whichever page is shown. */
  get asked(): Ask {
    return this.#asked;
  }

  get engine(): ReadonlySignal<DictionaryEngine | undefined> {
    return this.#engine;
  }

  /** Never rejects: `state` says what came of it. */
  async open(): Promise<void> {
    try {
      const { api, failed } = this.#embedder;
      await Promise.race([api.open(new URL(DATA_FILES.glosses.url, document.baseURI).href), failed]);
      const engine = await Engine.open<DictionaryQuestion, Definition>(async (backend, onEvent) => {
        if (this.#store !== undefined) return sideOf(await openBeside(this.#store, { backend, onEvent }));
        const store = openGlosses(api, {
          backend,
          onEvent,
          onStage: (stage) => (this.state.value = stage),
          onNotice: (text) => this.#note(text),
        });
        this.#store = await Promise.race([store, failed]);
        return sideOf(this.#store.collection);
      });
      void api.forget();
      this.#engine.value = engine;
      this.state.value = { kind: "ready", isKept: this.#store?.isKept ?? false };
      this.#questions.ask(this.#asked);
    } catch (error) {
      this.state.value = { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
    }
  }

  /** Tries again after a failure. */
  async reopen(): Promise<void> {
    this.#embedder = startEmbedder();
    this.state.value = { kind: "opening" };
    await this.open();
  }

  /** Answers into `found`, once the store is open; of many asks in a burst the last one always, those between perhaps not. */
  ask(ask: Ask): void {
    this.#asked = ask;
    if (this.#engine.value !== undefined) this.#questions.ask(ask);
  }

  async #answer(ask: Ask): Promise<void> {
    const vector = combine(await this.#parts(ask));
    const without = ask.examples.map(({ id }) => id);
    const answer = vector && (await this.#engine.value?.ask({ vector, part: ask.part, without }));
    batch(() => {
      this.found.value = answer?.found;
      this.answered.value = ask;
      this.failure.value = undefined;
    });
  }

  #note(text: string): void {
    this.notices.value = [...this.notices.value, text];
  }

  async #parts({ text, notText, examples }: Ask): Promise<Part[]> {
    const parts: Part[] = [];
    const { api } = this.#embedder;
    if (text.trim() !== "") parts.push({ vector: await api.embed(text), isLiked: true });
    if (notText.trim() !== "") parts.push({ vector: await api.embed(notText), isLiked: false });
    if (examples.length === 0) return parts;
    const records = await this.#store?.collection.get(examples.map(({ id }) => id));
    const words = new Map(this.words.value);
    for (const [i, record] of (records ?? []).entries()) {
      if (record === undefined) {
        words.set(examples[i]?.id ?? "", NOT_THERE); // a link of another version of the dictionary
        continue;
      }
      parts.push({ vector: Float32Array.from(record.vector), isLiked: examples[i]?.isLiked ?? true });
      words.set(record.id, synsetOf(record.metadata).words[0] ?? "");
    }
    this.words.value = words;
    return parts;
  }
}

async function sideOf(collection: Collection): Promise<Side<DictionaryQuestion, Definition>> {
  const state = async (): Promise<SideState> => {
    const { backend, index } = await collection.stats();
    return { backend, index };
  };
  const { kind } = (await state()).backend;
  return {
    kind,
    target: collection,
    state,
    ask: (question) => askCollection(collection, question),
    close: () => collection.close(),
  };
}

async function askCollection(
  collection: Collection,
  { vector, part, without }: DictionaryQuestion,
): Promise<Answer<Definition>> {
  const filter = part === "any" ? {} : { filter: { part } };
  const { matches, report } = await collection.query({ vector, k: SHOWN + without.length, ...filter });
  const found = matches.filter(({ id }) => !without.includes(id)).slice(0, SHOWN);
  return { found: found.map(definition), report };
}

function definition({ id, distance, metadata }: Match): Definition {
  return { id, distance, ...synsetOf(metadata) };
}

/** As store.ts wrote it. */
function synsetOf(metadata: Match["metadata"]): Synset {
  return metadata as unknown as Synset;
}
