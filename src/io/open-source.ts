/** Opens a file of vectors, or of row numbers, whatever its format: by its first bytes where they tell, else by its extension and whether that adds up. */
import { extname } from "node:path";
import { NearfieldError } from "../core/errors.ts";
import { BIN_ELEMENTS, readBinLayout } from "./big-ann.ts";
import type { DecoderProcess } from "./decoder-process.ts";
import { denseNeighbours, denseSource } from "./dense-rows.ts";
import { FileBytes, unsupported } from "./file-bytes.ts";
import { isNpy, readNpyLayout } from "./npy.ts";
import { isSafetensors, readSafetensorsLayout } from "./safetensors.ts";
import { readVecsLayout, VECS_ELEMENTS } from "./vecs.ts";
import type { FieldNames, NeighbourLists, VectorSource } from "./vector-source.ts";

type Format =
  | "npy"
  | "safetensors"
  | "parquet"
  | "arrow"
  | "jsonl"
  | "csv"
  | keyof typeof VECS_ELEMENTS
  | keyof typeof BIN_ELEMENTS;

export interface SourceOptions {
  readonly fields?: FieldNames;
  /** Of Parquet and Arrow: a decoder that stays the caller's, and reads one file at a time. Default: one of the source's own. */
  readonly decoder?: DecoderProcess;
  /** Whether ids and metadata that stand beside a file of numbers alone (companion.ts) are read with it. Default false. */
  readonly takesCompanion?: boolean;
  /** Whether a file of a format in which rows tell their width may have none; its `dimensions` are 0 then. Default false: UNSUPPORTED_FORMAT. */
  readonly mayBeEmpty?: boolean;
}

const EXTENSIONS: Readonly<Record<string, Format>> = {
  ".csv": "csv",
  ".jsonl": "jsonl",
  ".ndjson": "jsonl",
  ...Object.fromEntries(
    [...Object.keys(VECS_ELEMENTS), ...Object.keys(BIN_ELEMENTS)].map((name) => [`.${name}`, name as Format]),
  ),
};

const KNOWN = "npy, fvecs, bvecs, fbin, u8bin, i8bin, safetensors, Parquet, Arrow IPC, JSON lines or CSV";

/**
 * The caller closes it. Rejects with NOT_FOUND, UNSUPPORTED, INVALID_OPTION, UNSUPPORTED_FORMAT, CORRUPT, INVALID_DIMENSIONS; of
 * Parquet and Arrow also with WORKER_FAILED, where no process can be started, with CORRUPT where decoding shows no
 * progress for IO_LIMITS.decoderSilenceMs, and with UNSUPPORTED_FORMAT where it outgrows its heap.
 */
export async function openVectors(path: string, options: SourceOptions = {}): Promise<VectorSource> {
  const source = await opened(path, options);
  if (source.dimensions > 0 || options.mayBeEmpty === true) return source;
  await source.close();
  throw noRow(path);
}

/** A file whose width nobody knows. */
export function noRow(path: string): NearfieldError {
  return unsupported({ path }, "no row", "at least one, since its vector tells the width", "give a file that has rows");
}

async function opened(path: string, options: SourceOptions): Promise<VectorSource> {
  const file = await FileBytes.open(path);
  try {
    return await sourceOf(file, await formatOf(file), options);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function sourceOf(
  file: FileBytes,
  format: Format,
  { fields = {}, decoder, takesCompanion = false }: SourceOptions,
): Promise<VectorSource> {
  if (format === "jsonl") return (await import("./jsonl.ts")).jsonlSource(file, fields);
  if (format === "csv") return (await import("./csv.ts")).csvSource(file, fields);
  if (format === "parquet" || format === "arrow") {
    await file.close(); // the decoder opens it for itself
    return (await import("./decoded-source.ts")).decodedSource(file, format, fields, decoder);
  }
  const matrix = denseSource(file, await layoutOf(file, format, fields));
  return takesCompanion ? (await import("./companion.ts")).withCompanion(matrix, fields) : matrix;
}

function layoutOf(
  file: FileBytes,
  format: Exclude<Format, "jsonl" | "csv" | "parquet" | "arrow">,
  fields: FieldNames,
): ReturnType<typeof readNpyLayout> {
  switch (format) {
    case "npy":
      return readNpyLayout(file);
    case "safetensors":
      return readSafetensorsLayout(file, fields.vector);
    case "fvecs":
    case "bvecs":
    case "ivecs":
      return readVecsLayout(file, format);
    case "fbin":
    case "u8bin":
    case "i8bin":
    case "ibin":
      return readBinLayout(file, format);
    default:
      return format satisfies never;
  }
}

/** Reads lists of row numbers, such as true neighbours, into memory. Rejects like {@link openVectors}. */
export async function readNeighbours(path: string): Promise<NeighbourLists> {
  const file = await FileBytes.open(path);
  try {
    const format = await formatOf(file);
    if (format === "jsonl" || format === "csv" || format === "parquet" || format === "arrow") {
      throw unsupported(file, `a ${format} file`, "row numbers: .ivecs, .ibin or an .npy of integers", "convert it");
    }
    return await denseNeighbours(file, await layoutOf(file, format, {}));
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function formatOf(file: FileBytes): Promise<Format> {
  const head = await file.upTo(0, 64);
  if (isNpy(head)) return "npy";
  if (Buffer.from(head.subarray(0, 4)).toString("latin1") === "PAR1") return "parquet";
  if (Buffer.from(head.subarray(0, 6)).toString("latin1") === "ARROW1") return "arrow";
  const byName = EXTENSIONS[extname(file.path).toLowerCase()];
  // These begin with numbers of any value: the name has to tell.
  if (byName !== undefined && byName !== "csv" && byName !== "jsonl") return byName;
  if (isSafetensors(head, file.size)) return "safetensors";
  if (head.length >= 8 && Buffer.from(head).readUInt32LE() === 0xffffffff) return "arrow";
  const text = Buffer.from(head)
    .toString("utf8")
    .replace(/^\uFEFF/, "")
    .trimStart();
  if (text.startsWith("{")) return "jsonl";
  if (byName !== undefined) return byName;
  throw new NearfieldError("UNSUPPORTED_FORMAT", {
    got: `${file.path}${file.size === 0 ? ", which is empty" : ""}`,
    expected: KNOWN,
    remedy:
      "convert the file, or give it the extension of its format (.fvecs, .fbin and .csv cannot be told by their first bytes)",
  });
}
