/**
 * Where things lie in a chunk of row memory; pure arithmetic shared by the host and the workers.
 *
 *   chunk  = scratch of slot 0 | … | scratch of the last slot | block 0 | block 1 | …
 *   block  = row terms [blockRows] f32 | scales [blockRows] f32, of i8 only | rows [blockRows × rowBytes]
 *   scratch = queries as scanned | queries as given | limits | perNorms | eligible words | hits | distances
 *
 * One chunk is one WASM memory, because a kernel instance sees exactly one memory: its scratch
 * must lie beside the rows, one area for each worker slot so that workers can share the chunk.
 * A *row term* is what the scan multiplies by: 1/‖x‖ for cosine, ‖x‖ otherwise; of b1 the number
 * of set bits.
 */
import { LIMITS } from "../core/limits.ts";
import { floatMetric, type FloatMetric, type Metric, type Precision } from "../core/metric.ts";
import { type RowFormat, rowFormat } from "../core/stored-rows.ts";

export interface StoreShape extends RowFormat {
  /** The metric that the estimate scan serves; undefined where rows are scanned canonically, for all precisions but f32. */
  readonly estimated: FloatMetric | undefined;
  /** Rows of a block: a power of two, a multiple of 32. */
  readonly blockRows: number;
  readonly blockBytes: number;
  readonly blocksPerChunk: number;
  /** Scratch areas of a chunk: one for each worker that may use it. */
  readonly slots: number;
  readonly scratch: ScratchLayout;
}

/** Byte offsets inside one scratch area. */
interface ScratchLayout {
  readonly tileQueries: number;
  readonly spanRows: number;
  readonly spanWords: number;
  readonly scanQueries: number;
  readonly givenQueries: number;
  readonly limits: number;
  readonly perNorms: number;
  readonly eligible: number;
  readonly hits: number;
  readonly distances: number;
  readonly bytes: number;
}

export function storeShape(precision: Precision, metric: Metric, dimensions: number, slots: number): StoreShape {
  const format = rowFormat(precision, metric, dimensions);
  const { stride, rowBytes } = format;
  const fitting = 2 ** Math.floor(Math.log2(LIMITS.blockBytes / rowBytes));
  const blockRows = Math.min(LIMITS.blockRows, Math.max(32, fitting));
  const blockBytes = blockRows * ((precision === "i8" ? 8 : 4) + rowBytes);
  const scratch = scratchLayout(stride, blockRows);
  const blocksPerChunk = Math.max(1, Math.floor((LIMITS.chunkBytes - slots * scratch.bytes) / blockBytes));
  const estimated = precision === "f32" ? floatMetric(metric) : undefined;
  return { ...format, estimated, blockRows, blockBytes, blocksPerChunk, slots, scratch };
}

function scratchLayout(stride: number, blockRows: number): ScratchLayout {
  const fitting = Math.floor(LIMITS.tileBytes / (stride * 4));
  const tileQueries = Math.min(LIMITS.tileQueries, Math.max(1, fitting < 4 ? fitting : fitting - (fitting % 4)));
  const spanRows = Math.min(LIMITS.spanRows, blockRows);
  const spanWords = spanRows / 32;
  let end = 0;
  const area = (bytes: number): number => {
    const at = end;
    end += Math.ceil(bytes / 16) * 16;
    return at;
  };
  return {
    tileQueries,
    spanRows,
    spanWords,
    scanQueries: area(tileQueries * stride * 4),
    givenQueries: area(tileQueries * stride * 4),
    limits: area(tileQueries * 4),
    perNorms: area(tileQueries * 4),
    eligible: area(tileQueries * spanWords * 4),
    hits: area(tileQueries * spanRows * 4),
    distances: area(spanRows * 4),
    bytes: end,
  };
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

/** Scales are there for i8 only; elsewhere this is where the rows begin. */
export function scalesAt(shape: StoreShape, block: number, row: number): number {
  return termsAt(shape, block, shape.blockRows) + row * 4;
}

export function rowsAt(shape: StoreShape, block: number, row: number): number {
  return blockAt(shape, block + 1) - (shape.blockRows - row) * shape.rowBytes;
}
