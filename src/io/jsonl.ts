/** JSON lines: an object a line with an id, a vector and whatever else, which is metadata. Empty lines are nothing. A line that is no object is a rejected row, not the end. */
import { describe } from "../core/errors.ts";
import type { FileBytes } from "./file-bytes.ts";
import { fieldNames, type Fields, probedWidth, recordBatches, unreadable } from "./record-batch.ts";
import { isLostAsNumber } from "./plain-values.ts";
import { linesOf } from "./text-lines.ts";
import type { FieldNames, VectorSource } from "./vector-source.ts";

export async function jsonlSource(file: FileBytes, fields: FieldNames): Promise<VectorSource> {
  const names = fieldNames(fields);
  const dimensions = await probedWidth(file, objectsOf(file), names);
  return {
    path: file.path,
    format: "jsonl",
    dimensions,
    rowCount: undefined,
    sizeBytes: file.size,
    batches: (options) => recordBatches(objectsOf(file), options, dimensions, names),
    close: () => file.close(),
  };
}

/** An object a line. */
export async function* objectsOf(
  file: FileBytes,
): AsyncGenerator<Fields | { readonly unreadable: string }, void, void> {
  for await (const line of filledLines(file)) yield objectOf(line);
}

export async function* filledLines(file: FileBytes): AsyncGenerator<string, void, void> {
  for await (const line of linesOf(file)) if (line.trim() !== "") yield line;
}

export function objectOf(line: string): Fields | { readonly unreadable: string } {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return exact(value as Fields, line);
    return unreadable(`the line is ${describe(value)}, not an object`);
  } catch (error) {
    return unreadable(`the line is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Integers that no number is, such as ids of 64 bits, as the texts that stand there: as numbers two of them may be the same. */
function exact(fields: Fields, line: string): Fields {
  const large = Object.keys(fields).filter((name) => isLarge(fields[name]));
  if (large.length === 0) return fields;
  const texts = JSON.parse(
    line.replaceAll(STRING_OR_NUMBER, (token) => (isLostAsNumber(token) ? `"${token}"` : token)),
  ) as Fields;
  return { ...fields, ...Object.fromEntries(large.map((name) => [name, texts[name]])) };
}

function isLarge(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
}

const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
