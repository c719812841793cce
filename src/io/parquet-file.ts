/** A Parquet file under way, by hyparquet-writer over a FileOutput: whole or not at all, and no more of it in memory than a row group. */
import type { SchemaElement } from "hyparquet";
import type { ColumnSource } from "hyparquet-writer";
import { IO_LIMITS } from "../core/limits.ts";
import { FileOutput } from "./file-output.ts";

export interface ParquetFile {
  /** Values of each column: a row group, or several where there are more rows than one shall have. */
  append(columns: readonly ColumnSource[]): Promise<void>;
  finish(): Promise<void>;
  abort(): Promise<void>;
}

/** `columns`: of each its elements of the schema. */
export async function openParquetFile(
  path: string,
  columns: readonly (readonly SchemaElement[])[],
): Promise<ParquetFile> {
  const { ByteWriter, ParquetWriter } = await import("hyparquet-writer");
  const output = await FileOutput.create(path);
  const bytes = new ByteWriter();
  const drain = async (): Promise<void> => {
    const written = bytes.getBytes().slice();
    bytes.index = 0; // `offset` goes on: it is the place in the file
    await output.append(written);
  };
  // Awaited by the library after each row group and at the end.
  const writer = new ParquetWriter({
    writer: Object.assign(bytes, { flush: drain, finish: drain }),
    schema: [{ name: "root", num_children: columns.length }, ...columns.flat()],
  });
  return {
    async append(data) {
      await writer.write({ columnData: [...data], rowGroupSize: IO_LIMITS.writtenGroupRows });
    },
    async finish() {
      await writer.finish();
      await output.finish();
    },
    abort: () => output.abort(),
  };
}

/** A column of lists, none of them null. */
export function listOf(
  name: string,
  element: Pick<SchemaElement, "type" | "converted_type">,
): readonly SchemaElement[] {
  return [
    { name, repetition_type: "REQUIRED", num_children: 1, converted_type: "LIST" },
    { name: "list", repetition_type: "REPEATED", num_children: 1 },
    { name: "element", repetition_type: "REQUIRED", ...element },
  ];
}
