/**
 * LanceDB, by its fastest way in that we found: Arrow tables whose vectors are views of ours. It
 * writes a version for each `add`; its local store does not sync files or folders, so what an `add`
 * resolved may be lost with the power, though not with the process.
 */
import type { FilmRecord } from "../collections/records.ts";
import type { Store } from "../collections/store.ts";
import { type Arrow, vectorColumn } from "./arrow.ts";
import type { PeerPackages } from "./packages.ts";

interface LanceTable {
  add(data: unknown): Promise<unknown>;
  countRows(): Promise<number>;
  search(vector: Float32Array): LanceQuery;
  close(): void;
}
interface LanceQuery {
  distanceType(type: string): LanceQuery;
  limit(k: number): LanceQuery;
  select(columns: readonly string[]): LanceQuery;
  where(condition: string): LanceQuery;
  toArray(): Promise<{ readonly id: string }[]>;
}
interface Lance {
  connect(folder: string): Promise<{ createTable(name: string, data: unknown): Promise<LanceTable>; close(): void }>;
}

export async function openLanceDb(packages: PeerPackages, folder: string, dimensions: number): Promise<Store> {
  const lance = packages.require("@lancedb/lancedb") as Lance;
  const arrow = packages.require("apache-arrow") as Arrow;
  const database = await lance.connect(folder);
  let table: LanceTable | undefined;
  const opened = (): LanceTable => {
    if (table === undefined) throw new Error("nothing was written");
    return table;
  };
  return {
    async write(records) {
      const data = arrowTable(arrow, records, dimensions);
      if (table === undefined) table = await database.createTable("films", data);
      else await table.add(data);
    },
    count: () => opened().countRows(),
    async nearest(vector, k, fromYear) {
      const query = opened().search(vector).distanceType("cosine").limit(k).select(["id", "_distance"]);
      const found = await (fromYear === undefined ? query : query.where(`year >= ${fromYear}`)).toArray();
      return found.map(({ id }) => id);
    },
    async close() {
      table?.close();
      database.close();
    },
  };
}

function arrowTable(arrow: Arrow, records: readonly FilmRecord[], dimensions: number): unknown {
  const values = new Float32Array(records.length * dimensions);
  for (const [i, { vector }] of records.entries()) values.set(vector, i * dimensions);
  const utf8 = (of: (record: FilmRecord) => string): unknown =>
    arrow.vectorFromArray(records.map(of), new arrow.Utf8());
  const tags = new arrow.List(new arrow.Field("item", new arrow.Utf8(), true));
  return new arrow.Table({
    id: utf8(({ id }) => id),
    vector: vectorColumn(arrow, values, dimensions),
    title: utf8(({ metadata }) => metadata.title),
    year: arrow.vectorFromArray(
      records.map(({ metadata }) => metadata.year),
      new arrow.Int32(),
    ),
    lang: utf8(({ metadata }) => metadata.lang),
    tags: arrow.vectorFromArray(
      records.map(({ metadata }) => metadata.tags),
      tags,
    ),
    score: arrow.vectorFromArray(
      records.map(({ metadata }) => metadata.score),
      new arrow.Float64(),
    ),
    studio: utf8(({ metadata }) => metadata.studio),
  });
}
