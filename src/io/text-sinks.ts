/** JSON lines and CSV. Floats are written with nine digits, so that reading them back gives the same float32. */
import { fieldName, isVectorColumn, JSON_SUFFIX } from "./csv-columns.ts";
import { FileOutput } from "./file-output.ts";
import { isUnusual, valueOf } from "./metadata-columns.ts";
import type { SinkOptions, SinkRows, VectorSink } from "./vector-sink.ts";

/** `hasVectors`: false for the file of ids and metadata beside a matrix. */
export async function openJsonlSink(
  path: string,
  { dimensions, columns, idField = "id", vectorField = "vector" }: SinkOptions,
  hasVectors = true,
): Promise<VectorSink> {
  columns.checkNames(path, (name) => name === idField || (hasVectors && name === vectorField));
  return textSink(path, undefined, ({ vectors, ids, metadata }, row) => {
    const fields = JSON.stringify({ [idField]: ids[row], ...metadata[row] });
    if (!hasVectors) return fields;
    const elements = Array.from(vectors.subarray(row * dimensions, (row + 1) * dimensions), numberText);
    return `${fields.slice(0, -1)},${JSON.stringify(vectorField)}:[${elements.join(",")}]}`;
  });
}

/**
 * One column an element; texts in quotes, so that what looks like a number stays a text, and no text
 * is nothing at all. A column that holds lists, or mixed values, is named `name:json` and its cells are JSON.
 */
export async function openCsvSink(
  path: string,
  { dimensions, columns, idField = "id", vectorField = "vector" }: SinkOptions,
): Promise<VectorSink> {
  columns.checkNames(
    path,
    (name) => isUnusual(name) || fieldName(name) === idField || isVectorColumn(name, vectorField),
  );
  const metadataColumns = columns.kinds.map(([name, kind]) => {
    const isJson = kind === "json" || name.endsWith(JSON_SUFFIX);
    return { name, isJson, header: isJson ? `${name}${JSON_SUFFIX}` : name };
  });
  const elements = Array.from({ length: dimensions }, (_, i) => `${vectorField}_${i}`);
  const header = [idField, ...elements, ...metadataColumns.map((column) => column.header)].map(quoted).join(",");
  return textSink(path, header, ({ vectors, ids, metadata }, row) =>
    [
      quoted(ids[row] ?? ""),
      ...Array.from(vectors.subarray(row * dimensions, (row + 1) * dimensions), numberText),
      ...metadataColumns.map(({ name, isJson }) => cellOf(valueOf(metadata[row], name), isJson)),
    ].join(","),
  );
}

/** Of a float32: half as long as the text of the double that it is. JavaScript's own text of −0 is "0". */
function numberText(value: number): string {
  return Object.is(value, -0) ? "-0" : String(Number(value.toPrecision(9)));
}

function cellOf(value: unknown, isJson: boolean): string {
  if (value === undefined) return "";
  if (typeof value === "string" && !isJson) return quoted(value);
  const json = JSON.stringify(value);
  return isJson ? quoted(json) : json;
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
