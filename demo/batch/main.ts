/**
 * `npm run demo:glosses`: all definitions of WordNet, embedded, as a collection to score, export and search with the
 * command line. README.md goes on from there.
 */
import { readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { openCollection, type VectorRecord } from "nearfield";
import { readSynsets } from "../data/wordnet.ts";
import { StaticEmbedder } from "../model/static-embedder.ts";
import { embeddedText, type Synset } from "../synset.ts";

// build/batch/main.js and demo/batch/main.ts both lie two folders below the package.
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const location = join(root, "build", "glosses.nf");
const model = { name: "nearfield-demo-static-192" };

const started = performance.now();
const synsets = readSynsets();
const embedder = StaticEmbedder.open(await readFile(join(root, "demo", "model", "embedder.bin")));
await rm(location, { recursive: true, force: true });
const glosses = await openCollection(location, { dimensions: embedder.dimensions, precision: "i8", model });
await glosses.upsert(records(synsets, embedder));
await glosses.close();
const seconds = (performance.now() - started) / 1000;
console.log(
  `${synsets.length.toLocaleString("en")} definitions embedded into build/glosses.nf in ${seconds.toFixed(1)} s`,
);

function* records(all: readonly Synset[], by: StaticEmbedder): Generator<VectorRecord> {
  for (const [place, synset] of all.entries()) {
    const { part, words, gloss } = synset;
    yield { id: `${words[0]}-${place}`, vector: by.embed(embeddedText(synset)), metadata: { part, words, gloss } };
  }
}
