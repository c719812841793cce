/** A file of vectors that another process decodes: batches come as messages, one that is ready ahead of the taker. */
import { IO_LIMITS } from "../core/limits.ts";
import type { DecodedFormat } from "./decoder-api.ts";
import { DecoderProcess } from "./decoder-process.ts";
import type { BatchOptions, FieldNames, VectorBatch, VectorSource } from "./vector-source.ts";

/** `shared`: a decoder that stays the caller's, and reads one file at a time; else the source has its own and ends it. */
export async function decodedSource(
  file: { readonly path: string; readonly size: number },
  format: DecodedFormat,
  fields: FieldNames,
  shared?: DecoderProcess,
): Promise<VectorSource> {
  const decoder = shared ?? (await DecoderProcess.start({ heapBytes: heapFor(file.size) }));
  const close = async (): Promise<void> => {
    if (shared === undefined) await decoder.end();
  };
  try {
    const facts = await decoder.open({ path: file.path, format, fields });
    return { path: file.path, format, ...facts, batches: (options) => batchesOf(decoder, options), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Heap in proportion to the file, so that a small file that lies is found out soon. */
function heapFor(sizeBytes: number): number {
  const { decoderHeapBytes, decoderLeastHeapBytes, decoderHeapFactor } = IO_LIMITS;
  return Math.min(decoderHeapBytes, decoderLeastHeapBytes + sizeBytes * decoderHeapFactor);
}

async function* batchesOf(
  decoder: DecoderProcess,
  { from = 0, size }: BatchOptions,
): AsyncGenerator<VectorBatch, void, void> {
  const reading = decoder.reading();
  let next = decoder.next(reading, from, size);
  try {
    for (let batch = await next; batch !== undefined; batch = await next) {
      next = decoder.next(reading, from, size);
      next.catch(() => {}); // a taker that leaves early never sees it
      yield batch;
    }
  } finally {
    void decoder.leave(reading); // not awaited: what was asked ahead may take long, and closing ends it
  }
}
