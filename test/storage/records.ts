/** Record batches for tests: arbitrary ones, and what they look like as plain values. */
import fc from "fast-check";
import type { StoredColumnShape } from "../../src/core/stored-column.ts";
import type { RecordBatch, TextColumn } from "../../src/storage/record-batch.ts";

/** What precisions make of some dimensions: f32 × 4 and b1 (16), i8 × 40 with scales, f16 × 100. */
export const SHAPES: readonly StoredColumnShape[] = [
  { rowBytes: 16, hasScales: false },
  { rowBytes: 48, hasScales: true },
  { rowBytes: 208, hasScales: false },
];

export function column(strings: readonly string[]): TextColumn {
  const parts = strings.map((text) => new TextEncoder().encode(text));
  const offsets = new Uint32Array(strings.length + 1);
  for (const [i, part] of parts.entries()) offsets[i + 1] = (offsets[i] ?? 0) + part.length;
  const bytes = new Uint8Array(offsets[strings.length] ?? 0);
  for (const [i, part] of parts.entries()) bytes.set(part, offsets[i]);
  return { offsets, bytes };
}

export function texts({ offsets, bytes }: TextColumn): string[] {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  return [...offsets.subarray(1)].map((end, i) => decoder.decode(bytes.subarray(offsets[i], end)));
}

export interface PlainRecord {
  readonly id: string;
  readonly metadata: string;
  readonly seed: number;
}

/** A batch whose vectors follow from the seeds. */
export function batchOf(records: readonly PlainRecord[], shape: StoredColumnShape): RecordBatch {
  const count = records.length;
  const rows = new Uint8Array(count * shape.rowBytes);
  const terms = new Float32Array(count);
  const scales = new Float32Array(shape.hasScales ? count : 0);
  for (const [i, { seed }] of records.entries()) {
    for (let b = 0; b < shape.rowBytes; b++) rows[i * shape.rowBytes + b] = (seed * 31 + b * 7) & 255;
    terms[i] = 1 + seed;
    if (shape.hasScales) scales[i] = 1 / (1 + seed);
  }
  const norms = records.map(({ seed }) => 1 + seed);
  return {
    count,
    ids: column(records.map(({ id }) => id)),
    metadata: column(records.map(({ metadata }) => metadata)),
    vectors: {
      rows,
      terms,
      scales,
      minNorm: Math.min(Number.POSITIVE_INFINITY, ...norms),
      maxNorm: Math.max(0, ...norms),
    },
  };
}

const anyText = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 12 }),
  fc.constantFrom("", "é", "漢字", "👩‍🚀", "\ufeff"),
);

export const anyRecord: fc.Arbitrary<PlainRecord> = fc.record({
  id: anyText,
  metadata: fc.oneof(
    fc.constant(""),
    anyText.map((text) => JSON.stringify({ text })),
  ),
  seed: fc.integer({ min: 0, max: 1000 }),
});

export const anyShape: fc.Arbitrary<StoredColumnShape> = fc.constantFrom(...SHAPES);

/** Some records, the same each time. */
export function someRecords(
  count: number,
  metadata = (i: number): string => (i % 2 === 0 ? "" : `{"n":${i}}`),
): PlainRecord[] {
  return Array.from({ length: count }, (_, i) => ({ id: `id-${i}`, metadata: metadata(i), seed: i }));
}
