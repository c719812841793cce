/**
 * Arrow IPC, files and streams, by apache-arrow, an optional dependency: a column of lists of floats,
 * one of ids where there is one, others are metadata. Texts whose field says that they are JSON
 * become the values that they stand for.
 */
import { type FileHandle, open } from "node:fs/promises";
import type { DataType, RecordBatch as ArrowBatch, RecordBatchReader } from "apache-arrow";
import { NearfieldError } from "../core/errors.ts";
import { IO_LIMITS } from "../core/limits.ts";
import { corrupt, type FileBytes, undecodable, unsupported } from "./file-bytes.ts";
import { plainValues } from "./plain-values.ts";
import { fieldNames, type Fields, probedWidth, recordBatches } from "./record-batch.ts";
import type { FieldNames, VectorSource } from "./vector-source.ts";

type Arrow = typeof import("apache-arrow");

/**
 * What the metadata of a field of JSON texts says, key and value. Not Arrow's own extension type
 * `arrow.json`, which is read as well: tools that do not know it, Polars among them, refuse the file.
 */
export const JSON_TEXT = ["nearfield:text", "json"] as const;

/** `onProgress`: called after each record batch. */
export async function arrowSource(file: FileBytes, fields: FieldNames, onProgress: () => void): Promise<VectorSource> {
  const names = fieldNames(fields);
  const records = (): AsyncGenerator<Fields, void, void> => recordsOf(file, onProgress);
  const dimensions = await probedWidth(file, records(), names);
  return {
    path: file.path,
    format: "arrow",
    dimensions,
    rowCount: undefined,
    sizeBytes: file.size,
    batches: (options) => recordBatches(records(), options, dimensions, names),
    close: () => file.close(),
  };
}

/** The optional library. Rejects with UNSUPPORTED_FORMAT where it is not installed. */
export async function apacheArrow(file: { readonly path: string }): Promise<Arrow> {
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

async function* recordsOf(file: FileBytes, onProgress: () => void): AsyncGenerator<Fields, void, void> {
  const arrow = await apacheArrow(file);
  // By handle record batches are read one by one; of a stream of bytes the library reads a file to its end first.
  const handle = new GuardedHandle(file, await open(file.path, "r"));
  let reader: RecordBatchReader | undefined;
  let rows = 0;
  try {
    reader = await arrow.RecordBatchReader.from(handle as unknown as FileHandle); // of a handle the library uses what this one has
    await reader.open();
    for await (const batch of reader as AsyncIterable<ArrowBatch>) {
      // A row has a byte at least. A damaged length or place of a batch would be read over and over.
      rows += batch.numRows;
      if (!(batch.numRows >= 0 && rows <= file.size))
        throw corrupt(file, undefined, `at most ${file.size} rows, one a byte, not ${rows}`);
      for (let row = 0; row < batch.numRows; row++) yield recordOf(arrow, batch, row);
      if (batch.numRows === 0) continue;
      onProgress();
      handle.isFruitful();
    }
  } catch (cause) {
    throw problemOf(file, cause);
  } finally {
    await reader?.cancel();
    await handle.close();
  }
}

/** A handle that sees where the library, led by a damaged length, reads nothing or the same again and again. */
class GuardedHandle {
  readonly #file: FileBytes;
  readonly #handle: FileHandle;
  readonly #most: number;
  #fruitless = 0;

  constructor(file: FileBytes, handle: FileHandle) {
    this.#file = file;
    this.#handle = handle;
    this.#most = Math.min(IO_LIMITS.arrowReads, 64 + file.size / 16); // a message has a hundred bytes at least
  }

  get fd(): number {
    return this.#handle.fd;
  }

  stat(): ReturnType<FileHandle["stat"]> {
    return this.#handle.stat();
  }

  async read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number; readonly buffer: Uint8Array }> {
    const isWithin = position >= 0 && length > 0 && offset + length <= buffer.length;
    if (!isWithin || ++this.#fruitless > this.#most)
      throw corrupt(this.#file, position, "messages one after the other, with lengths that lead to the next");
    const { bytesRead } = await this.#handle.read(buffer, offset, length, position);
    if (bytesRead === 0) throw corrupt(this.#file, position, "more bytes: the file became shorter while it was read");
    return { bytesRead, buffer };
  }

  /** What was read so far led to rows. */
  isFruitful(): void {
    this.#fruitless = 0;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

function problemOf(file: FileBytes, cause: unknown): NearfieldError {
  if (cause instanceof NearfieldError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  return /compressed but codec/.test(message)
    ? unsupported(file, "compressed record batches", "Arrow IPC without compression", "write it without compression")
    : undecodable(file, "Arrow IPC", cause);
}

function recordOf(arrow: Arrow, batch: ArrowBatch, row: number): Fields {
  const fields: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [column, { name, type, metadata }] of batch.schema.fields.entries()) {
    const value = valueOf(arrow, type, batch.getChildAt(column)?.get(row));
    fields[name] = typeof value === "string" && isJson(metadata) ? JSON.parse(value) : value;
  }
  return plainValues(fields);
}

/** Whose cells are milliseconds since 1970, whatever their unit in the file. */
function isTime({ DataType }: Arrow, type: DataType): boolean {
  return DataType.isTimestamp(type) || DataType.isDate(type);
}

function isJson(metadata: ReadonlyMap<string, string>): boolean {
  const [key, value] = JSON_TEXT;
  return metadata.get(key) === value || metadata.get("ARROW:extension:name") === "arrow.json";
}

/** Lists come as vectors, structs and maps as proxies over them: neither can be sent to another process. */
function valueOf(arrow: Arrow, type: DataType | undefined, value: unknown): unknown {
  if (value instanceof arrow.Vector) {
    // What a vector's memory holds is not what it stands for where elements are null or halves.
    if (value.nullCount === 0 && isPlainNumber(arrow, value.type)) return value.toArray();
    return Array.from(value, (element) => valueOf(arrow, value.type, element));
  }
  if (typeof value === "number" && type !== undefined && isTime(arrow, type)) return new Date(value);
  if (!(value instanceof arrow.StructRow) && !(value instanceof arrow.MapRow)) return value;
  const fieldOf = (name: string): DataType | undefined => type?.children?.find((field) => field.name === name)?.type;
  const fields = Object.entries(value.toJSON());
  return Object.fromEntries(fields.map(([name, field]) => [name, valueOf(arrow, fieldOf(name), field)]));
}

/** Numbers whose memory can be sent as it is, and is told from bytes and the words of decimals. */
function isPlainNumber({ DataType, Precision }: Arrow, type: DataType): boolean {
  if (DataType.isInt(type)) return type.bitWidth <= 32 && type.isSigned;
  return DataType.isFloat(type) && type.precision !== Precision.HALF;
}
