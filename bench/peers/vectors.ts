/** The sets of vectors of the comparison, the real ones from npm packages; what is made of them is kept in the cache folder. */
import { readFileSync } from "node:fs";
import { openGlove } from "../../demo/words/glove.ts";
import type { DataShape } from "../cases/case.ts";
import { mnistImages } from "../mnist.ts";
import { holdOut, madeUpVectors, type Vectors } from "../vectors.ts";
import type { PeerPackages } from "./packages.ts";
import { embeddedGlosses } from "./wordnet.ts";

export type OnProgress = (done: number, total: number) => void;

/** `packages`: asked for only by a set that needs them. */
export async function vectorsOf(
  shape: DataShape,
  packages: () => PeerPackages,
  cache: string,
  onProgress: OnProgress,
): Promise<Vectors> {
  return (
    madeUpVectors(shape) ?? holdOut(await realVectors(shape, packages, cache, onProgress), shape.dimensions, shape.rows)
  );
}

async function realVectors(
  { source, dimensions }: DataShape,
  packages: () => PeerPackages,
  cache: string,
  onProgress: OnProgress,
): Promise<Float32Array> {
  switch (source) {
    case "glove": {
      const glove = await openGlove(cache, onProgress);
      const all = new Float32Array(glove.words.length * dimensions);
      let at = 0;
      for await (const piece of glove.vectors()) {
        all.set(piece, at);
        at += piece.length;
      }
      return all;
    }
    case "mnist":
      return mnistImages();
    case "wordnet": {
      const file = readFileSync(await embeddedGlosses(packages(), cache, onProgress));
      return new Float32Array(file.buffer, file.byteOffset, file.byteLength / 4);
    }
    case "gaussian":
    case "clustered":
    case "bits":
      throw new Error(`${source} vectors are made up, not read`);
    default:
      return source satisfies never;
  }
}
