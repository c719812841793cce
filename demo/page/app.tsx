/** The frame: which page is shown (by the address's hash), and the engine room below each. */
import { type Signal, signal } from "@preact/signals";
import type { ComponentType, JSX } from "preact";
import { DATA_FILES } from "./data-files.ts";
import { Dictionary } from "./dictionary/dictionary.tsx";
import { EngineRoom } from "./engine/engine-room.tsx";

interface PageEntry {
  readonly name: string;
  readonly label: string;
  /** Absent of the front page, which is part of the first load; the others come when they are asked for. */
  readonly load?: () => Promise<ComponentType>;
}

const FRONT: PageEntry = { name: "dictionary", label: "Dictionary" };
const PAGES: readonly PageEntry[] = [
  FRONT,
  { name: "words", label: "Words", load: async () => (await import("./words/words.tsx")).Words },
  // A build without the images says so to those who come by a link.
  { name: "digits", label: "Digits", load: async () => (await import("./digits/digits.tsx")).Digits },
];

type Shown =
  | { readonly kind: "loading" }
  | { readonly kind: "page"; readonly Page: ComponentType }
  | { readonly kind: "failed"; readonly reason: string };

const shownName: Signal<string> = signal("");
const shown: Signal<Shown> = signal<Shown>({ kind: "page", Page: Dictionary });

async function follow(): Promise<void> {
  const asked = location.hash.slice(2).split("?")[0];
  const { name, load } = PAGES.find((page) => page.name === asked) ?? FRONT;
  if (name === shownName.value) return;
  shownName.value = name;
  shown.value = load === undefined ? { kind: "page", Page: Dictionary } : { kind: "loading" };
  if (load === undefined) return;
  const next = await load().then(
    (Page): Shown => ({ kind: "page", Page }),
    (error: unknown): Shown => ({ kind: "failed", reason: String(error) }),
  );
  if (shownName.value === name) shown.value = next;
}

addEventListener("hashchange", () => void follow());
void follow();

export function App(): JSX.Element {
  return (
    <>
      <header>
        <a class="brand" href="#/dictionary">
          nearfield
        </a>
        <nav aria-label="Pages">
          {PAGES.filter(({ name }) => name !== "digits" || DATA_FILES.digits !== null).map(({ name, label }) => (
            <a key={name} href={`#/${name}`} aria-current={shownName.value === name ? "page" : undefined}>
              {label}
            </a>
          ))}
        </nav>
      </header>
      <main>
        <ShownPage />
      </main>
      <EngineRoom />
      <footer class="faint">
        Everything is computed in this browser; nothing you type leaves it. Definitions: WordNet 3.1, Princeton
        University. Words: GloVe, Stanford University. Texts are embedded by a table distilled from all-MiniLM-L6-v2.{" "}
        <a href="./licences.txt">Licences</a>, <a href="./libraries.txt">of the libraries too</a>.
      </footer>
    </>
  );
}

function ShownPage(): JSX.Element {
  const state = shown.value;
  switch (state.kind) {
    case "page":
      return <state.Page />;
    case "loading":
      return (
        <p class="faint" role="status">
          Loading …
        </p>
      );
    case "failed":
      return (
        <p class="notice" role="alert">
          This page could not be loaded ({state.reason}). Are you offline? It is kept once it was visited.
        </p>
      );
    default:
      return state satisfies never;
  }
}
