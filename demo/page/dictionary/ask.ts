/** What is asked of the dictionary, and how the page's address says it, so that a search can be sent to a friend and "back" goes back: `#/dictionary?q=…&not=…&part=noun&like=7&unlike=9`. */
import { PARTS_OF_SPEECH, type PartOfSpeech } from "../../synset.ts";

/** A definition given as an example. */
export interface Example {
  readonly id: string;
  readonly isLiked: boolean;
}

/** What is asked: all of it together makes one vector. */
export interface Ask {
  readonly text: string;
  readonly notText: string;
  readonly examples: readonly Example[];
  readonly part: PartOfSpeech | "any";
}

export const NOTHING: Ask = { text: "", notText: "", examples: [], part: "any" };

const ROUTE = "#/dictionary";

/** Examples in a link: more would be no question. */
const MOST_EXAMPLES = 20;

/** Empty where nothing is asked. */
export function queryOf({ text, notText, part, examples }: Ask): string {
  const query = new URLSearchParams();
  if (text !== "") query.set("q", text);
  if (notText !== "") query.set("not", notText);
  if (part !== "any") query.set("part", part);
  for (const { id, isLiked } of examples) query.append(isLiked ? "like" : "unlike", id);
  return query.toString();
}

export function addressOf(ask: Ask): string {
  const query = queryOf(ask);
  return query === "" ? ROUTE : `${ROUTE}?${query}`;
}

/** Undefined for another page's address; what makes no sense in it is left out. */
export function askOf(hash: string): Ask | undefined {
  const [route, search = ""] = hash.split("?", 2);
  if (route !== ROUTE && route !== "" && route !== "#") return undefined;
  const query = new URLSearchParams(search);
  const examples: Example[] = [];
  for (const [name, id] of query) {
    if (name !== "like" && name !== "unlike") continue;
    if (/^\d+$/.test(id) && examples.every((example) => example.id !== id))
      examples.push({ id, isLiked: name === "like" });
  }
  return {
    ...NOTHING,
    text: query.get("q") ?? "",
    notText: query.get("not") ?? "",
    part: PARTS_OF_SPEECH.find((known) => known === query.get("part")) ?? "any",
    examples: examples.slice(0, MOST_EXAMPLES),
  };
}
