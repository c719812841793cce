/**
 * Formats of numbers alone, and the file of ids and metadata beside one: a line of JSON a row, as
 * export writes it. With its companion such a file is read as one that holds everything itself.
 */
import { extname } from "node:path";
import { NearfieldError } from "../core/errors.ts";
import { FileBytes } from "./file-bytes.ts";
import { filledLines, objectOf, objectsOf } from "./jsonl.ts";
import { fieldNames, isUnreadable, noId, recordBatches, type Row } from "./record-batch.ts";
import type { FieldNames, VectorSource } from "./vector-source.ts";

/** Extensions of the formats that hold vectors and nothing else. */
export const MATRICES: readonly string[] = [".npy", ".fvecs", ".bvecs", ".fbin", ".u8bin", ".i8bin", ".safetensors"];

export function isMatrix(path: string): boolean {
  return MATRICES.includes(extname(path).toLowerCase());
}

/** Where ids and metadata go; undefined where the format holds them itself. */
export function companionName(path: string): string | undefined {
  return isMatrix(path) ? `${path}.ids.jsonl` : undefined;
}

/** No key of a record: whatever names metadata has, the vector is not among them. */
const VECTOR = "\0vector";

/** The matrix with what stands beside it, or as it is where nothing does. Owns it from here on. Rejects with CORRUPT where there is not a line a row. */
export async function withCompanion(matrix: VectorSource, fields: FieldNames): Promise<VectorSource> {
  const name = companionName(matrix.path);
  const file = name === undefined ? undefined : await openIfThere(name);
  if (file === undefined) return matrix;
  const { id } = fieldNames(fields);
  try {
    await checkLines(file, matrix, id);
  } catch (error) {
    await file.close();
    throw error;
  }
  const names = { id, vector: VECTOR };
  return {
    ...matrix,
    companion: file.path,
    batches: ({ from = 0, size }) =>
      recordBatches(joined(matrix, file, from, size), { from, size }, matrix.dimensions, names, from),
    async close() {
      await file.close();
      await matrix.close();
    },
  };
}

async function openIfThere(path: string): Promise<FileBytes | undefined> {
  try {
    return await FileBytes.open(path);
  } catch (error) {
    if (error instanceof NearfieldError && error.code === "NOT_FOUND") return undefined;
    throw error;
  }
}

/** Before the first row is taken: of a file that is one line short no row would have the right id. */
async function checkLines(file: FileBytes, { path, rowCount }: VectorSource, id: string): Promise<void> {
  let lines = 0;
  for await (const line of filledLines(file)) if (lines++ === 0) checkIds(file, line, id);
  if (lines === rowCount) return;
  throw new NearfieldError("CORRUPT", {
    got: `${file.path} of ${lines} lines`,
    expected: `ids and metadata of the ${rowCount} rows of ${path}, a line each`,
    remedy: "export both again, or move it away: rows are named by their numbers then",
  });
}

function checkIds(file: FileBytes, line: string, id: string): void {
  const first = objectOf(line, VECTOR);
  if (!isUnreadable(first) && !Object.hasOwn(first, id)) throw noId(file, id, 1, first);
}

/** Rows `from` … of both. */
async function* joined(
  matrix: VectorSource,
  file: FileBytes,
  from: number,
  size: number,
): AsyncGenerator<Row, void, void> {
  const { dimensions } = matrix;
  const lines = objectsOf(file, VECTOR);
  for (let row = 0; row < from; row++) await lines.next();
  for await (const { count, vectors } of matrix.batches({ from, size })) {
    for (let i = 0; i < count; i++) {
      const { value: fields, done } = await lines.next();
      if (done === true) throw new Error("the companion ends before its matrix"); // its lines were counted
      yield isUnreadable(fields)
        ? fields
        : { ...fields, [VECTOR]: vectors.subarray(i * dimensions, (i + 1) * dimensions) };
    }
  }
}
