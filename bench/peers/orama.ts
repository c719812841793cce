/**
 * Orama's vector search, a scan in JavaScript over a Float32Array for each document, then a sort of all that reach the
 * asked similarity: −1 here, all of them, for any more could cost answers. Cosine only; one query a call, on the calling
 * thread.
 */
import { type OpenPeer, floatVectors, metricOf } from "./peer.ts";
import { oneByOne } from "./one-by-one.ts";

interface Hits {
  readonly hits: readonly { readonly id: string }[];
}

interface Orama {
  create(options: { readonly schema: Readonly<Record<string, string>> }): object;
  insert(database: object, document: object): string | Promise<string>;
  searchVector(
    database: object,
    query: {
      readonly vector: { readonly value: Float32Array; readonly property: string };
      readonly similarity: number;
      readonly limit: number;
    },
  ): Hits | Promise<Hits>;
}

export const openOrama: OpenPeer = async (packages, contender, metric, vectors) => {
  const { dimensions, rowCount, row } = floatVectors(contender, vectors);
  metricOf(contender, metric, { cosine: "cosine" });
  const orama = packages.require("@orama/orama") as Orama;
  const database = orama.create({ schema: { embedding: `vector[${dimensions}]` } });
  for (let i = 0; i < rowCount; i++) await orama.insert(database, { id: `${i}`, embedding: Array.from(row(i)) });
  return oneByOne(contender, dimensions, {
    query: (value) => ({ value, property: "embedding" }),
    search: (vector, limit) => orama.searchVector(database, { vector, similarity: -1, limit }),
    rows: ({ hits }) => hits.map(({ id }) => Number(id)),
    close: () => {},
  });
};
