/** Samples of an index's rows, taken in slices: what directions are learnt from (learn.ts), and what rows are centred by. */
import type { RowSource } from "./backend.ts";
import { halfToFloat } from "./half.ts";
import { LIMITS } from "./limits.ts";

/** Rows of a sample that `learnBasis` is happy with, at these dimensions. */
export function basisSampleRows(dimensions: number): number {
  return Math.max(1, Math.min(LIMITS.basisRows, Math.floor(LIMITS.basisElements / dimensions)));
}

/** [count × dimensions] rows, decoded, taken at even distances from the first `rowCount`; of f32 and f16. */
export function* sampleRows(source: SampleSource, rowCount: number, count: number): Generator<number, Float32Array> {
  const { dimensions } = source;
  const sample = new Float32Array(count * dimensions);
  for (let i = 0; i < count; i++) {
    yield 2 * dimensions; // the row is read afterwards: a view of it does not outlive the wait
    decodeRow(source, Math.floor((i * rowCount) / count), sample, i * dimensions);
  }
  return sample;
}

/** What a sample is taken from. */
export type SampleSource = Pick<RowSource, "dimensions" | "precision" | "bytes">;

/** Decodes a row of f32 or f16 to `target[at … at + dimensions)`. */
function decodeRow(source: SampleSource, row: number, target: Float32Array, at: number): void {
  const bytes = source.bytes(row, 1);
  const { dimensions } = source;
  if (source.precision === "f16") {
    const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, dimensions);
    for (let d = 0; d < dimensions; d++) target[at + d] = halfToFloat(halves[d] ?? 0);
  } else {
    target.set(new Float32Array(bytes.buffer, bytes.byteOffset, dimensions), at);
  }
}

/** The mean of a few hundred rows: any vector is a valid centre, a near one makes tight bounds. */
export function meanOf(source: SampleSource, rowCount: number): Float32Array {
  const { dimensions } = source;
  const count = Math.max(1, Math.min(rowCount, 256, Math.floor(LIMITS.sliceElements / dimensions / 2)));
  const sums = new Float64Array(dimensions);
  const row = new Float32Array(dimensions);
  for (let i = 0; i < count; i++) {
    decodeRow(source, Math.floor((i * rowCount) / count), row, 0);
    for (let d = 0; d < dimensions; d++) sums[d] = (sums[d] ?? 0) + (row[d] ?? 0) / count;
  }
  return Float32Array.from(sums);
}
