/** Vectors of the most frequent GloVe words, from the demo's compact copy, which is made on first use. */
import { join } from "node:path";
import { DIMENSIONS, openGlove } from "../../demo/words/glove.ts";

export { DIMENSIONS };

/** [count × DIMENSIONS] */
export async function gloveRows(count: number): Promise<Float32Array> {
  const glove = await openGlove(join(process.cwd(), ".cache"), () => {});
  const rows = new Float32Array(count * DIMENSIONS);
  let filled = 0;
  for await (const piece of glove.vectors()) {
    const part = piece.subarray(0, rows.length - filled);
    rows.set(part, filled);
    filled += part.length;
    if (filled === rows.length) return rows;
  }
  throw new Error(`GloVe has fewer than ${count} words`);
}
