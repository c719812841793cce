/** What a contender of the benchmarks of collections can do: records in, durable, and the nearest out. */
import { openCollection } from "nearfield";
import type { FilmRecord } from "./records.ts";

export interface Store {
  /** Durable, as far as the contender goes, when it resolves. */
  write(records: readonly FilmRecord[]): Promise<void>;
  count(): Promise<number>;
  /** Ids of the k nearest by cosine, exactly; of films from a year on where it is given. */
  nearest(vector: Float32Array, k: number, fromYear?: number): Promise<string[]>;
  close(): Promise<void>;
}

export async function openNearfieldStore(folder: string, dimensions: number): Promise<Store> {
  const collection = await openCollection(folder, { dimensions, backend: "cpu" });
  return {
    async write(records) {
      await collection.upsert(records);
    },
    count: () => collection.count(),
    async nearest(vector, k, fromYear) {
      const filter = fromYear === undefined ? {} : { filter: { year: { $gte: fromYear } } };
      const { matches } = await collection.query({ vector, k, include: [], ...filter });
      return matches.map(({ id }) => id);
    },
    close: () => collection.close(),
  };
}
