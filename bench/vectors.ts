/** A set of vectors with held-out queries, and the sets that are made up. Runs anywhere; the real sets are in peers/vectors.ts. */
import { normal } from "../test/contract/random.ts";
import { QUERIES, type DataShape } from "./cases/case.ts";
import { clusteredBits, clusteredRows, QUERY_BASE } from "./clustered.ts";

export interface Vectors {
  readonly dimensions: number;
  /** [rows × dimensions]; of bits: [rows × dimensions / 8]. */
  readonly rows: Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;
  /** QUERIES of them. */
  readonly queries: Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;
}

/** Undefined for a real set. */
export function madeUpVectors({ source, rows, dimensions }: DataShape): Vectors | undefined {
  switch (source) {
    case "gaussian": {
      const gauss = normal(42);
      const draw = (count: number): Float32Array<ArrayBuffer> => {
        const values = new Float32Array(count * dimensions);
        for (let i = 0; i < values.length; i++) values[i] = gauss();
        return values;
      };
      return { dimensions, rows: draw(rows), queries: draw(QUERIES) };
    }
    case "clustered":
      return {
        dimensions,
        rows: clusteredRows(dimensions, 0, rows),
        queries: clusteredRows(dimensions, QUERY_BASE, QUERIES),
      };
    case "bits":
      return {
        dimensions,
        rows: clusteredBits(dimensions, 0, rows),
        queries: clusteredBits(dimensions, QUERY_BASE, QUERIES),
      };
    case "glove":
    case "mnist":
    case "wordnet":
      return undefined;
    default:
      return source satisfies never;
  }
}

/**
 * QUERIES vectors out of `all`, spread evenly, become the queries, and the first `rows` of the rest the base: whatever
 * order a real set has (GloVe: by frequency), its queries are like its rows.
 */
export function holdOut(all: Float32Array, dimensions: number, rows: number): Vectors {
  const count = all.length / dimensions;
  if (count < rows + QUERIES) throw new Error(`${count} vectors are too few for ${rows} rows and ${QUERIES} queries`);
  const base = new Float32Array(rows * dimensions);
  const queries = new Float32Array(QUERIES * dimensions);
  let kept = 0;
  let held = 0;
  for (let i = 0; i < count && (kept < rows || held < QUERIES); i++) {
    const vector = all.subarray(i * dimensions, (i + 1) * dimensions);
    if (held < QUERIES && i === Math.floor(((held + 0.5) * count) / QUERIES)) queries.set(vector, held++ * dimensions);
    else if (kept < rows) base.set(vector, kept++ * dimensions);
  }
  return { dimensions, rows: base, queries };
}
