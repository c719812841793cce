/**
 * Rows as they are stored, into the row store and out of it, in slices and without looking at
 * vectors. Adopting fills the store's own memory, so that what is read from a file is never in
 * memory twice. All room is made before the first read: nothing grows, and so nothing moves, while
 * a reader fills a view. What fails half-way is zeroed, because writers rely on zero padding, and
 * not committed.
 */
import type { Rows } from "../core/backend.ts";
import { abortedError, NearfieldError } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";
import { GrowingNormRange, isNormRange, normsOfTerms } from "../core/norm-range.ts";
import type { WorkSlices } from "../core/slices.ts";
import type { StoredColumn, StoredColumnReader } from "../core/stored-column.ts";
import { allocated } from "./answer.ts";
import type { AddOptions } from "./contract.ts";
import type { AdoptResult } from "./stored-index.ts";

/** Fills the rows behind the committed ones from the readers; the caller commits. Rejects without a trace. */
export async function adoptColumns(
  rows: Rows,
  readers: readonly StoredColumnReader[],
  options: AddOptions,
  slices: WorkSlices,
): Promise<AdoptResult> {
  const count = readers.reduce((sum, reader) => sum + reader.count, 0);
  rows.discard(); // what an add before this one may have left
  const first = rows.rowCount;
  for (const reader of readers) if (!isNormRange(reader)) throw impossibleNorms(reader);
  if (count > 0) rows.reserve(first + count - 1);
  const reads = new Reads();
  let end = first;
  try {
    for (const reader of readers) {
      const start = end;
      const atOnce = Math.min(reader.readsAtOnce ?? 1, LIMITS.adoptReads);
      for (const piece of piecesOf(rows, start, reader.count, slices)) {
        const turn = slices.take(piece.elements);
        if (turn !== undefined) {
          options.onProgress?.({ done: end - first, total: count });
          await turn;
        }
        await reads.fewerThan(atOnce);
        if (options.signal?.aborted === true) throw abortedError(options.signal);
        end = piece.first + piece.count;
        reads.begin(() => fill(rows, reader, piece.first - start, piece));
      }
      await reads.fewerThan(1);
    }
    if (options.signal?.aborted === true) throw abortedError(options.signal);
    options.onProgress?.({ done: count, total: count });
  } catch (error) {
    await reads.settled();
    rows.discard();
    for (const piece of piecesOf(rows, first, end - first, slices)) {
      const turn = slices.take(piece.elements);
      if (turn !== undefined) await turn;
      rows.erase(piece.first, piece.count);
    }
    throw error;
  }
  return { first, count };
}

async function fill(rows: Rows, reader: StoredColumnReader, at: number, { first, count }: Piece): Promise<void> {
  const terms = rows.terms(first, count);
  await reader.read(at, { rows: rows.bytes(first, count), terms, scales: rows.scales(first, count) });
  rows.claim(first, normsOfTerms(terms, rows.metric, reader));
}

/** Reads under way. A failure is told by the next `fewerThan`. */
class Reads {
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  begin(read: () => Promise<void>): void {
    const running = read()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Resolves when fewer than `count` run and none has failed. */
  async fewerThan(count: number): Promise<void> {
    while (this.#running.size >= count && this.#failure === undefined) await Promise.race(this.#running);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Resolves when none runs any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }
}

/** Copies of rows as stored, and bounds of their norms. */
export async function exportRows(rows: Rows, first: number, count: number, slices: WorkSlices): Promise<StoredColumn> {
  if (!(first >= 0 && count >= 0 && first + count <= rows.rowCount)) {
    throw new Error(`rows ${first} … ${first + count - 1} of ${rows.rowCount} to be copied`);
  }
  const column = allocated(`${count} rows`, () => ({
    rows: new Uint8Array(count * rows.rowBytes),
    terms: new Float32Array(count),
    scales: new Float32Array(rows.precision === "i8" ? count : 0),
  }));
  const norms = new GrowingNormRange();
  for (const piece of piecesOf(rows, first, count, slices)) {
    const turn = slices.take(piece.elements);
    if (turn !== undefined) await turn;
    const at = piece.first - first;
    column.rows.set(rows.bytes(piece.first, piece.count), at * rows.rowBytes);
    column.terms.set(rows.terms(piece.first, piece.count), at);
    if (rows.precision === "i8") column.scales.set(rows.scales(piece.first, piece.count), at);
    const block = rows.blocks[Math.floor(piece.first / rows.blockRows)];
    if (block !== undefined) norms.unite(block);
  }
  return { ...column, minNorm: norms.minNorm, maxNorm: norms.maxNorm };
}

/** Rows that lie in one block and fit one slice. `elements`: 32-bit words of them, terms and scales too. */
interface Piece {
  readonly first: number;
  readonly count: number;
  readonly elements: number;
}

function* piecesOf(rows: Rows, first: number, count: number, slices: WorkSlices): Generator<Piece> {
  const words = rows.rowBytes / 4 + (rows.precision === "i8" ? 2 : 1);
  const most = Math.max(1, Math.floor(slices.budget / words));
  for (let row = first; row < first + count; ) {
    const toBlockEnd = rows.blockRows - (row % rows.blockRows);
    const piece = Math.min(first + count - row, toBlockEnd, most);
    yield { first: row, count: piece, elements: piece * words };
    row += piece;
  }
}

function impossibleNorms({ minNorm, maxNorm }: StoredColumnReader): NearfieldError {
  return new NearfieldError("CORRUPT", {
    got: `norms from ${minNorm} to ${maxNorm}`,
    expected: "bounds of the norms of stored rows",
    remedy: "the file is damaged, or another program wrote it: restore it from a copy",
  });
}
