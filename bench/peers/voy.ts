/**
 * voy: a k-d tree in WASM, its only index, on the calling thread. It knows Euclidean distances only, so cosine is asked of
 * vectors of unit length. It promises no exactness, and its recall is told.
 */
import { readFileSync } from "node:fs";
import { type OpenPeer, floatVectors, metricOf, unitVectors } from "./peer.ts";
import { oneByOne } from "./one-by-one.ts";

interface Resource {
  readonly embeddings: readonly {
    readonly id: string;
    readonly title: string;
    readonly url: string;
    readonly embeddings: readonly number[];
  }[];
}

interface Voy {
  index(resource: Resource): void;
  add(resource: Resource): void;
  search(query: Float32Array, k: number): { readonly neighbors: readonly { readonly id: string }[] };
  free(): void;
}

/** The package's glue; the module that is to be imported leaves loading its WASM to a bundler. */
interface VoyModule {
  readonly Voy: new () => Voy;
  readonly __wbg_set_wasm: (exports: WebAssembly.Exports) => void;
}

/** Vectors a call: they pass as JSON, and one string cannot hold them all. */
const ADDED = 1000;

export const openVoy: OpenPeer = async (packages, contender, metric, vectors) => {
  const { dimensions, rowCount, rows } = floatVectors(contender, vectors);
  const isCosine = metricOf(contender, metric, { cosine: true, euclidean: false });
  const voyModule = (await packages.import("voy-search", "voy_search_bg.js")) as VoyModule;
  const bytes = readFileSync(packages.path("voy-search", "voy_search_bg.wasm"));
  const { instance } = await WebAssembly.instantiate(bytes, { "./voy_search_bg.js": { ...voyModule } });
  const { Voy, __wbg_set_wasm: useWasm } = voyModule;
  useWasm(instance.exports);
  const form = (values: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> =>
    isCosine ? unitVectors(values, dimensions) : values;
  const stored = form(rows);
  const voy = new Voy();
  for (let first = 0; first < rowCount; first += ADDED) {
    const embeddings = Array.from({ length: Math.min(ADDED, rowCount - first) }, (_, i) => ({
      id: `${first + i}`,
      title: "",
      url: "",
      embeddings: Array.from(stored.subarray((first + i) * dimensions, (first + i + 1) * dimensions)),
    }));
    if (first === 0) voy.index({ embeddings });
    else voy.add({ embeddings });
  }
  return oneByOne(contender, dimensions, {
    query: form,
    search: (query, k) => voy.search(query, k).neighbors,
    rows: (neighbors) => neighbors.map(({ id }) => Number(id)),
    close: () => voy.free(),
  });
};
