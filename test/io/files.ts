/** Files of vectors built by hand or by other tools, for the readers' tests. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { openVectors, type SourceOptions } from "../../src/io/open-source.ts";
import type { VectorBatch } from "../../src/io/vector-source.ts";

/** A folder for the file's tests; gone when they are over. */
export async function scratchFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "nearfield-io-"));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

let written = 0;
export async function fileOf(folder: string, extension: string, bytes: Uint8Array | string): Promise<string> {
  const path = join(folder, `file-${written++}${extension}`);
  await writeFile(path, bytes);
  return path;
}

/** A .npy as numpy writes it. `descr`: as in the header; `body`: the elements' bytes. */
export function npyBytes(
  descr: string,
  shape: readonly number[],
  body: Uint8Array,
  { version = 1, isFortran = false }: { version?: number; isFortran?: boolean } = {},
): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const fields = `{'descr': '${descr}', 'fortran_order': ${isFortran ? "True" : "False"}, 'shape': ${tuple}, }`;
  const prefix = version === 1 ? 10 : 12;
  const length = Math.ceil((prefix + fields.length + 1) / 64) * 64 - prefix;
  const head = Buffer.alloc(prefix);
  head.write("\x93NUMPY", "latin1");
  head.set([version, 0], 6);
  if (version === 1) head.writeUInt16LE(length, 8);
  else head.writeUInt32LE(length, 8);
  return Buffer.concat([head, Buffer.from(`${fields.padEnd(length - 1)}\n`, "latin1"), body]);
}

export function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** What a reader makes of a file, all batches joined. */
export interface ReadFile {
  readonly format: string;
  readonly dimensions: number;
  readonly rowCount: number | undefined;
  readonly rows: readonly number[];
  readonly vectors: readonly number[];
  readonly ids: readonly string[];
  readonly metadata: readonly Readonly<Record<string, unknown>>[];
  readonly rejected: VectorBatch["rejected"];
}

export async function readAll(
  path: string,
  options: SourceOptions & { from?: number; size?: number } = {},
): Promise<ReadFile> {
  const source = await openVectors(path, options);
  try {
    const batches: VectorBatch[] = [];
    let next = options.from ?? 0;
    for await (const batch of source.batches({ from: options.from ?? 0, size: options.size ?? 1000 })) {
      if (batch.first !== next) throw new Error(`a batch begins at ${batch.first}, not ${next}`);
      if (batch.vectors.length !== batch.rows.length * source.dimensions) throw new Error("rows and vectors differ");
      next += batch.count;
      batches.push(batch);
    }
    return {
      format: source.format,
      dimensions: source.dimensions,
      rowCount: source.rowCount,
      rows: batches.flatMap(({ rows }) => [...rows]),
      vectors: batches.flatMap(({ vectors }) => [...vectors]),
      ids: batches.flatMap(({ rows, ids = [] }) => ids.map((id, i) => id ?? `row ${rows[i]}`)),
      metadata: batches.flatMap(({ metadata = [] }) => metadata.map((fields) => ({ ...fields }))),
      rejected: batches.flatMap(({ rejected }) => [...rejected]),
    };
  } finally {
    await source.close();
  }
}
