/**
 * Where things lie in a chunk of row memory; pure arithmetic shared by the host and the workers.
 *
 *   chunk = scratch of slot 0 | … | scratch of the last slot | block 0 | block 1 | …
 *   block = row terms [blockRows] f32 | scales [blockRows] f32, of i8 only
 *         | seal, facts, codes, where the rows are coded | rows [blockRows × rowBytes]
 *
 * One chunk is one WASM memory, because a kernel instance sees exactly one memory: its scratch
 * must lie beside the rows, one area for each worker slot so that workers can share the chunk.
 * A *row term* is what the full scan multiplies by: 1/‖x‖ for cosine, ‖x‖ otherwise; of b1 the
 * number of set bits.
 *
 * *Codes* are the scan copy of the certified scan (encoder.ts): int8, as many a row as there are
 * directions, in room for as many as there are dimensions; of i8 rows the rows themselves. *Facts*
 * are what is known of a row beside its codes: five arrays [blockRows]. The *seal* says what of it
 * is there: basis, version of the block, rows. Copies lie beside the rows, and not in memory of
 * their own, so that they grow, move and go away with them.
 */
import type { ProductMetric } from "../core/basis.ts";
import { LIMITS } from "../core/limits.ts";
import { floatMetric, type FloatMetric, type Metric, type Precision } from "../core/metric.ts";
import { type RowFormat, rowFormat } from "../core/stored-rows.ts";

export interface StoreShape extends RowFormat {
  /** The metric whose float32 estimates rule rows out; undefined where rows are scanned by exact kernels. */
  readonly estimated: FloatMetric | undefined;
  /** The metric whose int8 codes rule rows out; undefined where blocks have none. */
  readonly coded: ProductMetric | undefined;
  /** Bytes of a row's room for codes; 0 where the rows are the codes. */
  readonly codeRoom: number;
  /** Rows of a block: a power of two, a multiple of 32. */
  readonly blockRows: number;
  readonly blockBytes: number;
  readonly blocksPerChunk: number;
  /** Scratch areas of a chunk: one for each worker that may use it. */
  readonly slots: number;
  readonly scratch: ScratchLayout;
}

/** Sizes of one scratch area, and byte offsets inside it. */
interface ScratchLayout {
  readonly tileQueries: number;
  /** Rows × queries of one span: as many hits have room. */
  readonly spanPairs: number;
  /** Rows that have room once decoded to float32. */
  readonly decodedRows: number;
  readonly scanQueries: number;
  readonly givenQueries: number;
  readonly limits: number;
  readonly perNorms: number;
  readonly queryCodes: number;
  readonly coefficients: number;
  readonly eligible: number;
  readonly hits: number;
  readonly estimates: number;
  readonly distances: number;
  readonly decoded: number;
  readonly bytes: number;
}

/** Arrays of facts: scale, E, R, n [f32], Σ codes [i32]. */
export const FACTS = 5;
/** Arrays of a query's coefficients: product, perError, perResidual, perNorm, limit [f32]. */
export const COEFFICIENTS = 5;
const SEAL_BYTES = 16;

/** `isCoded`: whether blocks have room for codes, where the precision and the metric allow for them. `mostRows`: of a block. */
export function storeShape(
  precision: Precision,
  metric: Metric,
  dimensions: number,
  slots: number,
  isCoded: boolean,
  mostRows: number = LIMITS.blockRows,
): StoreShape {
  const format = rowFormat(precision, metric, dimensions);
  const { rowBytes } = format;
  const coded = isCoded ? productMetric(precision, metric) : undefined;
  const codeRoom = coded === undefined || precision === "i8" ? 0 : codeStride(dimensions);
  const fitting = 2 ** Math.floor(Math.log2(LIMITS.blockBytes / rowBytes));
  const blockRows = Math.min(mostRows, Math.max(32, fitting));
  const perRow = 4 + (precision === "i8" ? 4 : 0) + (coded === undefined ? 0 : FACTS * 4) + codeRoom + rowBytes;
  const blockBytes = (coded === undefined ? 0 : SEAL_BYTES) + blockRows * perRow;
  const scratch = scratchLayout(format, coded === undefined ? 0 : codeStride(dimensions), blockRows);
  const blocksPerChunk = Math.max(1, Math.floor((LIMITS.chunkBytes - slots * scratch.bytes) / blockBytes));
  const estimated = estimatedMetric(precision, metric);
  return { ...format, estimated, coded, codeRoom, blockRows, blockBytes, blocksPerChunk, slots, scratch };
}

