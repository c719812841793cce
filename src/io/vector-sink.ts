/** Writes files of vectors, by the extension of their name. What a format cannot hold (ids and metadata in a matrix) goes beside it. */
import { extname } from "node:path";
import { NearfieldError } from "../core/errors.ts";
import { isMatrix, MATRICES } from "./companion.ts";
import { checkDimensions } from "./dense-rows.ts";
import type { MetadataColumns } from "./metadata-columns.ts";

/** Rows to be written, in order. */
export interface SinkRows {
  readonly count: number;
  /** [count × dimensions] */
  readonly vectors: Float32Array;
  readonly ids: readonly string[];
  readonly metadata: readonly (Readonly<Record<string, unknown>> | undefined)[];
}

export interface SinkOptions {
  readonly dimensions: number;
  /** Of the metadata of all rows. */
  readonly columns: MetadataColumns;
  readonly idField?: string | undefined;
  readonly vectorField?: string | undefined;
}

/** A file under way. Appears in its place by `finish`; `abort` leaves nothing behind. */
export interface VectorSink {
  /** Rejects with INVALID_VECTOR for a value that the format cannot hold. */
  append(rows: SinkRows): Promise<void>;
  finish(): Promise<void>;
  abort(): Promise<void>;
}

/** Rejects with INVALID_OPTION for an extension it cannot write, and for metadata whose key names another column. */
export async function openSink(path: string, options: SinkOptions): Promise<VectorSink> {
  checkDimensions({ path }, options.dimensions);
  const extension = extname(path).toLowerCase();
  if (isMatrix(path)) return (await import("./dense-sink.ts")).openDenseSink(path, extension, options);
  if (extension === ".jsonl" || extension === ".ndjson")
    return (await import("./text-sinks.ts")).openJsonlSink(path, options);
  if (extension === ".csv") return (await import("./text-sinks.ts")).openCsvSink(path, options);
  if (extension === ".parquet") return (await import("./parquet-sink.ts")).openParquetSink(path, options);
  if (extension === ".arrow") return (await import("./arrow-sink.ts")).openArrowSink(path, options);
  throw new NearfieldError("INVALID_OPTION", {
    got: `${path} to be written`,
    expected: `a name that ends in ${MATRICES.join(", ")}, .jsonl, .csv, .parquet or .arrow`,
    remedy: "give the file the extension of one of these formats",
  });
}
