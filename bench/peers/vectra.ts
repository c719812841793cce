/**
 * vectra's LocalIndex, a scan in JavaScript over arrays of doubles, with its file storage in memory and its binary codec
 * (its JSON of 100,000 rows is longer than a string can be). Cosine only; one query a call, on the calling thread.
 */
import { type OpenPeer, floatVectors, metricOf } from "./peer.ts";
import { oneByOne } from "./one-by-one.ts";

interface LocalIndex {
  createIndex(options: { readonly version: number }): Promise<void>;
  batchInsertItems(items: readonly { readonly id: string; readonly vector: readonly number[] }[]): Promise<unknown>;
  queryItems(
    vector: readonly number[],
    text: string,
    k: number,
  ): Promise<readonly { readonly item: { readonly id: string } }[]>;
}

interface Vectra {
  readonly LocalIndex: new (folder: string, name: undefined, storage: object, codec: object) => LocalIndex;
  readonly VirtualFileStorage: new () => object;
  readonly ProtobufCodec: new () => object;
}

export const openVectra: OpenPeer = async (packages, contender, metric, vectors) => {
  const { dimensions, rowCount, row } = floatVectors(contender, vectors);
  metricOf(contender, metric, { cosine: "cosine" });
  const { LocalIndex, VirtualFileStorage, ProtobufCodec } = packages.require("vectra") as Vectra;
  const index = new LocalIndex("rows", undefined, new VirtualFileStorage(), new ProtobufCodec());
  await index.createIndex({ version: 1 });
  await index.batchInsertItems(
    Array.from({ length: rowCount }, (_, i) => ({ id: `${i}`, vector: Array.from(row(i)) })),
  );
  return oneByOne(contender, dimensions, {
    query: (vector) => Array.from(vector),
    search: (query, k) => index.queryItems(query, "", k),
    rows: (found) => found.map(({ item }) => Number(item.id)),
    close: () => {},
  });
};
