/**
 * `add`: reads vectors in slices, checks them, writes them behind the committed rows, and commits
 * all at the end or nothing. An abort or a bad row leaves scratch behind that the next add overwrites.
 */
import type { Rows } from "../core/backend.ts";
import { abortedError, NearfieldError } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";
import { invalidVector, readRows, rejectionReason, rowNorm, type VectorInput } from "../core/matrix.ts";
import type { WorkSlices } from "../core/slices.ts";
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
  const { dimensions, stride, blockRows, metric } = rows;
  const reader = readRows(vectors, dimensions);
  rows.discard(); // what an add before this one may have left
  const first = rows.rowCount;
  if (first + reader.count > LIMITS.maxRows) throw tooManyRows(first, reader.count);
  const skipped: number[] = [];
  let row = first;
  let blockEnd = -1;
  let view: Float32Array = new Float32Array(0);
  for (let i = 0; i < reader.count; i++) {
    const turn = slices.take(stride);
    if (turn !== undefined) {
      options.onProgress?.({ done: i, total: reader.count });
      await turn;
      if (options.signal?.aborted === true) throw abortedError(options.signal);
      blockEnd = -1; // memory may have moved meanwhile
    }
    if (row >= blockEnd) {
      rows.reserve(row);
      blockEnd = row - (row % blockRows) + blockRows;
      view = rows.view(row - (row % blockRows), blockRows);
    }
    const at = (row % blockRows) * stride;
    reader.read(i, view, at);
    const norm = rowNorm(view, at, dimensions);
    const reason = rejectionReason(norm, metric);
    if (reason === undefined) rows.finishRow(row++, norm);
    else if (skipsInvalid) skipped.push(i);
    else throw invalidVector(i, "row", reason);
  }
  if (options.signal?.aborted === true) throw abortedError(options.signal);
  options.onProgress?.({ done: reader.count, total: reader.count });
  return { first, count: row - first, skipped };
}

/** One vector, checked, with its norm. Throws INVALID_DIMENSIONS unless there is exactly one. */
export function readOne(vector: VectorInput, rows: Rows): { values: Float32Array; norm: number } {
  const reader = readRows(vector, rows.dimensions);
  if (reader.count !== 1) {
    throw new NearfieldError("INVALID_DIMENSIONS", {
      got: `${reader.count} vectors`,
      expected: "exactly one",
      remedy: "replace rows one by one",
    });
  }
  const values = new Float32Array(rows.stride);
  reader.read(0, values, 0);
  const norm = rowNorm(values, 0, rows.dimensions);
  const reason = rejectionReason(norm, rows.metric);
  if (reason !== undefined) throw invalidVector(0, "row", reason);
  return { values, norm };
}

/** All queries of a call, padded, with their norms. Any invalid one rejects the call. */
export async function readQueries(
  queries: VectorInput,
  rows: Rows,
  slices: WorkSlices,
): Promise<{ vectors: Float32Array; norms: Float64Array }> {
  const { dimensions, stride, metric } = rows;
  const reader = readRows(queries, dimensions);
  const vectors = new Float32Array(reader.count * stride);
  const norms = new Float64Array(reader.count);
  for (let q = 0; q < reader.count; q++) {
    const turn = slices.take(stride);
    if (turn !== undefined) await turn;
    reader.read(q, vectors, q * stride);
    const norm = rowNorm(vectors, q * stride, dimensions);
    const reason = rejectionReason(norm, metric);
    if (reason !== undefined) throw invalidVector(q, "query", reason);
    norms[q] = norm;
  }
  return { vectors, norms };
}

function tooManyRows(rowCount: number, added: number): NearfieldError {
  return new NearfieldError("TOO_LARGE", {
    got: `${added} more rows beside ${rowCount}`,
    expected: `at most ${LIMITS.maxRows} rows in one index`,
    remedy: "spread the rows over several indexes, or remove() and compact()",
  });
}
