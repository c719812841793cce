/** .fbin, .u8bin, .i8bin, .ibin (https://big-ann-benchmarks.com): row count and width as little-endian u32, then the rows. No magic: known by the extension and by its arithmetic. */
import type { DenseLayout } from "./dense-rows.ts";
import type { FileBytes } from "./file-bytes.ts";

export const BIN_ELEMENTS = { fbin: "f4", u8bin: "u1", i8bin: "i1", ibin: "i4" } as const;

const BIN_HEADER_BYTES = 8;

export async function readBinLayout(file: FileBytes, format: keyof typeof BIN_ELEMENTS): Promise<DenseLayout> {
  const view = new DataView((await file.read(0, BIN_HEADER_BYTES)).buffer);
  return {
    format,
    offset: BIN_HEADER_BYTES,
    rowCount: view.getUint32(0, true),
    dimensions: view.getUint32(4, true),
    element: BIN_ELEMENTS[format],
  };
}

export function binHeader(rowCount: number, dimensions: number): Uint8Array {
  const header = new Uint8Array(BIN_HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, rowCount, true);
  view.setUint32(4, dimensions, true);
  return header;
}