/** The metric that int8 codes can bound, if this is one. */
function productMetric(precision: Precision, metric: Metric): ProductMetric | undefined {
  if (precision === "b1") return undefined;
  return metric === "cosine" || metric === "dot" || metric === "euclidean" ? metric : undefined;
}

/** i8 rows are decoded to float32 for manhattan only: for the other metrics their codes are scanned as they are. */
function estimatedMetric(precision: Precision, metric: Metric): FloatMetric | undefined {
  if (precision === "b1") return undefined;
  return precision === "i8" && metric !== "manhattan" ? undefined : floatMetric(metric);
}

/** Bytes between the codes of two rows with `length` codes each. */
export function codeStride(length: number): number {
  return Math.ceil(length / 16) * 16;
}

function scratchLayout({ precision, stride }: RowFormat, codes: number, blockRows: number): ScratchLayout {
  const fitting = Math.floor(LIMITS.tileBytes / (stride * 4));
  const tileQueries = Math.min(LIMITS.tileQueries, Math.max(1, fitting < 4 ? fitting : fitting - (fitting % 4)));
  const spanPairs = Math.max(LIMITS.spanPairs, tileQueries * 32);
  const isDecoded = precision === "f16" || precision === "i8";
  const decodedRows = isDecoded ? Math.min(blockRows, Math.max(1, Math.floor(LIMITS.spanBytes / (stride * 4)))) : 0;
  let end = 0;
  const area = (bytes: number): number => {
    const at = end;
    end += Math.ceil(bytes / 16) * 16;
    return at;
  };
  return {
    tileQueries,
    spanPairs,
    decodedRows,
    scanQueries: area(tileQueries * stride * 4),
    givenQueries: area(tileQueries * stride * 4),
    limits: area(tileQueries * 4),
    perNorms: area(tileQueries * 4),
    queryCodes: area(tileQueries * codes * 2),
    coefficients: area(COEFFICIENTS * coefficientPlane(tileQueries)),
    // A word more a query than pairs are full words.
    eligible: area(spanPairs / 8 + tileQueries * 4),
    hits: area(spanPairs * 4),
    estimates: area(spanPairs * 4),
    distances: area(blockRows * 4),
    decoded: area(decodedRows * stride * 4),
    bytes: end,
  };
}

/** Bytes between two arrays of coefficients: kernels read four at a time. */
export function coefficientPlane(tileQueries: number): number {
  return Math.ceil(tileQueries / 4) * 16;
}

export function scratchAt(shape: StoreShape, slot: number): number {
  return slot * shape.scratch.bytes;
}

/** Byte offset of block `index` (counted within its chunk). */
export function blockAt(shape: StoreShape, index: number): number {
  return shape.slots * shape.scratch.bytes + index * shape.blockBytes;
}

/** Bytes of a chunk that holds `blocks` blocks. */
export function chunkBytes(shape: StoreShape, blocks: number): number {
  return blockAt(shape, blocks);
}

export function termsAt(shape: StoreShape, block: number, row: number): number {
  return blockAt(shape, block) + row * 4;
}

/** Scales are there for i8 only; elsewhere this is where the next thing begins. */
export function scalesAt(shape: StoreShape, block: number, row: number): number {
  return termsAt(shape, block, shape.blockRows) + row * 4;
}

/** Three words: basis (0: none), version of the block, rows coded. */
export function sealAt(shape: StoreShape, block: number): number {
  return scalesAt(shape, block, shape.precision === "i8" ? shape.blockRows : 0);
}

/** The first array of facts; the others follow `blockRows` words apart each. */
export function factsAt(shape: StoreShape, block: number, row: number): number {
  return sealAt(shape, block) + SEAL_BYTES + row * 4;
}

/** Codes of a row, `stride` bytes apart; of i8 the rows themselves. */
export function codesAt(shape: StoreShape, block: number, row: number, stride: number): number {
  if (shape.codeRoom === 0) return rowsAt(shape, block, row);
  return factsAt(shape, block, FACTS * shape.blockRows) + row * stride;
}

export function rowsAt(shape: StoreShape, block: number, row: number): number {
  return blockAt(shape, block + 1) - (shape.blockRows - row) * shape.rowBytes;
}
