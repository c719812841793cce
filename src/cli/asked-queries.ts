/** The first queries of a file in memory, for what asks them again and again. */
import { NearfieldError } from "../core/errors.ts";
import type { VectorSource } from "../io/vector-source.ts";
import { wholeBatches } from "./base-index.ts";

export interface AskedQueries {
  readonly count: number;
  readonly dimensions: number;
  /** [count × dimensions] */
  readonly vectors: Float32Array;
}

/** At most `most` of them. Rejects with INVALID_OPTION where there is none. */
export async function readQueries(source: VectorSource, most: number): Promise<AskedQueries> {
  const { dimensions } = source;
  const pieces: Float32Array[] = [];
  let count = 0;
  for await (const batch of wholeBatches(source, Math.min(most, 1024))) {
    const kept = Math.min(batch.count, most - count);
    pieces.push(batch.vectors.subarray(0, kept * dimensions));
    count += kept;
    if (count === most) break;
  }
  if (count === 0) {
    throw new NearfieldError("INVALID_OPTION", {
      got: `${source.path} without a query`,
      expected: "one or more",
      remedy: "give a file that has queries",
    });
  }
  const vectors = new Float32Array(count * dimensions);
  let at = 0;
  for (const piece of pieces) {
    vectors.set(piece, at);
    at += piece.length;
  }
  return { count, dimensions, vectors };
}

/** `size` queries from number `first` on; after the last one comes the first again. */
export function queriesAt({ count, dimensions, vectors }: AskedQueries, first: number, size: number): Float32Array {
  const from = first % count;
  if (from + size <= count) return vectors.subarray(from * dimensions, (from + size) * dimensions);
  const taken = new Float32Array(size * dimensions);
  for (let i = 0; i < size; i++) {
    const query = (from + i) % count;
    taken.set(vectors.subarray(query * dimensions, (query + 1) * dimensions), i * dimensions);
  }
  return taken;
}
