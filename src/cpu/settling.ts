/**
 * True distances for rows that scans let through, and the shortlists of queries that want many.
 *
 * For those a bound is guessed after a sample of the rows: the estimate at a rank that more than k
 * of all rows are within, but for bad luck. Without it a bound settles as slowly as k·ln(N / k): of
 * 100,000 Gaussian rows 11,600 survived the codes for k = 1000; with the guess 6,000 do, a third of
 * them in the sample. Every row within the guess is kept, so the answer is right when its farthest
 * row is within too, which is looked at in the end; else the query is searched again without one.
 */
import { greatestTruth, toEstimateScale } from "../core/margin.ts";
import { rowsAt, scalesAt, type StoreShape } from "./layout.ts";
import type { Shortlist } from "./shortlist.ts";
import type { Chunk, StoreView } from "./store-view.ts";
import type { ScanTask } from "./tasks.ts";
import { estimateLimit, type QueryTile, type TileQuery } from "./tile.ts";

/** Standard deviations by which a sample may hold too many of the nearest rows before the guess is too low. */
const LUCK = 4;

/** Guesses bounds from the shortlists, after `sampled` of the tile's rows. */
export function guessBounds(view: StoreView, tile: QueryTile, sampled: number): void {
  for (const query of tile.queries) {
    const { shortlist } = query;
    if (shortlist === undefined) continue;
    const expected = (shortlist.wanted * sampled) / tile.totalRows;
    const rank = Math.ceil(expected + LUCK * Math.sqrt(expected) + LUCK);
    if (rank > shortlist.wanted || rank > shortlist.count) continue;
    query.guess = greatestTruth(shortlist.kth(rank), query.margin, query.scale, view.longest);
    query.truth = Math.min(query.truth, query.guess);
    shortlist.tighten(estimateLimit(query, query.truth));
  }
}

/** Whether no row of the answer can have been left out because of a guess. */
export function isGuessedRight({ shape }: StoreView, { guess, heap, maxDistance, scale }: TileQuery): boolean {
  if (guess === Infinity || shape.estimated === undefined) return true;
  return toEstimateScale(shape.estimated, Math.min(heap.bound, maxDistance), scale) <= guess;
}

/** Settles what is on the query's shortlist, and gives it up. `at`: the query's place in the tile. */
export function settleShortlist(view: StoreView, query: TileQuery, at: number, settled: Uint32Array): void {
  for (const row of takeShortlist(view, query)) settleIn(view, row, query, at, settled);
}

/**
 * Settles what is on the shortlists of a tile, and gives them up. Goes through the rows in order
 * with all queries, so that memory is read forward: of rows of 1.5 kB one far from the last takes
 * 0.87 µs, one of every third 0.5 µs. `blocks`: ascending. Yields how many are about to be settled,
 * in the next `window` rows.
 */
export function* settleShortlists(
  view: StoreView,
  tile: QueryTile,
  blocks: ScanTask["blocks"],
  window: number,
  settled: Uint32Array,
): Generator<number> {
  if (!tile.hasShortlists) return;
  const { blockRows } = view.shape;
  const lists = tile.queries.map((query, at) => ({ query, at, rows: takeShortlist(view, query), next: 0, end: 0 }));
  for (const { block, rowCount } of blocks) {
    for (let first = 0; first < rowCount; first += window) {
      const beyond = block * blockRows + Math.min(first + window, rowCount);
      let pairs = 0;
      for (const list of lists) {
        while ((list.rows[list.end] ?? Infinity) < beyond) list.end++;
        pairs += list.end - list.next;
      }
      yield pairs;
      for (const list of lists) {
        for (; list.next < list.end; list.next++) {
          settleIn(view, list.rows[list.next] ?? 0, list.query, list.at, settled);
        }
      }
    }
  }
  if (lists.some((list) => list.next < list.rows.length))
    throw new Error("rows of a shortlist outside the blocks, or blocks out of order");
}

/** The rows that have to be settled, ascending; the query has no shortlist from then on. */
function takeShortlist(view: StoreView, query: TileQuery): Uint32Array {
  const { shortlist } = query;
  if (shortlist === undefined) return new Uint32Array(0);
  shorten(view, query, shortlist);
  query.shortlist = undefined;
  query.truth = Infinity;
  return shortlist.sorted();
}

/** Drops from the shortlist what cannot belong to the answer; false when that is hardly anything. */
export function shorten({ longest }: StoreView, query: TileQuery, shortlist: Shortlist): boolean {
  const kth = shortlist.kth();
  if (kth === Infinity) return false;
  query.truth = Math.min(query.truth, greatestTruth(kth, query.margin, query.scale, longest));
  return shortlist.tighten(estimateLimit(query, query.truth));
}

function settleIn(view: StoreView, row: number, query: TileQuery, at: number, settled: Uint32Array): void {
  const { shape } = view;
  const { chunk, index } = view.locate(Math.floor(row / shape.blockRows));
  settleRow(shape, chunk, index, row % shape.blockRows, row, query, at, settled);
}

/** Offers row `slot` of a block, row `row` of the store, to the query's heap; whether it was taken. */
export function settleRow(
  shape: StoreShape,
  { kernels, scratch }: Chunk,
  index: number,
  slot: number,
  row: number,
  query: TileQuery,
  at: number,
  settled: Uint32Array,
): boolean {
  const given = scratch.base + shape.scratch.givenQueries + at * shape.stride * 4;
  const out = scratch.base + shape.scratch.distances;
  const distance = kernels.distance(given, rowsAt(shape, index, slot), scalesAt(shape, index, slot), out);
  settled[query.index] = (settled[query.index] ?? 0) + 1;
  return distance <= query.maxDistance && query.heap.offer(distance, row);
}
