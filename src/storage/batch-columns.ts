/**
 * A batch of records as the payload of a journal record, and back without copying: columns one
 * after the other, each on a multiple of 4, rows on one of 64.
 *
 *    0  bytes of a row u32    4  rows have scales u32 (0 or 1)    8  bytes of ids u32    12  bytes of metadata u32
 *   16  least norm above 0 f64    24  greatest norm f64    32  zeros
 *   64  rows    terms f32    scales f32, if any    offsets of ids u32    offsets of metadata u32    ids    metadata
 */
import type { StoredColumnShape } from "../core/stored-column.ts";
import type { Fail } from "./damage.ts";
import { viewOf } from "./fields.ts";
import { checkUnused } from "./file-header.ts";
import type { RecordBatch } from "./record-batch.ts";
import { checkNorms } from "./segment-facts.ts";
import { checkOffsets } from "./text-block.ts";

const HEAD_BYTES = 64;

/** A batch that does not hold what it says is our bug. */
export function checkBatch({ count, ids, metadata, vectors }: RecordBatch, shape: StoredColumnShape): void {
  const isWhole =
    vectors.rows.length === count * shape.rowBytes &&
    vectors.terms.length === count &&
    vectors.scales.length === (shape.hasScales ? count : 0) &&
    [ids, metadata].every(({ offsets, bytes }) => offsets.length === count + 1 && offsets[count] === bytes.length);
  if (!isWhole) throw new Error(`a batch of ${count} whose columns are not as long`);
}

export function batchBytes({ ids, metadata, vectors }: RecordBatch): number {
  const { rows, terms, scales } = vectors;
  const fixed = HEAD_BYTES + rows.length + terms.byteLength + scales.byteLength;
  return fixed + ids.offsets.byteLength + metadata.offsets.byteLength + ids.bytes.length + metadata.bytes.length;
}

/** Writes a batch to `into`, which has `batchBytes` bytes. */
export function encodeBatch({ count, ids, metadata, vectors }: RecordBatch, into: Uint8Array): void {
  const view = viewOf(into);
  view.setUint32(0, count === 0 ? 0 : vectors.rows.length / count, true);
  view.setUint32(4, vectors.scales.length > 0 ? 1 : 0, true);
  view.setUint32(8, ids.bytes.length, true);
  view.setUint32(12, metadata.bytes.length, true);
  view.setFloat64(16, vectors.minNorm, true);
  view.setFloat64(24, vectors.maxNorm, true);
  let at = HEAD_BYTES;
  const columns = [
    vectors.rows,
    vectors.terms,
    vectors.scales,
    ids.offsets,
    metadata.offsets,
    ids.bytes,
    metadata.bytes,
  ];
  for (const column of columns) {
    into.set(new Uint8Array(column.buffer, column.byteOffset, column.byteLength), at);
    at += column.byteLength;
  }
}

/** A view of `payload`, which starts on a multiple of 4 of memory of its own. */
export function decodeBatch(payload: Uint8Array, count: number, shape: StoredColumnShape, fail: Fail): RecordBatch {
  if (payload.length < HEAD_BYTES) fail("it is shorter than the head of a batch");
  const view = viewOf(payload);
  const scales = view.getUint32(4, true);
  const idBytes = view.getUint32(8, true);
  const metadataBytes = view.getUint32(12, true);
  if (count < 1 || view.getUint32(0, true) !== shape.rowBytes || scales !== (shape.hasScales ? 1 : 0)) {
    fail("its rows are not the collection's");
  }
  const minNorm = view.getFloat64(16, true);
  const maxNorm = view.getFloat64(24, true);
  checkNorms(minNorm, maxNorm, (reason) => fail(reason, 16));
  checkUnused(payload, 32, HEAD_BYTES, fail);
  const bytesPerRecord = shape.rowBytes + 4 + scales * 4;
  // In float64 whatever the file says: no product of two u32 and a sum of some goes wrong enough to fit.
  if (HEAD_BYTES + count * bytesPerRecord + (count + 1) * 8 + idBytes + metadataBytes !== payload.length) {
    fail(`${count} records do not fill ${payload.length} bytes`);
  }
  let at = payload.byteOffset + HEAD_BYTES;
  const { buffer } = payload;
  const take = (bytes: number): number => {
    at += bytes;
    return at - bytes;
  };
  const rows = new Uint8Array(buffer, take(count * shape.rowBytes), count * shape.rowBytes);
  const terms = new Float32Array(buffer, take(count * 4), count);
  const scaleValues = new Float32Array(buffer, take(scales * count * 4), scales * count);
  const idOffsets = new Uint32Array(buffer, take((count + 1) * 4), count + 1);
  const metadataOffsets = new Uint32Array(buffer, take((count + 1) * 4), count + 1);
  const failIn =
    (offsets: Uint32Array): Fail =>
    (reason, offset = 0) =>
      fail(reason, offsets.byteOffset - payload.byteOffset + offset);
  checkOffsets(idOffsets, idBytes, failIn(idOffsets));
  checkOffsets(metadataOffsets, metadataBytes, failIn(metadataOffsets));
  return {
    count,
    ids: { offsets: idOffsets, bytes: new Uint8Array(buffer, take(idBytes), idBytes) },
    metadata: { offsets: metadataOffsets, bytes: new Uint8Array(buffer, take(metadataBytes), metadataBytes) },
    vectors: { rows, terms, scales: scaleValues, minNorm, maxNorm },
  };
}
