/**
 * hnswlib-node's BruteforceSearch, its exact index: one query a call, on the calling thread. The package ships no binary;
 * it is compiled with its own flags, as `npm install` would (SSE only: they name no wider instructions).
 */
import { type OpenPeer, floatVectors, metricOf } from "./peer.ts";
import { oneByOne } from "./one-by-one.ts";

interface BruteforceSearch {
  initIndex(rows: number): void;
  addPoint(vector: readonly number[], label: number): void;
  searchKnn(query: readonly number[], k: number): { readonly neighbors: readonly number[] };
}

interface Hnswlib {
  readonly BruteforceSearch: new (space: string, dimensions: number) => BruteforceSearch;
}

export const openHnswlib: OpenPeer = (packages, contender, metric, vectors) => {
  const { dimensions, rowCount, row } = floatVectors(contender, vectors);
  const space = metricOf(contender, metric, { cosine: "cosine", euclidean: "l2" });
  packages.compile("hnswlib-node");
  const { BruteforceSearch } = packages.require("hnswlib-node") as Hnswlib;
  const index = new BruteforceSearch(space, dimensions);
  index.initIndex(rowCount);
  for (let i = 0; i < rowCount; i++) index.addPoint(Array.from(row(i)), i);
  return oneByOne(contender, dimensions, {
    query: (vector) => Array.from(vector),
    search: (query, k) => index.searchKnn(query, k).neighbors,
    rows: (neighbors) => neighbors,
    close: () => {},
  });
};
