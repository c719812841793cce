/** Parquet by hyparquet-writer: a column of ids, one of lists of float32, one for each key of the metadata; mixed and listed values as JSON. */
import { rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { SchemaElement } from "hyparquet";
import { IO_LIMITS } from "../core/limits.ts";
import { partialName, syncPath } from "./file-output.ts";
import type { ColumnKind, SinkOptions, SinkRows, VectorSink } from "./vector-sink.ts";

export async function openParquetSink(
  path: string,
  { dimensions, columns, idField = "id", vectorField = "vector" }: SinkOptions,
): Promise<VectorSink> {
  const { ParquetWriter, fileWriter } = await import("hyparquet-writer");
  const names = [...columns].filter(([name]) => name !== idField && name !== vectorField);
  const schema: SchemaElement[] = [
    { name: "root", num_children: 2 + names.length },
    { name: idField, type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" },
    { name: vectorField, repetition_type: "REQUIRED", num_children: 1, converted_type: "LIST" },
    { name: "list", repetition_type: "REPEATED", num_children: 1 },
    { name: "element", type: "FLOAT", repetition_type: "REQUIRED" },
    ...names.map(([name, kind]): SchemaElement => ({ name, repetition_type: "OPTIONAL", ...TYPES[kind] })),
  ];
  const partial = partialName(path);
  const writer = new ParquetWriter({ writer: fileWriter(partial), schema });
  return {
    async append({ count, vectors, ids, metadata }: SinkRows) {
      const lists = Array.from({ length: count }, (_, row) =>
        Array.from(vectors.subarray(row * dimensions, (row + 1) * dimensions)),
      );
      await writer.write({
        columnData: [
          { name: idField, data: [...ids] },
          { name: vectorField, data: lists },
          ...names.map(([name]) => ({ name, data: metadata.map((fields) => fields?.[name] ?? undefined) })),
        ],
        rowGroupSize: IO_LIMITS.writtenGroupRows,
      });
    },
    async finish() {
      await writer.finish();
      await syncPath(partial);
      await rename(partial, path);
      await syncPath(dirname(path));
    },
    abort: () => rm(partial, { force: true }),
  };
}

const TYPES: Readonly<Record<ColumnKind, Pick<SchemaElement, "type" | "converted_type">>> = {
  text: { type: "BYTE_ARRAY", converted_type: "UTF8" },
  number: { type: "DOUBLE" },
  boolean: { type: "BOOLEAN" },
  json: { type: "BYTE_ARRAY", converted_type: "JSON" },
};
