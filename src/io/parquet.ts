/**
 * Parquet by hyparquet: a column of lists of floats, one of ids where there is one, others are
 * metadata. A row group is read as a whole, so its unpacked size is bounded before. Snappy, gzip,
 * Brotli and no compression.
 */
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import type { AsyncBuffer, Compressors, FileMetaData, RowGroup } from "hyparquet";
import { NearfieldError } from "../core/errors.ts";
import { IO_LIMITS } from "../core/limits.ts";
import { corrupt, type FileBytes, unsupported } from "./file-bytes.ts";
import { plainValues } from "./plain-values.ts";
import { fieldNames, type Fields, firstOf, recordBatches, widthAmong } from "./record-batch.ts";
import type { FieldNames, VectorSource } from "./vector-source.ts";

const COMPRESSORS: Compressors = {
  GZIP: (input, outputLength) => gunzipSync(input, { maxOutputLength: outputLength }),
  BROTLI: (input, outputLength) => brotliDecompressSync(input, { maxOutputLength: outputLength }),
};

export async function parquetSource(file: FileBytes, fields: FieldNames): Promise<VectorSource> {
  const names = fieldNames(fields);
  const reader = await GroupReader.open(file);
  const dimensions = widthAmong(file, await firstOf(reader.records(0), IO_LIMITS.probedRows), names);
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

class GroupReader {
  readonly #file: FileBytes;
  readonly #buffer: AsyncBuffer;
  readonly #metadata: FileMetaData;

  private constructor(file: FileBytes, buffer: AsyncBuffer, metadata: FileMetaData) {
    this.#file = file;
    this.#buffer = buffer;
    this.#metadata = metadata;
  }

  static async open(file: FileBytes): Promise<GroupReader> {
    const { parquetMetadataAsync } = await import("hyparquet");
    const buffer: AsyncBuffer = {
      byteLength: file.size,
      slice: async (start, end = file.size) => (await file.read(start, end - start)).buffer,
    };
    try {
      return new GroupReader(file, buffer, await parquetMetadataAsync(buffer));
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
    const { parquetReadObjects, parquetSchema } = await import("hyparquet");
    const { children } = parquetSchema(this.#metadata);
    const records = Array.from({ length: rowEnd - rowStart }, () => Object.create(null) as Record<string, unknown>);
    for (const { element } of children) {
      let cells: Record<string, unknown>[];
      try {
        cells = await parquetReadObjects({
          file: this.#buffer,
          metadata: this.#metadata,
          columns: [element.name],
          rowStart,
          rowEnd,
          compressors: COMPRESSORS,
        });
      } catch (cause) {
        throw problemOf(this.#file, cause);
      }
      if (cells.length !== records.length)
        throw corrupt(
          this.#file,
          undefined,
          `${records.length} values of ${element.name} in a group, not ${cells.length}`,
        );
      for (const [row, record] of records.entries()) record[element.name] = cells[row]?.[element.name];
    }
    return records.map(plainValues);
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
  return corrupt(file, undefined, `Parquet (${message})`, cause);
}
