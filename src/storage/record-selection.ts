/** Some records of a batch as a batch of their own. */
import type { RecordBatch, TextColumn } from "./record-batch.ts";

/** `rows`: positions in the batch, ascending. Columns are copied; norms stay bounds. */
export function selectRecords({ count, ids, metadata, vectors }: RecordBatch, rows: readonly number[]): RecordBatch {
  const rowBytes = count === 0 ? 0 : vectors.rows.length / count;
  const bytes = new Uint8Array(rows.length * rowBytes);
  for (const [i, row] of rows.entries()) {
    bytes.set(vectors.rows.subarray(row * rowBytes, (row + 1) * rowBytes), i * rowBytes);
  }
  const pick = (values: Float32Array): Float32Array =>
    values.length === 0 ? values : Float32Array.from(rows, (row) => values[row] ?? 0);
  return {
    count: rows.length,
    ids: selectTexts(ids, rows),
    metadata: selectTexts(metadata, rows),
    vectors: { ...vectors, rows: bytes, terms: pick(vectors.terms), scales: pick(vectors.scales) },
  };
}

function selectTexts({ offsets, bytes }: TextColumn, rows: readonly number[]): TextColumn {
  const selected = new Uint32Array(rows.length + 1);
  for (const [i, row] of rows.entries()) {
    selected[i + 1] = (selected[i] ?? 0) + (offsets[row + 1] ?? 0) - (offsets[row] ?? 0);
  }
  const into = new Uint8Array(selected[rows.length] ?? 0);
  for (const [i, row] of rows.entries()) into.set(bytes.subarray(offsets[row], offsets[row + 1]), selected[i]);
  return { offsets: selected, bytes: into };
}
