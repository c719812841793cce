/**
 * Rows of one width that lie one after the other in a file: what npy, fvecs, fbin and safetensors
 * come down to once their header is read. Checks sizes against the file before anything is read.
 */
import { NearfieldError } from "../core/errors.ts";
import { IO_LIMITS } from "../core/limits.ts";
import {
  decodeFloats,
  decodeRows,
  ELEMENT_BYTES,
  type ElementType,
  ROW_ELEMENTS,
  VECTOR_ELEMENTS,
} from "./elements.ts";
import { corrupt, type FileBytes, unsupported } from "./file-bytes.ts";
import type { BatchOptions, NeighbourLists, VectorBatch, VectorSource } from "./vector-source.ts";

/** Where the rows of a file are. */
export interface DenseLayout {
  readonly format: string;
  /** Byte of the first row. */
  readonly offset: number;
  readonly rowCount: number;
  readonly dimensions: number;
  readonly element: ElementType;
  readonly isBigEndian?: boolean;
  /** Each row is preceded by its width as a little-endian u32, as in .fvecs. */
  readonly hasWidths?: boolean;
  /** Element by element instead of row by row: numpy's Fortran order. */
  readonly isTransposed?: boolean;
  /** More bytes may follow the rows, as other tensors do. Default: none may. */
  readonly mayGoOn?: boolean;
}

/** Rejects what the file cannot hold. */
function checkLayout(file: FileBytes, layout: DenseLayout): void {
  const { offset, rowCount, dimensions, mayGoOn = false } = layout;
  const end = offset + rowCount * rowBytes(layout);
  if (!Number.isSafeInteger(end) || end > file.size) {
    throw corrupt(file, file.size, `${rowCount} rows of ${dimensions}, ${end} bytes in all, as the header says`);
  }
  if (end < file.size && !mayGoOn)
    throw corrupt(file, end, `the end of the file after ${rowCount} rows of ${dimensions}`);
}

function rowBytes({ dimensions, element, hasWidths = false }: DenseLayout): number {
  return dimensions * ELEMENT_BYTES[element] + (hasWidths ? 4 : 0);
}

/** Takes the file over: closing the source closes it. Throws UNSUPPORTED_FORMAT, CORRUPT, INVALID_DIMENSIONS. */
export function denseSource(file: FileBytes, layout: DenseLayout): VectorSource {
  checkLayout(file, layout);
  const { format, rowCount, dimensions, element } = layout;
  if (!VECTOR_ELEMENTS.has(element)) {
    throw unsupported(
      file,
      `elements of type ${element}`,
      `one of ${[...VECTOR_ELEMENTS].join(", ")}`,
      "these look like row numbers: convert them, or give the file where neighbours are asked for",
    );
  }
  checkDimensions(file, dimensions);
  return {
    path: file.path,
    format,
    dimensions,
    rowCount,
    sizeBytes: file.size,
    batches: (options) => batchesOf(file, layout, options),
    close: () => file.close(),
  };
}

export function checkDimensions(file: { readonly path: string }, dimensions: number): void {
  if (dimensions >= 1 && dimensions <= IO_LIMITS.dimensions) return;
  throw new NearfieldError("INVALID_DIMENSIONS", {
    got: `${file.path} with vectors of ${dimensions} elements`,
    expected: `1 … ${IO_LIMITS.dimensions}`,
    remedy: "give a file of vectors",
  });
}

async function* batchesOf(
  file: FileBytes,
  layout: DenseLayout,
  { from = 0, size }: BatchOptions,
): AsyncGenerator<VectorBatch, void, void> {
  const { rowCount, dimensions } = layout;
  const most = Math.max(1, Math.floor(IO_LIMITS.batchBytes / rowBytes(layout)));
  for (let first = from; first < rowCount; ) {
    const count = Math.min(size, most, rowCount - first);
    const vectors = new Float32Array(count * dimensions);
    await readFloats(file, layout, first, count, vectors);
    yield { first, count, rows: Uint32Array.from({ length: count }, (_, i) => first + i), vectors, rejected: [] };
    first += count;
  }
}

async function readFloats(
  file: FileBytes,
  layout: DenseLayout,
  first: number,
  count: number,
  vectors: Float32Array,
): Promise<void> {
  const { offset, rowCount, dimensions, element, isBigEndian = false, isTransposed = false } = layout;
  if (isTransposed) {
    const bytes = ELEMENT_BYTES[element];
    for (let column = 0; column < dimensions; column++) {
      const piece = await file.read(offset + (column * rowCount + first) * bytes, count * bytes);
      decodeFloats(piece, element, isBigEndian, vectors, column, dimensions);
    }
    return;
  }
  decodeFloats(await bodies(file, layout, first, count), element, isBigEndian, vectors);
}

/** The elements of the rows, without what precedes each. */
async function bodies(
  file: FileBytes,
  layout: DenseLayout,
  first: number,
  count: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const { offset, dimensions, hasWidths = false } = layout;
  const each = rowBytes(layout);
  const bytes = await file.read(offset + first * each, count * each);
  if (!hasWidths) return bytes;
  const words = new DataView(bytes.buffer);
  const body = new Uint8Array(count * (each - 4));
  for (let i = 0; i < count; i++) {
    const width = words.getUint32(i * each, true);
    if (width !== dimensions) {
      throw corrupt(
        file,
        offset + (first + i) * each,
        `row ${first + i} to have ${dimensions} elements like the first, not ${width}`,
      );
    }
    body.set(bytes.subarray(i * each + 4, (i + 1) * each), i * (each - 4));
  }
  return body;
}

/** All of the file as row numbers. Closes it. */
export async function denseNeighbours(file: FileBytes, layout: DenseLayout): Promise<NeighbourLists> {
  try {
    checkLayout(file, layout);
    const { rowCount, dimensions, element, isBigEndian = false, isTransposed = false } = layout;
    if (!ROW_ELEMENTS.has(element) || isTransposed) {
      throw unsupported(
        file,
        isTransposed ? "Fortran order" : `elements of type ${element}`,
        `row numbers of type ${[...ROW_ELEMENTS].join(", ")}, row by row`,
        "give a file of neighbours, such as .ivecs, .ibin or an .npy of integers",
      );
    }
    const rows = decodeRows(await bodies(file, layout, 0, rowCount), element, isBigEndian);
    if (rows === undefined) throw corrupt(file, undefined, "row numbers below 2³²");
    return { count: rowCount, width: dimensions, rows };
  } finally {
    await file.close();
  }
}
