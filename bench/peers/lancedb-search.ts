/**
 * LanceDB without an index, so that it scans all rows; its tables lie in memory (on a disk a query took a fifth longer).
 * One query after the other: `addQueryVector` makes one plan of as many scans, and that was slower. Threads are pinned by
 * the environment, which its runtime reads once, when it is first used.
 */
import { type Arrow, vectorColumn } from "./arrow.ts";
import { type OpenPeer, floatVectors, metricOf } from "./peer.ts";
import { oneByOne } from "./one-by-one.ts";

interface LanceQuery {
  nearestTo(vector: Float32Array): LanceQuery;
  distanceType(type: string): LanceQuery;
  limit(k: number): LanceQuery;
  select(columns: readonly string[]): LanceQuery;
  toArrow(): Promise<{ getChild(column: string): Iterable<number> }>;
}
interface LanceTable {
  query(): LanceQuery;
  close(): void;
}
interface Lance {
  connect(uri: string): Promise<{
    createTable(name: string, data: unknown): Promise<LanceTable>;
    dropTable(name: string): Promise<void>;
    close(): void;
  }>;
}

export const openLanceDbSearch: OpenPeer = async (packages, contender, metric, vectors) => {
  const { dimensions, rowCount, rows } = floatVectors(contender, vectors);
  const distance = metricOf(contender, metric, { cosine: "cosine", euclidean: "l2" });
  for (const name of ["LANCE_CPU_THREADS", "TOKIO_WORKER_THREADS", "RAYON_NUM_THREADS"])
    process.env[name] = `${contender.threads}`;
  const lance = packages.require("@lancedb/lancedb") as Lance;
  const arrow = packages.require("apache-arrow") as Arrow;
  const database = await lance.connect("memory://");
  const numbers = Int32Array.from({ length: rowCount }, (_, row) => row);
  const table = await database.createTable(
    "rows",
    new arrow.Table({
      row: arrow.vectorFromArray(numbers, new arrow.Int32()),
      vector: vectorColumn(arrow, rows, dimensions),
    }),
  );
  return oneByOne(contender, dimensions, {
    query: (vector) => vector,
    search: (query, k) =>
      table.query().nearestTo(query).distanceType(distance).limit(k).select(["row", "_distance"]).toArrow(),
    rows: (found) => Array.from(found.getChild("row")),
    close: async () => {
      table.close();
      await database.dropTable("rows");
      database.close();
    },
  });
};
