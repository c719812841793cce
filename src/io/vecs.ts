/** .fvecs, .bvecs, .ivecs (http://corpus-texmex.irisa.fr): each row its width as a little-endian u32, then float32, u8 or i32. No magic: known by the extension and by its arithmetic. */
import type { DenseLayout } from "./dense-rows.ts";
import { ELEMENT_BYTES } from "./elements.ts";
import { corrupt, type FileBytes } from "./file-bytes.ts";

export const VECS_ELEMENTS = { fvecs: "f4", bvecs: "u1", ivecs: "i4" } as const;

export async function readVecsLayout(file: FileBytes, format: keyof typeof VECS_ELEMENTS): Promise<DenseLayout> {
  const element = VECS_ELEMENTS[format];
  const head = await file.upTo(0, 4);
  if (head.length < 4) throw corrupt(file, 0, `a row: the width of a vector comes first in .${format}`);
  const dimensions = new DataView(head.buffer).getUint32(0, true);
  const rowBytes = 4 + dimensions * ELEMENT_BYTES[element];
  if (dimensions === 0 || file.size % rowBytes !== 0) {
    throw corrupt(
      file,
      0,
      `whole rows of ${dimensions} elements, ${rowBytes} bytes each, in the ${file.size} bytes there are`,
    );
  }
  return { format, offset: 0, rowCount: file.size / rowBytes, dimensions, element, hasWidths: true };
}
