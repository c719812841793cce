/**
 * One span: rows of one block against all queries of a tile, by one of four scans. What a scan
 * does not rule out gets its canonical distance at once, so that heaps hold nothing but true
 * distances and the answer is exact by construction. Where many rows are wanted, estimates are
 * collected first and settled at the end, or at once after all where too many of them tie.
 */
import { hasBit } from "../core/rowset.ts";
import { codesAt, coefficientPlane, factsAt, rowsAt, scalesAt, type StoreShape, termsAt } from "./layout.ts";
import type { ScanSpan } from "./kernels.ts";
import { settleRow, settleShortlist, shorten } from "./settling.ts";
import type { Chunk, StoreView } from "./store-view.ts";
import { currentLimit, type QueryTile } from "./tile.ts";

export interface Span {
  readonly view: StoreView;
  readonly shape: StoreShape;
  readonly chunk: Chunk;
  /** The block's index in its chunk, and rows `first … first + rowCount − 1` of it. */
  readonly index: number;
  readonly first: number;
  readonly rowCount: number;
  /** Number of row `first` in the store. */
  readonly firstRow: number;
  /** Words of eligibility of a query; 0 where all share them. */
  readonly words: number;
}

/** Rules rows out by their codes, and of the rest, by float32 estimates. Returns how many pairs the codes let through. */
export function scanByCodes(span: Span, tile: QueryTile, settled: Uint32Array): number {
  const { shape, chunk, index, first, rowCount, words } = span;
  const { kernels, scratch } = chunk;
  const { base } = scratch;
  tile.refresh(chunk);
  const survivors = kernels.scanI8({
    codes: codesAt(shape, index, first, tile.codeStride),
    stride: tile.codeStride,
    facts: factsAt(shape, index, first),
    plane: shape.blockRows * 4,
    rowCount,
    queries: base + shape.scratch.queryCodes,
    queryCount: tile.queries.length,
    coefficients: base + shape.scratch.coefficients,
    coefficientPlane: coefficientPlane(shape.scratch.tileQueries),
    weight: tile.weight,
    eligible: base + shape.scratch.eligible,
    words,
    hits: base + shape.scratch.hits,
  });
  // An i8 row is its own codes: a float32 look would see no more.
  if (shape.estimated === undefined) settleHits(span, tile, survivors, false, settled);
  else refineHits(span, tile, survivors, settled);
  return survivors;
}

/** Rules rows out by float32 estimates; f16 and i8 rows are decoded for it, some at a time. */
export function scanByEstimates(span: Span, tile: QueryTile, settled: Uint32Array): void {
  const { shape, chunk, index, first } = span;
  tile.refresh(chunk);
  if (shape.precision !== "f32") {
    const decoded = chunk.scratch.base + shape.scratch.decoded;
    chunk.kernels.decode(rowsAt(shape, index, first), scalesAt(shape, index, first), span.rowCount, decoded);
    takeHits(span, tile, chunk.kernels.scanF32({ ...fullSpan(span, tile), rows: decoded }), settled);
    return;
  }
  takeHits(span, tile, chunk.kernels.scanF32(fullSpan(span, tile)), settled);
}

/** Hits of a float32 scan, which leaves no estimates behind: shortlists have them computed anew. */
function takeHits(span: Span, tile: QueryTile, count: number, settled: Uint32Array): void {
  if (tile.hasShortlists) refineHits(span, tile, count, settled);
  else settleHits(span, tile, count, false, settled);
}

/** Looks at the first `count` hits in float32; what is left goes to the shortlists, or is settled. */
function refineHits(span: Span, tile: QueryTile, count: number, settled: Uint32Array): void {
  if (count === 0) return;
  const { shape, chunk } = span;
  const estimates = chunk.scratch.base + shape.scratch.estimates;
  const kept = chunk.kernels.refine(fullSpan(span, tile), count, estimates);
  settleHits(span, tile, kept, true, settled);
}

/** Compares packed bits, exactly. */
export function scanByBits(span: Span, tile: QueryTile, settled: Uint32Array): void {
  tile.refresh(span.chunk);
  const given = span.chunk.scratch.base + span.shape.scratch.givenQueries;
  settleHits(span, tile, span.chunk.kernels.scanB1({ ...fullSpan(span, tile), queries: given }), false, settled);
}

/** Computes every canonical distance: of rows whose magnitude float32 cannot hold. */
export function scanCanonically(span: Span, tile: QueryTile, settled: Uint32Array): void {
  const { shape, chunk, index, first, rowCount, firstRow } = span;
  const { kernels, scratch } = chunk;
  const out = scratch.base + shape.scratch.distances;
  const [rows, scales] = [rowsAt(shape, index, first), scalesAt(shape, index, first)];
  tile.queries.forEach((query, i) => {
    kernels.distances(givenAt(span, i), rows, scales, rowCount, out);
    const { distances } = scratch.views;
    for (let r = 0; r < rowCount; r++) {
      const distance = distances[r] ?? Infinity;
      if (distance > query.heap.bound || distance > query.maxDistance) continue;
      if (hasBit(query.bits, firstRow + r)) query.heap.offer(distance, firstRow + r);
    }
    settled[query.index] = (settled[query.index] ?? 0) + rowCount;
  });
}

/** The first `count` hits in scratch go on the shortlists of their queries; where there is none they get their canonical distances. */
function settleHits(span: Span, tile: QueryTile, count: number, isRefined: boolean, settled: Uint32Array): void {
  const { view, shape, chunk, index, first, firstRow } = span;
  const { hits, estimates } = chunk.scratch.views;
  for (let h = 0; h < count; h++) {
    const hit = hits[h] ?? 0;
    const at = hit >>> 16;
    const row = hit & 0xffff;
    const query = tile.queries[at];
    if (query === undefined) continue;
    const { shortlist } = query;
    if (shortlist === undefined) {
      // The bound has moved since the span began.
      if (isRefined && (estimates[h] ?? 0) > query.limit) continue;
      const isNearer = settleRow(shape, chunk, index, first + row, firstRow + row, query, at, settled);
      if (isNearer && isRefined && shape.estimated !== undefined) query.limit = currentLimit(query, shape.estimated);
    } else if (!shortlist.add(estimates[h] ?? 0, firstRow + row)) {
      // Where nothing can be dropped, estimates tie: only true distances tell.
      if (!shorten(view, query, shortlist)) settleShortlist(view, query, at, settled);
      h--; // the row itself is still to be taken
    }
  }
}

/** The span as the kernels take it that read rows in full. */
function fullSpan({ shape, chunk, index, first, rowCount, words }: Span, tile: QueryTile): ScanSpan {
  const { scratch } = shape;
  const { base } = chunk.scratch;
  return {
    rows: rowsAt(shape, index, first),
    terms: termsAt(shape, index, first),
    rowCount,
    queries: base + scratch.scanQueries,
    queryCount: tile.queries.length,
    limits: base + scratch.limits,
    perNorms: base + scratch.perNorms,
    eligible: base + scratch.eligible,
    words,
    hits: base + scratch.hits,
  };
}

/** The query as it was given. */
function givenAt({ shape, chunk }: Span, query: number): number {
  return chunk.scratch.base + shape.scratch.givenQueries + query * shape.stride * 4;
}
