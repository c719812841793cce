/**
 * Arrow IPC files by apache-arrow, an optional dependency: ids as Utf8, vectors as lists of float32
 * of one size, one column for each key of the metadata, without dictionaries. Mixed and listed
 * values are JSON text, which the field's metadata says (`JSON_TEXT`), so that arrow.ts reads values
 * again, and one more column names what is null. An append is a record batch, and goes to the file at once: only the
 * place of each batch is kept, for the footer.
 */
import type { Data, Field, RecordBatch, Schema } from "apache-arrow";
import { describe, NearfieldError } from "../core/errors.ts";
import { apacheArrow, JSON_TEXT } from "./arrow.ts";
import { FileOutput } from "./file-output.ts";
import {
  type ColumnKind,
  type MetadataColumns,
  isUnusual,
  NULLS_COLUMN,
  nullsOf,
  valueOf,
} from "./metadata-columns.ts";
import type { SinkOptions, SinkRows, VectorSink } from "./vector-sink.ts";

type Arrow = typeof import("apache-arrow");

/** Rejects with UNSUPPORTED_FORMAT where apache-arrow is not installed. */
export async function openArrowSink(
  path: string,
  { dimensions, columns, idField = "id", vectorField = "vector" }: SinkOptions,
): Promise<VectorSink> {
  const arrow = await apacheArrow({ path });
  columns.checkNames(path, (name) => isUnusual(name) || ["", idField, vectorField, NULLS_COLUMN].includes(name));
  const schema = new arrow.Schema([
    new arrow.Field(idField, new arrow.Utf8(), false),
    new arrow.Field(vectorField, new arrow.FixedSizeList(dimensions, elementOf(arrow)), false),
    ...columns.kinds.map(([name, kind]) => fieldOf(arrow, name, kind)),
    ...(columns.hasNulls ? [fieldOf(arrow, NULLS_COLUMN, "json")] : []),
  ]);
  let made: Uint8Array[] = [];
  /** What the writer writes to: the library's own queue gives no sign of being empty. */
  class Pieces extends arrow.AsyncByteQueue {
    override write(bytes: Uint8Array): void {
      made.push(bytes);
    }
  }
  const writer = new arrow.RecordBatchFileWriter();
  const output = await FileOutput.create(path);
  const drain = async (): Promise<void> => {
    const pieces = made;
    made = [];
    for (const piece of pieces) await output.append(piece);
  };
  writer.reset(new Pieces(), schema);
  return {
    async append(rows) {
      checkIds(path, rows.ids);
      writer.write(batchOf(arrow, schema, rows, dimensions, columns));
      await drain();
    },
    async finish() {
      writer.finish();
      await drain();
      await output.finish();
    },
    abort: () => output.abort(),
  };
}

/** Decoders drop a byte order mark at the front of a text, apache-arrow's among them. */
function checkIds(path: string, ids: readonly string[]): void {
  const marked = ids.find((id) => id.startsWith("\uFEFF"));
  if (marked === undefined) return;
  throw new NearfieldError("INVALID_OPTION", {
    got: `the id ${describe(marked)}, which begins with a byte order mark, for ${path}`,
    expected: "ids that an Arrow file's readers give back as they are",
    remedy: "write another format, such as JSON lines or Parquet",
  });
}

function elementOf({ Field, Float32 }: Arrow): Field {
  return new Field("item", new Float32(), false);
}

function fieldOf({ Field, Utf8, Float64, Bool }: Arrow, name: string, kind: ColumnKind): Field {
  switch (kind) {
    case "text":
      return new Field(name, new Utf8(), true);
    case "number":
      return new Field(name, new Float64(), true);
    case "boolean":
      return new Field(name, new Bool(), true);
    case "json":
      return new Field(name, new Utf8(), true, new Map([JSON_TEXT]));
    default:
      return kind satisfies never;
  }
}

/** Its buffers are copies: what was handed over is not ours to keep. */
function batchOf(
  arrow: Arrow,
  schema: Schema,
  { count, vectors, ids, metadata }: SinkRows,
  dimensions: number,
  columns: MetadataColumns,
): RecordBatch {
  const { makeData, FixedSizeList, Float32, RecordBatch: Batch, Struct } = arrow;
  const elements = makeData({ type: new Float32(), length: count * dimensions, nullCount: 0, data: vectors.slice() });
  const lists = { type: new FixedSizeList(dimensions, elementOf(arrow)), length: count, nullCount: 0, child: elements };
  const children: Data[] = [
    textsOf(arrow, ids),
    makeData(lists),
    ...columns.kinds.map(([name, kind]) =>
      columnOf(
        arrow,
        kind,
        metadata.map((fields) => valueOf(fields, name) ?? null),
      ),
    ),
    ...(columns.hasNulls
      ? [
          columnOf(
            arrow,
            "json",
            metadata.map((fields) => nullsOf(fields) ?? null),
          ),
        ]
      : []),
  ];
  return new Batch(schema, makeData({ type: new Struct(schema.fields), length: count, nullCount: 0, children }));
}

/** `values`: of the column's kind, or null. */
function columnOf(arrow: Arrow, kind: ColumnKind, values: readonly unknown[]): Data {
  switch (kind) {
    case "text":
      return textsOf(
        arrow,
        values.map((value) => (typeof value === "string" ? value : null)),
      );
    case "json":
      return textsOf(
        arrow,
        values.map((value) => (value === null ? null : JSON.stringify(value))),
      );
    case "number":
      return arrow.makeData({
        type: new arrow.Float64(),
        length: values.length,
        ...validity(values),
        data: Float64Array.from(values, Number),
      });
    case "boolean":
      return arrow.makeData({
        type: new arrow.Bool(),
        length: values.length,
        ...validity(values),
        data: bitmap(values, (value) => value === true),
      });
    default:
      return kind satisfies never;
  }
}

function textsOf({ makeData, Utf8 }: Arrow, texts: readonly (string | null)[]): Data {
  const pieces = texts.map((text) => Buffer.from(text ?? ""));
  const valueOffsets = new Int32Array(texts.length + 1);
  for (const [i, { length }] of pieces.entries()) valueOffsets[i + 1] = (valueOffsets[i] ?? 0) + length;
  const data = Buffer.concat(pieces);
  return makeData({ type: new Utf8(), length: texts.length, ...validity(texts), valueOffsets, data });
}

function validity(values: readonly unknown[]): { readonly nullCount: number; readonly nullBitmap: Uint8Array } {
  const nullCount = values.filter((value) => value === null).length;
  return { nullCount, nullBitmap: bitmap(values, (value) => value !== null) };
}

/** A bit a value, least significant first. */
function bitmap(values: readonly unknown[], isSet: (value: unknown) => boolean): Uint8Array {
  const bits = new Uint8Array(Math.ceil(values.length / 8));
  for (const [i, value] of values.entries()) if (isSet(value)) bits[i >> 3] = (bits[i >> 3] ?? 0) | (1 << (i & 7));
  return bits;
}
