/**
 * Arrow IPC, files and streams, by apache-arrow, an optional dependency: a column of lists of floats,
 * one of ids where there is one, others are metadata. Texts whose field says that they are JSON
 * become the values that they stand for.
 */
import { createReadStream } from "node:fs";
import type { RecordBatch as ArrowBatch, RecordBatchReader } from "apache-arrow";
import { NearfieldError } from "../core/errors.ts";
import { IO_LIMITS } from "../core/limits.ts";
import { corrupt, type FileBytes, unsupported } from "./file-bytes.ts";
import { plainValues } from "./plain-values.ts";
import { fieldNames, type Fields, firstOf, recordBatches, widthAmong } from "./record-batch.ts";
import type { FieldNames, VectorSource } from "./vector-source.ts";

/**
 * What the metadata of a field of JSON texts says, key and value. Not Arrow's own extension type
 * `arrow.json`, which is read as well: tools that do not know it, Polars among them, refuse the file.
 */
export const JSON_TEXT = ["nearfield:text", "json"] as const;

export async function arrowSource(file: FileBytes, fields: FieldNames): Promise<VectorSource> {
  const names = fieldNames(fields);
  const dimensions = widthAmong(file, await firstOf(recordsOf(file), IO_LIMITS.probedRows), names);
  return {
    path: file.path,
    format: "arrow",
    dimensions,
    rowCount: undefined,
    sizeBytes: file.size,
    batches: (options) => recordBatches(recordsOf(file), options, dimensions, names),
    close: () => file.close(),
  };
}

/** The optional library. Rejects with UNSUPPORTED_FORMAT where it is not installed. */
export async function apacheArrow(file: { readonly path: string }): Promise<typeof import("apache-arrow")> {
  try {
    return await import("apache-arrow");
  } catch {
    throw unsupported(
      file,
      "Arrow IPC without the package apache-arrow",
      "the optional dependency apache-arrow",
      "npm install apache-arrow",
    );
  }
}

async function* recordsOf(file: FileBytes): AsyncGenerator<Fields, void, void> {
  const { RecordBatchReader: Reader } = await apacheArrow(file);
  const stream = createReadStream(file.path);
  let reader: RecordBatchReader | undefined;
  try {
    reader = await Reader.from(stream);
    await reader.open();
    for await (const batch of reader as AsyncIterable<ArrowBatch>) {
      for (let row = 0; row < batch.numRows; row++) yield recordOf(batch, row);
    }
  } catch (cause) {
    if (cause instanceof NearfieldError) throw cause;
    throw corrupt(file, undefined, `Arrow IPC (${cause instanceof Error ? cause.message : String(cause)})`, cause);
  } finally {
    await reader?.cancel();
    stream.destroy();
  }
}

function recordOf(batch: ArrowBatch, row: number): Fields {
  const fields: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [column, { name, metadata }] of batch.schema.fields.entries()) {
    const value = valueOf(batch.getChildAt(column)?.get(row));
    fields[name] = typeof value === "string" && isJson(metadata) ? JSON.parse(value) : value;
  }
  return plainValues(fields);
}

function isJson(metadata: ReadonlyMap<string, string>): boolean {
  const [key, value] = JSON_TEXT;
  return metadata.get(key) === value || metadata.get("ARROW:extension:name") === "arrow.json";
}

/** Lists come as vectors of their own. */
function valueOf(value: unknown): unknown {
  if (typeof value === "object" && value !== null && "toArray" in value && typeof value.toArray === "function") {
    const list: unknown = value.toArray();
    return list;
  }
  return value;
}
