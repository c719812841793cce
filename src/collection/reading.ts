/** Everything that looks at records and changes nothing: get, query, count, scan. */
import { RowSet } from "../core/rowset.ts";
import { setBits } from "../core/bit-ranges.ts";
import type { VectorInput } from "../core/matrix.ts";
import type { SearchOptions } from "../engine/contract.ts";
import type { SearchReport, SearchResult } from "../engine/result.ts";
import { noSuchRecord } from "./collection-errors.ts";
import type { Match, VectorRecord } from "./contract.ts";
import type { CompiledFilter } from "./filter.ts";
import { matchBits, matched } from "./matching.ts";
import type { Metadata } from "./metadata.ts";
import { ROW_ELEMENTS, type Records } from "./records.ts";

/** Options of a query, checked. */
export interface CheckedQuery {
  readonly k: number;
  readonly filter: CompiledFilter | undefined;
  readonly maxDistance: number | undefined;
  readonly withMetadata: boolean;
  readonly withVector: boolean;
  readonly signal: AbortSignal | undefined;
}

export function getRecords(records: Records, ids: readonly string[]): Promise<(VectorRecord | undefined)[]> {
  return records.reading(async () => {
    const rows = await rowsOf(records, ids);
    const found = rows.filter((row) => row !== undefined);
    const made = await recordsAt(records, found);
    let next = 0;
    return rows.map((row) => (row === undefined ? undefined : made[next++]));
  });
}

export async function queryVectors(
  records: Records,
  vectors: VectorInput,
  query: CheckedQuery,
): Promise<{ results: Match[][]; report: SearchReport }> {
  return records.reading(async () => {
    const { filter, signal } = query;
    const found =
      filter === undefined
        ? await records.index.search(vectors, searchOptions(query, undefined))
        : await matched(
            records,
            filter,
            // In an object: the search must not be waited for where rows are kept from changing.
            (bits, rowCount) => ({
              search: records.index.search(vectors, searchOptions(query, RowSet.fromBits(bits, rowCount))),
            }),
            signal,
          ).then(({ search }) => search);
    return { results: await matchesOf(records, found, query), report: found.report };
  });
}

/** The nearest to a record, itself left out. Rejects with NOT_FOUND. */
export async function queryLike(
  records: Records,
  id: string,
  query: CheckedQuery,
): Promise<{ results: Match[][]; report: SearchReport }> {
  return records.reading(async () => {
    const [row] = await rowsOf(records, [id]);
    if (row === undefined) throw noSuchRecord(id);
    const vector = await records.index.valuesAt([row]);
    const { search } = await matched(
      records,
      query.filter,
      (bits, rowCount) => {
        const others = RowSet.fromBits(bits, rowCount).delete(row);
        return { search: records.index.search(vector, searchOptions(query, others)) };
      },
      query.signal,
    );
    const found = await search;
    return { results: await matchesOf(records, found, query), report: found.report };
  });
}

/** Records that match, of the version there is at the first step, in batches. */
export async function* scanRecords(
  records: Records,
  filter: CompiledFilter | undefined,
  batch: number,
): AsyncGenerator<VectorRecord[], void, undefined> {
  records.beginReading();
  try {
    const bits = await matchBits(records, filter);
    let rows: number[] = [];
    for (const row of setBits(bits)) {
      rows.push(row);
      if (rows.length < batch) continue;
      yield await recordsAt(records, rows);
      rows = [];
    }
    if (rows.length > 0) yield await recordsAt(records, rows);
  } finally {
    records.endReading();
  }
}

function rowsOf(records: Records, ids: readonly string[]): Promise<(number | undefined)[]> {
  return records.steady(
    async () => {
      await records.prepareIds();
      const rows: (number | undefined)[] = [];
      for (const id of ids) {
        const turn = records.slices.take(ROW_ELEMENTS);
        if (turn !== undefined) await turn;
        rows.push(records.ids.rowOf(id));
      }
      return rows;
    },
    (rows) => rows,
  );
}

async function recordsAt(records: Records, rows: readonly number[]): Promise<VectorRecord[]> {
  const values = await records.index.valuesAt(rows);
  const length = rows.length === 0 ? 0 : values.length / rows.length;
  const made: VectorRecord[] = [];
  for (const [i, row] of rows.entries()) {
    const metadata = records.metadata.get(row);
    const turn = records.slices.take(RECORD_ELEMENTS + length);
    if (turn !== undefined) await turn;
    const vector = values.slice(i * length, (i + 1) * length);
    made.push({ id: records.ids.idOf(row), vector, ...(metadata === undefined ? {} : { metadata }) });
  }
  return made;
}

/** Elements of a slice that making a record costs: decoding its id, parsing its metadata. */
const RECORD_ELEMENTS = 512;

function searchOptions({ k, maxDistance, signal }: CheckedQuery, filter: RowSet | undefined): SearchOptions {
  return {
    k,
    ...(filter === undefined ? {} : { filter }),
    ...(maxDistance === undefined ? {} : { maxDistance }),
    ...(signal === undefined ? {} : { signal }),
  };
}

async function matchesOf(records: Records, found: SearchResult, query: CheckedQuery): Promise<Match[][]> {
  await records.settled();
  const results: Match[][] = [];
  for (let q = 0; q < found.queries; q++) {
    const hits = found.hits(q);
    const vectors = query.withVector ? await records.index.valuesAt(hits.map(({ row }) => row)) : undefined;
    const length = vectors === undefined || hits.length === 0 ? 0 : vectors.length / hits.length;
    const matches: Match[] = [];
    for (const [i, { row, distance }] of hits.entries()) {
      const turn = records.slices.take(query.withMetadata ? RECORD_ELEMENTS : RECORD_ELEMENTS / 4);
      if (turn !== undefined) await turn;
      const metadata: Metadata | undefined = query.withMetadata ? records.metadata.get(row) : undefined;
      matches.push({
        id: records.ids.idOf(row),
        distance,
        ...(metadata === undefined ? {} : { metadata }),
        ...(vectors === undefined ? {} : { vector: vectors.slice(i * length, (i + 1) * length) }),
      });
    }
    results.push(matches);
  }
  return results;
}
