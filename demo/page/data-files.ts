/** Where the page's data files lie, as the build named them (demo/data/plugin.ts); names hold a hash of the content. */

export interface DataFile {
  /** Relative to the page. */
  readonly url: string;
  /** Records in it. */
  readonly count: number;
}

interface DataFiles {
  /** Changes with the texts that are embedded and with their embedder: vectors of other ones are of no use. */
  readonly embedding: string;
  /** Lines of synset.ts, gzipped. */
  readonly glosses: DataFile;
  /** demo/data/word-file.ts, gzipped. */
  readonly words: DataFile;
  /** demo/data/digit-file.ts, gzipped; null in a build without MNIST. */
  readonly digits: DataFile | null;
}

declare const DEMO_DATA_FILES: DataFiles;

export const DATA_FILES: DataFiles = DEMO_DATA_FILES;

/** Whole and unzipped. Rejects with an Error that names the file. `onProgress`: bytes received so far. */
export async function loadData(url: string, onProgress?: (bytes: number) => void): Promise<ArrayBuffer> {
  const response = await fetch(url);
  if (!response.ok || response.body === null) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  let received = 0;
  const counted = response.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        received += chunk.byteLength;
        onProgress?.(received);
        controller.enqueue(chunk);
      },
    }),
  );
  const unzipped = counted.pipeThrough(
    new DecompressionStream("gzip") as unknown as TransformStream<Uint8Array, Uint8Array>,
  );
  return new Response(unzipped as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer();
}
