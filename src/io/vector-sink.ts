/** Writes files of vectors, by the extension of their name. What a format cannot hold (ids and metadata in a matrix) goes beside it. */
import { extname } from "node:path";
import { NearfieldError } from "../core/errors.ts";
import { checkDimensions } from "./dense-rows.ts";

/** Rows to be written, in order. */
export interface SinkRows {
  readonly count: number;
  /** [count × dimensions] */
  readonly vectors: Float32Array;
  readonly ids: readonly string[];
  readonly metadata: readonly (Readonly<Record<string, unknown>> | undefined)[];
}

/** What a column of metadata holds: one kind of value, or anything, as JSON. */
export type ColumnKind = "text" | "number" | "boolean" | "json";

export interface SinkOptions {
  readonly dimensions: number;
  /** Of the metadata, for formats that must know before the first row. */
  readonly columns: ReadonlyMap<string, ColumnKind>;
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

/** Formats that hold vectors and nothing else. */
const MATRICES: ReadonlySet<string> = new Set([
  ".npy",
  ".fvecs",
  ".bvecs",
  ".fbin",
  ".u8bin",
  ".i8bin",
  ".safetensors",
]);

/** Where ids and metadata go, one JSON line a row; undefined where the format holds them itself. */
export function companionName(path: string): string | undefined {
  return MATRICES.has(extname(path).toLowerCase()) ? `${path}.ids.jsonl` : undefined;
}

/** Rejects with UNSUPPORTED_FORMAT for an extension it cannot write. */
export async function openSink(path: string, options: SinkOptions): Promise<VectorSink> {
  checkDimensions({ path }, options.dimensions);
  const extension = extname(path).toLowerCase();
  if (MATRICES.has(extension)) return (await import("./dense-sink.ts")).openDenseSink(path, extension, options);
  if (extension === ".jsonl" || extension === ".ndjson")
    return (await import("./text-sinks.ts")).openJsonlSink(path, options);
  if (extension === ".csv") return (await import("./text-sinks.ts")).openCsvSink(path, options);
  if (extension === ".parquet") return (await import("./parquet-sink.ts")).openParquetSink(path, options);
  if (extension === ".arrow") return (await import("./arrow-sink.ts")).openArrowSink(path, options);
  throw new NearfieldError("UNSUPPORTED_FORMAT", {
    got: `${path} to be written`,
    expected: `a name that ends in ${[...MATRICES].join(", ")}, .jsonl, .csv, .parquet or .arrow`,
    remedy: "give the file the extension of one of these formats",
  });
}

/** The kinds of the metadata's columns, as far as rows have told; keys in the order they first appeared. */
export function noteColumns(columns: Map<string, ColumnKind>, metadata: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(metadata)) {
    if (value === null) continue;
    const kind =
      typeof value === "string"
        ? "text"
        : typeof value === "number"
          ? "number"
          : typeof value === "boolean"
            ? "boolean"
            : "json";
    const known = columns.get(name);
    columns.set(name, known === undefined || known === kind ? kind : "json");
  }
}
