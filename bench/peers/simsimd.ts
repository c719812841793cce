/**
 * simsimd has distances of pairs and no search: each row is one native call, on the calling thread, and the k nearest are
 * kept here. The calls, about a quarter of a microsecond each, are most of its time: its JavaScript has none for many rows.
 */
import { type OpenPeer, floatVectors, metricOf } from "./peer.ts";
import { oneByOne } from "./one-by-one.ts";

type Distance = (a: Float32Array, b: Float32Array) => number;

interface Simsimd {
  readonly cosine: Distance;
  readonly sqeuclidean: Distance;
}

export const openSimsimd: OpenPeer = (packages, contender, metric, vectors) => {
  const { dimensions, rowCount, row } = floatVectors(contender, vectors);
  const simsimd = packages.require("simsimd") as Simsimd;
  const distance = metricOf(contender, metric, { cosine: simsimd.cosine, euclidean: simsimd.sqeuclidean });
  // Views made once: making them is dearer than a distance.
  const rows = Array.from({ length: rowCount }, (_, i) => row(i));
  return oneByOne(contender, dimensions, {
    query: (vector) => vector,
    search: (query, k) => nearest(rows, query, k, distance),
    rows: (found) => found,
    close: () => {},
  });
};

/** Sorted insertion: for k = 10, all but a few of the rows cost one comparison. */
function nearest(rows: readonly Float32Array[], query: Float32Array, k: number, distance: Distance): Int32Array {
  const best = new Float64Array(k).fill(Infinity);
  const found = new Int32Array(k).fill(-1);
  let worst = Infinity;
  for (let row = 0; row < rows.length; row++) {
    const vector = rows[row];
    if (vector === undefined) break;
    const at = distance(query, vector);
    if (!(at < worst)) continue;
    let place = k - 1;
    for (; place > 0 && at < (best[place - 1] ?? 0); place--) {
      best[place] = best[place - 1] ?? 0;
      found[place] = found[place - 1] ?? 0;
    }
    best[place] = at;
    found[place] = row;
    worst = best[k - 1] ?? 0;
  }
  return found;
}
