/** JSON lines: an object a line with an id, a vector and whatever else, which is metadata. Empty lines are nothing. A line that is no object is a rejected row, not the end. */
import { describe } from "../core/errors.ts";
import type { FileBytes } from "./file-bytes.ts";
import { fieldNames, type Fields, probedWidth, recordBatches, type Row, unreadable } from "./record-batch.ts";
import { isLostAsNumber } from "./plain-values.ts";
import { linesOf } from "./text-lines.ts";
import type { FieldNames, VectorSource } from "./vector-source.ts";

export async function jsonlSource(file: FileBytes, fields: FieldNames): Promise<VectorSource> {
  const names = fieldNames(fields);
  const dimensions = await probedWidth(file, objectsOf(file, names.vector), names);
  return {
    path: file.path,
    format: "jsonl",
    dimensions,
    rowCount: undefined,
    sizeBytes: file.size,
    batches: (options) => recordBatches(objectsOf(file, names.vector), options, dimensions, names),
    close: () => file.close(),
  };
}

/** An object a line. `vector`: the field whose numbers stay numbers. */
export async function* objectsOf(file: FileBytes, vector: string): AsyncGenerator<Row, void, void> {
  for await (const line of filledLines(file)) yield objectOf(line, vector);
}

export async function* filledLines(file: FileBytes): AsyncGenerator<string, void, void> {
  for await (const line of linesOf(file)) if (line.trim() !== "") yield line;
}

/** `vector`: the field whose numbers stay numbers. */
export function objectOf(line: string, vector: string): Row {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return exact(value as Fields, line, vector);
    return unreadable(`the line is ${describe(value)}, not an object`);
  } catch (error) {
    return unreadable(`the line is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/**
 * Integers that no number is, such as ids of 64 bits, as the texts that stand there: as numbers two of
 * them may be the same. Of the vector not: its elements are rounded anyway.
 */
function exact(fields: Fields, line: string, vector: string): Fields {
  const others = Object.keys(fields).filter((name) => name !== vector && hasLarge(fields[name]));
  if (others.length === 0) return fields;
  const quoted = line.replaceAll(STRING_OR_NUMBER, (token) => (isLostAsNumber(token) ? `"${token}"` : token));
  const texts = JSON.parse(quoted) as Fields;
  return { ...fields, ...Object.fromEntries(others.map((name) => [name, texts[name]])) };
}

function hasLarge(value: unknown): boolean {
  if (typeof value === "number") return Number.isInteger(value) && !Number.isSafeInteger(value);
  return typeof value === "object" && value !== null && Object.values(value).some(hasLarge);
}

const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
