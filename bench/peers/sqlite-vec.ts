/**
 * sqlite-vec through Node's own SQLite (Node 22 and later), the file in WAL mode with
 * synchronous=FULL: each group is a transaction that ends in a sync. Vectors are float32 blobs of a
 * vec0 table; ids and metadata, as JSON, lie in an ordinary table beside it.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Store } from "../collections/store.ts";
import type { PeerPackages } from "./packages.ts";
import { blob, openDatabase, type Statement } from "./sqlite.ts";

export async function openSqliteVec(packages: PeerPackages, folder: string, dimensions: number): Promise<Store> {
  mkdirSync(folder, { recursive: true });
  const database = openDatabase(packages, join(folder, "films.db"));
  database.exec("pragma journal_mode = wal; pragma synchronous = full;");
  database.exec("create table films (row integer primary key, id text not null unique, metadata text not null)");
  database.exec(`create virtual table vectors using vec0(embedding float[${dimensions}] distance_metric=cosine)`);
  const addFilm = database.prepare("insert into films (row, id, metadata) values (?, ?, ?)");
  const addVector = database.prepare("insert into vectors (rowid, embedding) values (?, ?)");
  const find = (condition: string): Statement =>
    database.prepare(
      `select films.id from (select rowid, distance from vectors where embedding match ? and k = ?${condition}) as found join films on films.row = found.rowid order by found.distance`,
    );
  const findAny = find("");
  const findFrom = find(" and rowid in (select row from films where metadata ->> '$.year' >= ?)");
  let rows = 0;
  return {
    async write(records) {
      database.exec("begin");
      for (const { id, vector, metadata } of records) {
        const row = ++rows;
        addFilm.run(row, id, JSON.stringify(metadata));
        addVector.run(BigInt(row), blob(vector));
      }
      database.exec("commit");
    },
    async count() {
      return (database.prepare("select count(*) as n from vectors").get() as { n: number }).n;
    },
    async nearest(vector, k, fromYear) {
      const query = blob(vector);
      const found = fromYear === undefined ? findAny.all(query, k) : findFrom.all(query, k, fromYear);
      return (found as { id: string }[]).map(({ id }) => id);
    },
    async close() {
      database.close();
    },
  };
}
