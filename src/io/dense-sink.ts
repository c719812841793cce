/**
 * .npy, .fvecs, .fbin and .safetensors: float32 rows behind a header whose row count is filled in at
 * the end, and a file of ids and metadata beside. .bvecs, .u8bin and .i8bin are the same with bytes
 * for elements: what is no whole number of their range is refused, never rounded.
 */
import { rm } from "node:fs/promises";
import { NearfieldError } from "../core/errors.ts";
import { binHeader } from "./big-ann.ts";
import { companionName } from "./companion.ts";
import { ELEMENT_BYTES, encodeBytes } from "./elements.ts";
import { FileOutput } from "./file-output.ts";
import { npyHeader } from "./npy.ts";
import { safetensorsHeader } from "./safetensors.ts";
import { openJsonlSink } from "./text-sinks.ts";
import type { SinkOptions, SinkRows, VectorSink } from "./vector-sink.ts";

type Element = "f4" | "u1" | "i1";

interface DenseFormat {
  readonly element: Element;
  /** Each row is preceded by its width. */
  readonly hasWidths?: boolean;
  readonly header?: (rows: number, { dimensions, vectorField }: SinkOptions) => Uint8Array;
}

const bin: DenseFormat["header"] = (rows, { dimensions }) => binHeader(rows, dimensions);

const FORMATS: Readonly<Record<string, DenseFormat>> = {
  ".npy": { element: "f4", header: (rows, { dimensions }) => npyHeader("f4", rows, dimensions) },
  ".safetensors": {
    element: "f4",
    header: (rows, { dimensions, vectorField = "vectors" }) => safetensorsHeader(vectorField, rows, dimensions),
  },
  ".fbin": { element: "f4", header: bin },
  ".u8bin": { element: "u1", header: bin },
  ".i8bin": { element: "i1", header: bin },
  ".fvecs": { element: "f4", hasWidths: true },
  ".bvecs": { element: "u1", hasWidths: true },
};

/** `extension`: one of those above, in lower case. Its `append` rejects with INVALID_VECTOR. */
export async function openDenseSink(path: string, extension: string, options: SinkOptions): Promise<VectorSink> {
  const format = FORMATS[extension];
  if (format === undefined) throw new Error(`${extension} is no dense format`);
  const { dimensions } = options;
  const { element, hasWidths = false, header } = format;
  const companion = companionName(path);
  const ids = companion === undefined ? undefined : await openJsonlSink(companion, options, false);
  const output = await FileOutput.create(path).catch(async (error: unknown) => {
    await ids?.abort();
    throw error;
  });
  let rowCount = 0;
  const abort = async (): Promise<void> => {
    await output.abort();
    await ids?.abort();
  };
  try {
    if (header !== undefined) await output.append(header(0, options));
  } catch (error) {
    await abort();
    throw error;
  }
  return {
    async append(rows: SinkRows) {
      const { count } = rows;
      const bytes = bytesOf(rows, element, dimensions, rowCount, path);
      await output.append(hasWidths ? withWidths(bytes, count, dimensions, ELEMENT_BYTES[element]) : bytes);
      await ids?.append(rows);
      rowCount += count;
    },
    async finish() {
      if (header !== undefined) await output.patch(0, header(rowCount, options));
      // A file that is replaced must not stand beside the ids of another, should the end come in between.
      if (ids !== undefined) await rm(path, { force: true });
      await ids?.finish();
      await output.finish();
    },
    abort,
  };
}

const RANGES: Readonly<Record<Exclude<Element, "f4">, string>> = { u1: "0 … 255", i1: "−128 … 127" };

/** A copy: what is handed over is not ours to keep. `first`: the number of the first row in the file. */
function bytesOf(
  { vectors, ids }: SinkRows,
  element: Element,
  dimensions: number,
  first: number,
  path: string,
): Uint8Array {
  if (element === "f4") return new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength).slice();
  const bytes = encodeBytes(vectors, element);
  if (bytes instanceof Uint8Array) return bytes;
  const row = Math.floor(bytes.refused / dimensions);
  const at = bytes.refused % dimensions;
  throw new NearfieldError("INVALID_VECTOR", {
    got: `${vectors[bytes.refused]} as element ${at} of row ${first + row} (id "${ids[row]}")`,
    expected: `whole numbers of ${RANGES[element]}, which is all that ${path} can hold`,
    remedy: "write a format of floats, such as .fvecs, .fbin, .npy or .parquet, or scale and round the vectors before",
    details: { position: first + row, element: at },
  });
}

function withWidths(body: Uint8Array, count: number, dimensions: number, elementBytes: number): Uint8Array {
  const rowBytes = dimensions * elementBytes;
  const bytes = Buffer.alloc(count * (4 + rowBytes));
  for (let row = 0; row < count; row++) {
    const at = row * (4 + rowBytes);
    bytes.writeUInt32LE(dimensions, at);
    bytes.set(body.subarray(row * rowBytes, (row + 1) * rowBytes), at + 4);
  }
  return bytes;
}
