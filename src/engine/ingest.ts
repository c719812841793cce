/**
 * `add`: reads vectors in slices, checks them, writes them behind the committed rows, and commits
 * all at the end or nothing. An abort or a bad row leaves scratch behind that the next add overwrites.
 */
import type { QueryVectors, RowSource, Rows, StoredVector } from "../core/backend.ts";
import { countWords } from "../core/bits.ts";
import { abortedError, NearfieldError } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";
import { invalidVector, readRows, rejectionReason, type RowReader, rowNorm, type VectorInput } from "../core/matrix.ts";
import type { WorkSlices } from "../core/slices.ts";
import { readBits } from "../core/stored-rows.ts";
import type { AddOptions, AddResult } from "./contract.ts";
import { checkSignal, invalidOption } from "./options.ts";

/** Throws INVALID_OPTION. */
export function checkAddOptions(options: AddOptions): void {
  if (typeof options !== "object" || options === null) {
    throw invalidOption("add options", options, "an object such as { signal }", "leave it out");
  }
  checkSignal(options.signal);
  if (options.onProgress === undefined || typeof options.onProgress === "function") return;
  throw invalidOption("onProgress", options.onProgress, "a function", "leave it out to hear nothing");
}

/** Writes the vectors behind the committed rows; the caller commits. Rejects without a trace. */
export async function ingest(
  rows: Rows,
  vectors: VectorInput,
  options: AddOptions,
  skipsInvalid: boolean,
  slices: WorkSlices,
): Promise<AddResult> {
  const { dimensions, blockRows, precision } = rows;
  const reader = readRows(vectors, dimensions, precision);
  const cost = rowCost(rows, reader);
  rows.discard(); // what an add before this one may have left
  const first = rows.rowCount;
  checkRoom(first, reader.count);
  const skipped: number[] = [];
  let row = first;
  for (let i = 0; i < reader.count; i++) {
    const turn = slices.take(cost);
    if (turn !== undefined) {
      options.onProgress?.({ done: i, total: reader.count });
      await turn;
      if (options.signal?.aborted === true) throw abortedError(options.signal);
    }
    if (row === first || row % blockRows === 0) rows.reserve(row);
    const reason = rows.write(row, reader, i);
    if (reason === undefined) row++;
    else if (skipsInvalid) skipped.push(i);
    else throw invalidVector(i, "row", reason);
  }
  if (options.signal?.aborted === true) throw abortedError(options.signal);
  options.onProgress?.({ done: reader.count, total: reader.count });
  return { first, count: row - first, skipped };
}

/** What reading a vector and storing it costs, in elements. */
function rowCost(rows: RowSource, reader: RowReader): number {
  return Math.max(rows.stride, reader.rowElements);
}

/** One vector, checked, as it is to be stored. Throws INVALID_DIMENSIONS unless there is exactly one. */
export function readOne(vector: VectorInput, rows: Rows): StoredVector {
  const reader = readRows(vector, rows.dimensions, rows.precision);
  if (reader.count !== 1) {
    throw new NearfieldError("INVALID_DIMENSIONS", {
      got: `${reader.count} vectors`,
      expected: "exactly one",
      remedy: "replace rows one by one",
    });
  }
  const stored = rows.encode(reader, 0);
  if (typeof stored === "string") throw invalidVector(0, "row", stored);
  return stored;
}

/** Blank queries of `words` 32-bit words: floats, which are never quantised, or packed bits. */
export function queryVectors({ precision }: RowSource, words: number): QueryVectors {
  return precision === "b1" ? new Uint32Array(words) : new Float32Array(words);
}

/** All queries of a call, padded, with their norms. Any invalid one rejects the call. */
export async function readQueries(
  queries: VectorInput,
  rows: Rows,
  slices: WorkSlices,
): Promise<{ vectors: QueryVectors; norms: Float64Array }> {
  const { dimensions, stride, precision } = rows;
  const reader = readRows(queries, dimensions, precision);
  const vectors = queryVectors(rows, reader.count * stride);
  const norms = new Float64Array(reader.count);
  const read = queryReader(rows, reader, vectors);
  const cost = rowCost(rows, reader);
  for (let q = 0; q < reader.count; q++) {
    const turn = slices.take(cost);
    if (turn !== undefined) await turn;
    const norm = read(q);
    if (typeof norm === "string") throw invalidVector(q, "query", norm);
    norms[q] = norm;
  }
  return { vectors, norms };
}

/** Reads query `q` to its place in `vectors`; returns its norm, or why it is invalid. */
function queryReader(
  { dimensions, stride, metric }: RowSource,
  reader: RowReader,
  vectors: QueryVectors,
): (q: number) => number | string {
  if (vectors instanceof Uint32Array) {
    const scratch = new Float32Array(dimensions);
    const bytes = new Uint8Array(vectors.buffer);
    return (q) =>
      readBits(reader, q, scratch, bytes, q * stride * 4, dimensions) ?? countWords(vectors, q * stride, stride);
  }
  if (reader.kind === "bits") throw new Error("packed bits are for precision b1");
  return (q) => {
    reader.read(q, vectors, q * stride);
    const norm = rowNorm(vectors, q * stride, dimensions);
    return rejectionReason(norm, metric) ?? norm;
  };
}

/** Throws TOO_LARGE where row numbers would not last for `added` more rows. */
export function checkRoom(rowCount: number, added: number): void {
  if (rowCount + added <= LIMITS.maxRows) return;
  throw new NearfieldError("TOO_LARGE", {
    got: `${added} more rows beside ${rowCount}`,
    expected: `at most ${LIMITS.maxRows} rows in one index`,
    remedy: "spread the rows over several indexes, or remove() and compact()",
  });
}
