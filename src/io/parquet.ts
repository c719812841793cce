/**
 * Parquet by hyparquet: a column of lists of floats, one of ids where there is one, others are
 * metadata. A row group is read as a whole, so its unpacked size is bounded before. Snappy, gzip,
 * Brotli and no compression. Runs in the decoder's process: on damaged pages hyparquet 1.31.5 loops
 * for ever or fills the memory.
 */
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import type { AsyncBuffer, Compressors, FileMetaData, RowGroup } from "hyparquet";
import { NearfieldError } from "../core/errors.ts";
import { IO_LIMITS } from "../core/limits.ts";
import { corrupt, type FileBytes, undecodable, unsupported } from "./file-bytes.ts";
import { plainValues } from "./plain-values.ts";
import { fieldNames, type Fields, probedWidth, recordBatches } from "./record-batch.ts";
import type { FieldNames, VectorSource } from "./vector-source.ts";

/** `onProgress`: called after each piece that is read and each page. */
export async function parquetSource(
  file: FileBytes,
  fields: FieldNames,
  onProgress: () => void,
): Promise<VectorSource> {
  const names = fieldNames(fields);
  const reader = await GroupReader.open(file, onProgress);
  const dimensions = await probedWidth(file, reader.records(0), names);
  return {
    path: file.path,
    format: "parquet",
    dimensions,
    rowCount: reader.rowCount,
    sizeBytes: file.size,
    batches(options) {
      // Whole groups before `from` are not even read.
      const begin = reader.rowsBefore(options.from ?? 0);
      return recordBatches(reader.records(begin), options, dimensions, names, begin);
    },
    close: () => file.close(),
  };
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Columns of bytes are texts where they can be, whatever the file says of them. The library's own way changes bytes that are none, and drops what looks like a byte order mark. */
const TEXTS = {
  stringFromBytes(bytes: Uint8Array | undefined): string | Uint8Array | undefined {
    try {
      return bytes && decoder.decode(bytes);
    } catch {
      return bytes;
    }
  },
};

class GroupReader {
  readonly #file: FileBytes;
  readonly #buffer: AsyncBuffer;
  readonly #metadata: FileMetaData;
  readonly #onProgress: () => void;

  private constructor(file: FileBytes, buffer: AsyncBuffer, metadata: FileMetaData, onProgress: () => void) {
    this.#file = file;
    this.#buffer = buffer;
    this.#metadata = metadata;
    this.#onProgress = onProgress;
  }

  static async open(file: FileBytes, onProgress: () => void): Promise<GroupReader> {
    const { parquetMetadataAsync } = await import("hyparquet");
    const buffer: AsyncBuffer = {
      byteLength: file.size,
      slice: async (start, end = file.size) => (await file.read(start, end - start, onProgress)).buffer,
    };
    try {
      return new GroupReader(file, buffer, await parquetMetadataAsync(buffer), onProgress);
    } catch (cause) {
      throw problemOf(file, cause);
    }
  }

  get rowCount(): number {
    return this.#metadata.row_groups.reduce((sum, group) => sum + Number(group.num_rows), 0);
  }

  /** Rows of the groups that end at or before row `from`. */
  rowsBefore(from: number): number {
    let rows = 0;
    for (const group of this.#metadata.row_groups) {
      const next = rows + Number(group.num_rows);
      if (next > from) break;
      rows = next;
    }
    return rows;
  }

  /** Records from row `from` on, which begins a group. */
  async *records(from: number): AsyncGenerator<Fields, void, void> {
    let rowStart = 0;
    for (const group of this.#metadata.row_groups) {
      const rowEnd = rowStart + Number(group.num_rows);
      if (rowStart >= from) {
        this.#check(group);
        yield* await this.#groupOf(rowStart, rowEnd);
      }
      rowStart = rowEnd;
    }
  }

  /** Column by column: hyparquet reads columns at once, and of two that fail the second rejection would be nobody's. */
  async #groupOf(rowStart: number, rowEnd: number): Promise<Fields[]> {
    const { parquetSchema } = await import("hyparquet");
    const columns: (readonly [name: string, values: readonly unknown[]])[] = [];
    for (const { element } of parquetSchema(this.#metadata).children) {
      const values = await this.#columnOf(element.name, rowStart, rowEnd);
      if (values.length !== rowEnd - rowStart)
        throw corrupt(
          this.#file,
          undefined,
          `${rowEnd - rowStart} values of ${element.name} in a group, not ${values.length}`,
        );
      columns.push([element.name, values]);
    }
    return Array.from({ length: columns.length === 0 ? 0 : rowEnd - rowStart }, (_, row) => {
      const record: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
      for (const [name, values] of columns) record[name] = values[row];
      return plainValues(record);
    });
  }

  /** As many values as the pages of a group have, whatever the file says of its rows. */
  async #columnOf(name: string, rowStart: number, rowEnd: number): Promise<unknown[]> {
    const { parquetRead, snappyUncompress } = await import("hyparquet");
    const values: unknown[] = [];
    try {
      await parquetRead({
        file: this.#buffer,
        metadata: this.#metadata,
        columns: [name],
        rowStart,
        rowEnd,
        compressors: this.#compressors(snappyUncompress),
        parsers: TEXTS,
        onPage: () => this.#onProgress(),
        onChunk: ({ columnData }) => {
          for (let i = 0; i < columnData.length; i++) values.push(columnData[i]);
        },
      });
    } catch (cause) {
      throw problemOf(this.#file, cause);
    }
    return values;
  }

  /** For the pages of one column: what they unpack to is bounded, whatever their headers say. */
  #compressors(snappyUncompress: (input: Uint8Array, output: Uint8Array) => void): Compressors {
    let left: number = IO_LIMITS.groupBytes;
    const within =
      (unpack: (input: Uint8Array, length: number) => Uint8Array) =>
      (input: Uint8Array, length: number): Uint8Array => {
        left -= length;
        if (!(length >= 0 && left >= 0))
          throw corrupt(
            this.#file,
            undefined,
            `pages of a column that unpack to at most ${IO_LIMITS.groupBytes} bytes`,
          );
        const output = unpack(input, length);
        this.#onProgress();
        return output;
      };
    return {
      SNAPPY: within((input, length) => {
        const output = new Uint8Array(length);
        snappyUncompress(input, output);
        return output;
      }),
      GZIP: within((input, length) => gunzipSync(input, { maxOutputLength: length })),
      BROTLI: within((input, length) => brotliDecompressSync(input, { maxOutputLength: length })),
    };
  }

  #check({ num_rows: rows, columns }: RowGroup): void {
    const bytes = columns.reduce((sum, { meta_data: data }) => sum + Number(data?.total_uncompressed_size ?? 0), 0);
    const held = columns.reduce((sum, { meta_data: data }) => sum + Number(data?.total_compressed_size ?? 0), 0);
    if (rows < 0 || held < 0 || held > this.#file.size)
      throw corrupt(this.#file, undefined, "row groups that lie within the file");
    if (rows > IO_LIMITS.groupRows || bytes > IO_LIMITS.groupBytes) {
      throw unsupported(
        this.#file,
        `a row group of ${rows} rows, ${bytes} bytes unpacked`,
        `at most ${IO_LIMITS.groupRows} rows and ${IO_LIMITS.groupBytes} bytes, since a group is read as a whole`,
        "write it with smaller row groups",
      );
    }
  }
}

function problemOf(file: FileBytes, cause: unknown): NearfieldError {
  if (cause instanceof NearfieldError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  if (/unsupported/i.test(message)) {
    return unsupported(file, message, "Snappy, gzip, Brotli or no compression", "write it again with one of these");
  }
  return undecodable(file, "Parquet", cause);
}
