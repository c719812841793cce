/**
 * CSV with a header. The vector is one column of numbers in brackets or apart by spaces, commas or
 * semicolons, or a column an element: the field's name and its number, `vector_0`, `vector0`,
 * `vector[0]`. Of the other columns, values in quotes are texts, others numbers, true, false or
 * texts, whichever they look like; empty ones are left out. Parsed by csv-parse.
 */
import { createReadStream } from "node:fs";
import type { CastingContext } from "csv-parse";
import { NearfieldError } from "../core/errors.ts";
import { IO_LIMITS } from "../core/limits.ts";
import { corrupt, type FileBytes } from "./file-bytes.ts";
import { fieldNames, type Fields, firstOf, recordBatches, unreadable, widthAmong } from "./record-batch.ts";
import type { FieldNames, VectorSource } from "./vector-source.ts";

type Names = { readonly id: string; readonly vector: string };
type Row = Fields | { readonly unreadable: string };

export async function csvSource(file: FileBytes, fields: FieldNames): Promise<VectorSource> {
  const names = fieldNames(fields);
  const dimensions = widthAmong(file, await firstOf(recordsOf(file, names), IO_LIMITS.probedRows), names);
  return {
    path: file.path,
    format: "csv",
    dimensions,
    rowCount: undefined,
    sizeBytes: file.size,
    batches: (options) => recordBatches(recordsOf(file, names), options, dimensions, names),
    close: () => file.close(),
  };
}

async function* recordsOf(file: FileBytes, names: Names): AsyncGenerator<Row, void, void> {
  const { parse } = await import("csv-parse");
  const parser = parse({
    bom: true,
    cast: (value, context) => (context.header ? value : valueOf(value, context)),
    max_record_size: IO_LIMITS.lineBytes,
    relax_column_count: true,
    skip_empty_lines: true,
  });
  const stream = createReadStream(file.path);
  stream.on("error", (cause) => parser.destroy(cause));
  stream.pipe(parser);
  let columns: Columns | undefined;
  try {
    for await (const cells of parser as AsyncIterable<unknown[]>) {
      if (columns === undefined) columns = columnsOf(file, cells.map(String), names);
      else yield recordOf(cells, columns, names);
    }
  } catch (cause) {
    if (cause instanceof NearfieldError) throw cause;
    throw corrupt(file, undefined, `CSV (${cause instanceof Error ? cause.message : String(cause)})`, cause);
  } finally {
    stream.destroy();
    parser.destroy();
  }
}

interface Columns {
  readonly header: readonly string[];
  /** Columns of the elements in order; empty where the vector is one column. */
  readonly elements: readonly number[];
  readonly isElement: readonly boolean[];
}

function columnsOf(file: FileBytes, header: readonly string[], names: Names): Columns {
  const numbered = new Map<number, number>();
  for (const [column, name] of header.entries()) {
    const [, digits] =
      (name.startsWith(names.vector) ? /^[_.[ -]?(\d{1,5})\]?$/.exec(name.slice(names.vector.length)) : null) ?? [];
    if (digits !== undefined) numbered.set(Number(digits), column);
  }
  const least = Math.min(...numbered.keys());
  const elements = Array.from({ length: numbered.size }, (_, i) => numbered.get(least + i));
  if (elements.includes(undefined)) throw corrupt(file, 0, `columns ${names.vector}${least} … without a gap`);
  const isElement = header.map((_, column) => elements.includes(column));
  return { header, elements: elements.filter((column) => column !== undefined), isElement };
}

function recordOf(cells: readonly unknown[], { header, elements, isElement }: Columns, names: Names): Row {
  if (cells.length > header.length)
    return unreadable(`the record has ${cells.length} values, the header ${header.length}`);
  const record: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [column, name] of header.entries()) {
    const value = cells[column];
    if (isElement[column] === true || value === undefined || value === "") continue;
    if (name === names.vector) record[name] = typeof value === "string" ? numbersIn(value) : [value];
    else record[name] = value;
  }
  if (elements.length > 0) record[names.vector] = elements.map((column) => cells[column]);
  return record;
}

function numbersIn(text: string): number[] | string {
  const parts = text
    .replaceAll(/^\s*\[|\]\s*$/g, "")
    .trim()
    .split(/[\s,;]+/);
  const numbers = parts.map((part) => (part === "" ? Number.NaN : Number(part)));
  return numbers.some(Number.isNaN) ? text : numbers;
}

/** Numbers as JSON and Python write them; `007` and `1,5` are texts. */
const NUMBER = /^[+-]?(?:0|[1-9]\d*)(?:\.\d*)?(?:[eE][+-]?\d+)?$/;

function valueOf(value: string, { quoting }: CastingContext): string | number | boolean {
  if (quoting) return value;
  if (NUMBER.test(value)) return Number(value);
  return value === "true" ? true : value === "false" ? false : value;
}
