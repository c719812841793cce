/** Records as Parquet: a column of ids, one of lists of float32, one for each key of the metadata; mixed and listed values as JSON; and one that names what is null, where something is. */
import type { SchemaElement } from "hyparquet";
import { listOf, openParquetFile } from "./parquet-file.ts";
import { type ColumnKind, isUnusual, NULLS_COLUMN, nullsOf, valueOf } from "./metadata-columns.ts";
import type { SinkOptions, SinkRows, VectorSink } from "./vector-sink.ts";

export async function openParquetSink(
  path: string,
  { dimensions, columns, idField = "id", vectorField = "vector" }: SinkOptions,
): Promise<VectorSink> {
  columns.checkNames(path, (name) => isUnusual(name) || [idField, vectorField, NULLS_COLUMN].includes(name));
  const optional = (name: string, kind: ColumnKind): SchemaElement[] => [
    { name, repetition_type: "OPTIONAL", ...TYPES[kind] },
  ];
  const file = await openParquetFile(path, [
    [{ name: idField, type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" }],
    listOf(vectorField, { type: "FLOAT" }),
    ...columns.kinds.map(([name, kind]) => optional(name, kind)),
    ...(columns.hasNulls ? [optional(NULLS_COLUMN, "json")] : []),
  ]);
  return {
    append({ count, vectors, ids, metadata }: SinkRows) {
      const lists = Array.from({ length: count }, (_, row) =>
        Array.from(vectors.subarray(row * dimensions, (row + 1) * dimensions)),
      );
      return file.append([
        { name: idField, data: [...ids] },
        // The library's dictionaries take −0 for 0.
        { name: vectorField, data: lists, encoding: "PLAIN" },
        ...columns.kinds.map(([name]) => ({
          name,
          data: metadata.map((fields) => valueOf(fields, name) ?? undefined),
        })),
        ...(columns.hasNulls ? [{ name: NULLS_COLUMN, data: metadata.map(nullsOf) }] : []),
      ]);
    },
    finish: () => file.finish(),
    abort: () => file.abort(),
  };
}

const TYPES: Readonly<Record<ColumnKind, Pick<SchemaElement, "type" | "converted_type">>> = {
  text: { type: "BYTE_ARRAY", converted_type: "UTF8" },
  number: { type: "DOUBLE" },
  boolean: { type: "BOOLEAN" },
  json: { type: "BYTE_ARRAY", converted_type: "JSON" },
};
