/** Records as Parquet: a column of ids, one of lists of float32, one for each key of the metadata; mixed and listed values as JSON. */
import type { SchemaElement } from "hyparquet";
import { listOf, openParquetFile } from "./parquet-file.ts";
import type { ColumnKind, SinkOptions, SinkRows, VectorSink } from "./vector-sink.ts";

export async function openParquetSink(
  path: string,
  { dimensions, columns, idField = "id", vectorField = "vector" }: SinkOptions,
): Promise<VectorSink> {
  const names = [...columns].filter(([name]) => name !== idField && name !== vectorField);
  const file = await openParquetFile(path, [
    [{ name: idField, type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" }],
    listOf(vectorField, { type: "FLOAT" }),
    ...names.map(([name, kind]): SchemaElement[] => [{ name, repetition_type: "OPTIONAL", ...TYPES[kind] }]),
  ]);
  return {
    append({ count, vectors, ids, metadata }: SinkRows) {
      const lists = Array.from({ length: count }, (_, row) =>
        Array.from(vectors.subarray(row * dimensions, (row + 1) * dimensions)),
      );
      return file.append([
        { name: idField, data: [...ids] },
        { name: vectorField, data: lists },
        ...names.map(([name]) => ({ name, data: metadata.map((fields) => fields?.[name] ?? undefined) })),
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
