/**
 * sqlite-vec's vec0 table, which is searched by brute force, in a database in memory: one query a statement, on the calling
 * thread. Faster than its other way, `order by vec_distance_cosine(…)` over blobs of an ordinary table.
 */
import { type OpenPeer, floatVectors, metricOf } from "./peer.ts";
import { oneByOne } from "./one-by-one.ts";
import { blob, openDatabase } from "./sqlite.ts";

export const openSqliteVecSearch: OpenPeer = (packages, contender, metric, vectors) => {
  const { dimensions, rowCount, row } = floatVectors(contender, vectors);
  const distance = metricOf(contender, metric, { cosine: "cosine", euclidean: "l2" });
  const database = openDatabase(packages, ":memory:");
  database.exec(`create virtual table vectors using vec0(embedding float[${dimensions}] distance_metric=${distance})`);
  const add = database.prepare("insert into vectors (rowid, embedding) values (?, ?)");
  database.exec("begin");
  for (let i = 0; i < rowCount; i++) add.run(BigInt(i), blob(row(i)));
  database.exec("commit");
  const find = database.prepare("select rowid from vectors where embedding match ? and k = ? order by distance");
  return oneByOne(contender, dimensions, {
    query: blob,
    search: (query, k) => find.all(query, k) as { readonly rowid: number }[],
    rows: (found) => found.map(({ rowid }) => rowid),
    close: () => database.close(),
  });
};
