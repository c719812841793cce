/** JSON lines and CSV. Floats are written so that reading them back gives the same float32: JavaScript's shortest text of the number. */
import { FileOutput } from "./file-output.ts";
import type { SinkOptions, SinkRows, VectorSink } from "./vector-sink.ts";

/** `hasVectors`: false for the file of ids and metadata beside a matrix. */
export async function openJsonlSink(
  path: string,
  { dimensions, idField = "id", vectorField = "vector" }: SinkOptions,
  hasVectors = true,
): Promise<VectorSink> {
  return textSink(path, undefined, ({ vectors, ids, metadata }, row) => {
    const vector = hasVectors
      ? { [vectorField]: Array.from(vectors.subarray(row * dimensions, (row + 1) * dimensions)) }
      : {};
    // The id and the vector win over metadata of the same name.
    return JSON.stringify({ [idField]: ids[row], ...metadata[row], ...{ [idField]: ids[row] }, ...vector });
  });
}

/** One column an element; texts in quotes, so that what looks like a number stays a text. */
export async function openCsvSink(
  path: string,
  { dimensions, columns, idField = "id", vectorField = "vector" }: SinkOptions,
): Promise<VectorSink> {
  const names = [...columns.keys()].filter((name) => name !== idField && !name.startsWith(`${vectorField}_`));
  const elements = Array.from({ length: dimensions }, (_, i) => `${vectorField}_${i}`);
  const header = [idField, ...elements, ...names].map(quoted).join(",");
  return textSink(path, header, ({ vectors, ids, metadata }, row) =>
    [
      quoted(ids[row] ?? ""),
      ...vectors.subarray(row * dimensions, (row + 1) * dimensions),
      ...names.map((name) => cellOf(metadata[row]?.[name])),
    ].join(","),
  );
}

function cellOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return quoted(typeof value === "string" ? value : JSON.stringify(value));
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

async function textSink(
  path: string,
  header: string | undefined,
  lineOf: (rows: SinkRows, row: number) => string,
): Promise<VectorSink> {
  const output = await FileOutput.create(path);
  if (header !== undefined) await output.append(Buffer.from(`${header}\n`));
  return {
    async append(rows) {
      for (let row = 0; row < rows.count; row++) await output.append(Buffer.from(`${lineOf(rows, row)}\n`));
    },
    finish: () => output.finish(),
    abort: () => output.abort(),
  };
}
