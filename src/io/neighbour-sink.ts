/** Writes lists of row numbers of one width: .ivecs, or an .npy of int32. "None" (0xffffffff) becomes −1. */
import { extname } from "node:path";
import { NearfieldError } from "../core/errors.ts";
import { FileOutput } from "./file-output.ts";
import { npyHeader } from "./npy.ts";

export interface NeighbourSink {
  /** [lists × width] */
  append(rows: Uint32Array): Promise<void>;
  finish(): Promise<void>;
  abort(): Promise<void>;
}

/** Rejects with INVALID_OPTION for another extension. */
export async function openNeighbourSink(path: string, width: number): Promise<NeighbourSink> {
  const extension = extname(path).toLowerCase();
  if (extension !== ".ivecs" && extension !== ".npy") {
    throw new NearfieldError("INVALID_OPTION", {
      got: `${path} for row numbers`,
      expected: "a name that ends in .ivecs or .npy",
      remedy: "give the file one of these extensions",
    });
  }
  const output = await FileOutput.create(path);
  const isNpy = extension === ".npy";
  let count = 0;
  if (isNpy) await output.append(npyHeader("i4", 0, width));
  return {
    async append(rows) {
      const lists = rows.length / width;
      count += lists;
      // The bits of 0xffffffff are those of −1.
      await output.append(new Uint8Array((isNpy ? rows.slice() : withWidths(rows, lists, width)).buffer));
    },
    async finish() {
      if (isNpy) await output.patch(0, npyHeader("i4", count, width));
      await output.finish();
    },
    abort: () => output.abort(),
  };
}

/** Writes a matrix of float32 as .npy, such as the distances beside row numbers. */
export async function openMatrixSink(
  path: string,
  width: number,
): Promise<{
  append(values: Float32Array): Promise<void>;
  finish(): Promise<void>;
  abort(): Promise<void>;
}> {
  const output = await FileOutput.create(path);
  let count = 0;
  await output.append(npyHeader("f4", 0, width));
  return {
    async append(values) {
      count += values.length / width;
      await output.append(new Uint8Array(values.slice().buffer));
    },
    async finish() {
      await output.patch(0, npyHeader("f4", count, width));
      await output.finish();
    },
    abort: () => output.abort(),
  };
}

function withWidths(rows: Uint32Array, lists: number, width: number): Uint32Array {
  const words = new Uint32Array(lists * (width + 1));
  for (let list = 0; list < lists; list++) {
    words[list * (width + 1)] = width;
    words.set(rows.subarray(list * width, (list + 1) * width), list * (width + 1) + 1);
  }
  return words;
}
