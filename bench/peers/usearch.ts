/**
 * usearch's exact search: native brute force with the widest SIMD of the CPU. Its i8 form gets rows and queries as codes:
 * for cosine each vector with a scale of its own (the angle stays), for euclidean all with one.
 */
import type { OpenPeer } from "./peer.ts";

type Values = Float32Array<ArrayBuffer> | Int8Array<ArrayBuffer>;

interface Usearch {
  exactSearch(
    rows: Values,
    queries: Values,
    dimensions: number,
    k: number,
    metric: string,
    threads: number,
  ): { readonly keys: BigUint64Array };
}

export const openUsearch: OpenPeer = (packages, contender, metric, { dimensions, rows, queries }) => {
  if (rows instanceof Uint8Array || queries instanceof Uint8Array)
    throw new Error("usearch's exactSearch takes no packed bits");
  const usearch = packages.require("usearch") as Usearch;
  const { precision, threads } = contender;
  const isCosine = metric === "cosine";
  const largest = Math.max(greatest(rows), greatest(queries));
  const form = (values: Float32Array<ArrayBuffer>): Values => {
    if (precision === "f32") return values;
    return isCosine ? codes(values, dimensions) : codesOfScale(values, 127 / largest);
  };
  const dataset = form(rows);
  return {
    contender,
    prepare: (some, k) => {
      // usearch ignores the offset of a view: its arrays must begin where their buffers do.
      const asked = form(Float32Array.from(some));
      return {
        run: () => {
          const { keys } = usearch.exactSearch(dataset, asked, dimensions, k, isCosine ? "cos" : "l2sq", threads);
          return Promise.resolve({ rows: () => Array.from(keys, Number) });
        },
      };
    },
    close: () => Promise.resolve(),
  };
};

/** [vectors × dimensions]: each vector's largest element becomes ±127. */
function codes(values: Float32Array, dimensions: number): Int8Array<ArrayBuffer> {
  const out = new Int8Array(values.length);
  for (let at = 0; at < values.length; at += dimensions) {
    const vector = values.subarray(at, at + dimensions);
    out.set(codesOfScale(vector, 127 / (greatest(vector) || 1)), at);
  }
  return out;
}

function codesOfScale(values: Float32Array, scale: number): Int8Array<ArrayBuffer> {
  // Not Int8Array.from: given a function it lists all elements on the heap first, and these may be 128 million.
  const out = new Int8Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = Math.round((values[i] ?? 0) * scale);
  return out;
}

function greatest(values: Float32Array): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}
