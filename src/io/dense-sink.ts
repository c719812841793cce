/** .npy, .fvecs, .fbin and .safetensors: float32 rows behind a header whose row count is filled in at the end, and a file of ids and metadata beside. */
import { binHeader } from "./big-ann.ts";
import { FileOutput } from "./file-output.ts";
import { npyHeader } from "./npy.ts";
import { safetensorsHeader } from "./safetensors.ts";
import { openJsonlSink } from "./text-sinks.ts";
import { companionName, type SinkOptions, type SinkRows, type VectorSink } from "./vector-sink.ts";

export async function openDenseSink(path: string, extension: string, options: SinkOptions): Promise<VectorSink> {
  const { dimensions } = options;
  const header = (rows: number): Uint8Array => {
    if (extension === ".npy") return npyHeader("f4", rows, dimensions);
    if (extension === ".fbin") return binHeader(rows, dimensions);
    if (extension === ".safetensors") return safetensorsHeader(options.vectorField ?? "vectors", rows, dimensions);
    return new Uint8Array(0);
  };
  const output = await FileOutput.create(path);
  const companion = companionName(path);
  const ids = companion === undefined ? undefined : await openJsonlSink(companion, options, false);
  let rowCount = 0;
  await output.append(header(0));
  return {
    async append(rows: SinkRows) {
      const { count, vectors } = rows;
      await output.append(extension === ".fvecs" ? withWidths(vectors, count, dimensions) : bytesOf(vectors));
      await ids?.append(rows);
      rowCount += count;
    },
    async finish() {
      await output.patch(0, header(rowCount));
      await ids?.finish();
      await output.finish();
    },
    async abort() {
      await output.abort();
      await ids?.abort();
    },
  };
}

/** A copy: what is handed over is not ours to keep. */
function bytesOf(vectors: Float32Array): Uint8Array {
  return new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength).slice();
}

function withWidths(vectors: Float32Array, count: number, dimensions: number): Uint8Array {
  const words = new Float32Array(count * (dimensions + 1));
  const widths = new Uint32Array(words.buffer);
  for (let row = 0; row < count; row++) {
    const at = row * (dimensions + 1);
    widths[at] = dimensions;
    words.set(vectors.subarray(row * dimensions, (row + 1) * dimensions), at + 1);
  }
  return new Uint8Array(words.buffer);
}
