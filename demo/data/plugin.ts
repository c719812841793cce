/**
 * The page's data files, made out of npm packages when the page is built or served: nothing of them is committed. Files
 * are gzipped here because static hosts may not do it, and named after their content, so that they are cached for ever.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";
import { embeddedText, synsetLines } from "../synset.ts";
import { buildDigits } from "./digits.ts";
import { readSynsets } from "./wordnet.ts";
import { buildWords } from "./words.ts";

interface Options {
  /** Where they are put: vite's `publicDir`. */
  readonly folder: string;
  readonly embedder: string;
  /** Where what is slow to make is kept. */
  readonly cache: string;
  /** MNIST's licence is unclear: its images go into what is built only where somebody asks for it. */
  readonly withDigits: boolean;
}

interface Built {
  readonly bytes: Uint8Array;
  readonly count: number;
}

/** Makes the files and tells the page their names (demo/page/data-files.ts). */
export function demoData({ folder, embedder, cache, withDigits }: Options): Plugin {
  return {
    name: "nearfield:demo-data",
    async config() {
      const synsets = readSynsets();
      const glosses = { bytes: new TextEncoder().encode(synsetLines(synsets)), count: synsets.length };
      const digits = withDigits ? buildDigits() : undefined;
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(join(folder, "data"), { recursive: true });
      const texts = Buffer.from(synsets.map(embeddedText).join("\n"));
      const files = {
        embedding: hashOf(Buffer.concat([texts, readFileSync(embedder)])),
        glosses: put(folder, "glosses", glosses),
        words: put(folder, "words", await buildWords(cache)),
        digits: digits === undefined ? null : put(folder, "digits", digits),
      };
      return { define: { DEMO_DATA_FILES: JSON.stringify(files) } };
    },
  };
}

/** Names of the files in `folder`, relative to the page. */
export function dataFiles(folder: string): string[] {
  return readdirSync(join(folder, "data")).map((name) => `data/${name}`);
}

function put(folder: string, stem: string, { bytes, count }: Built): { url: string; count: number } {
  const zipped = gzipSync(bytes, { level: 9 });
  // Not ".gz": some servers would announce it as an encoding, and the browser unzip it by itself.
  const url = `data/${stem}-${hashOf(bytes)}.bin`;
  writeFileSync(join(folder, url), zipped);
  return { url, count };
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 8);
}
