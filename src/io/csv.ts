/**
 * CSV with a header. The vector is one column of numbers in brackets or apart by spaces, commas or
 * semicolons, or a column an element: the field's name and its number, `vector_0`, `vector0`,
 * `vector[0]`. Of the other columns, values in quotes are texts, others numbers, true, false, null or
 * texts, whichever they look like; ids are always texts. Empty ones that are not in quotes are left
 * out. Cells of a column `name:json` are JSON. Parsed by csv-parse.
 */
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { describe, NearfieldError } from "../core/errors.ts";
import { IO_LIMITS } from "../core/limits.ts";
import { type CsvColumns, csvColumns, fieldName } from "./csv-columns.ts";
import { corrupt, type FileBytes } from "./file-bytes.ts";
import { isLostAsNumber } from "./plain-values.ts";
import { fieldNames, type Names, probedWidth, recordBatches, type Row, unreadable } from "./record-batch.ts";
import type { FieldNames, VectorSource } from "./vector-source.ts";

export async function csvSource(file: FileBytes, fields: FieldNames): Promise<VectorSource> {
  const names = fieldNames(fields);
  const dimensions = await probedWidth(file, recordsOf(file, names), names);
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
    max_record_size: IO_LIMITS.lineBytes,
    raw: true, // casting cells one by one takes six times as long as all the rest
    relax_column_count: true,
    skip_empty_lines: true,
  });
  const stream = Readable.from(checkedBytes(file));
  stream.on("error", (cause) => parser.destroy(cause));
  stream.pipe(parser);
  let columns: CsvColumns | undefined;
  try {
    for await (const { record, raw } of parser as AsyncIterable<{ record: string[]; raw: string }>) {
      if (columns === undefined) columns = csvColumns(file, record, names.vector);
      else yield recordOf(record, quotedCells(raw), columns, names);
    }
  } catch (cause) {
    if (cause instanceof NearfieldError) throw cause;
    throw corrupt(file, undefined, `CSV (${cause instanceof Error ? cause.message : String(cause)})`, cause);
  } finally {
    stream.destroy();
    parser.destroy();
  }
}

/** The file as it is. Throws CORRUPT where it is no UTF-8, of which the parser would make replacement characters without a word. */
async function* checkedBytes(file: FileBytes): AsyncGenerator<Uint8Array, void, void> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let offset = 0;
  const check = (piece?: Uint8Array): void => {
    try {
      decoder.decode(piece, { stream: piece !== undefined });
    } catch (cause) {
      throw corrupt(file, offset, "UTF-8 in what follows (files in UTF-16 or Latin-1 are to be saved as UTF-8)", cause);
    }
  };
  for await (const piece of createReadStream(file.path) as AsyncIterable<Buffer>) {
    check(piece);
    offset += piece.length;
    yield piece;
  }
  check();
}

/** Which cells of a record stand in quotes. The parser has seen to it that quotes are where they belong. */
function quotedCells(raw: string): ReadonlySet<number> {
  const quoted = new Set<number>();
  if (!raw.includes('"')) return quoted;
  for (let cell = 0, at = raw.search(/[^\r\n]/); ; cell++) {
    if (raw[at] === '"') {
      quoted.add(cell);
      let end = raw.indexOf('"', at + 1);
      while (end >= 0 && raw[end + 1] === '"') end = raw.indexOf('"', end + 2); // two of them are one within
      at = end;
    }
    const comma = at < 0 ? -1 : raw.indexOf(",", at);
    if (comma < 0) return quoted;
    at = comma + 1;
  }
}

function recordOf(
  cells: readonly string[],
  quoted: ReadonlySet<number>,
  { header, elements, isElement }: CsvColumns,
  names: Names,
): Row {
  if (cells.length > header.length)
    return unreadable(`the record has ${cells.length} values, the header ${header.length}`);
  const record: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [column, name] of header.entries()) {
    const cell = cells[column];
    // What is empty and not in quotes is not there.
    if (isElement[column] === true || cell === undefined || (cell === "" && !quoted.has(column))) continue;
    if (name === names.vector) record[name] = numbersIn(cell);
    else if (name === names.id)
      record[name] = cell; // what stands there: 007, 1.50 and the word null
    else if (name !== fieldName(name)) {
      const value = jsonIn(cell);
      if (value === undefined) return unreadable(`${name} is ${describe(cell)}, not JSON`);
      record[fieldName(name)] = value;
    } else record[name] = quoted.has(column) ? cell : bareValue(cell);
  }
  if (elements.length > 0) record[names.vector] = elements.map((column) => elementIn(cells[column]));
  return record;
}

/** Nothing in JSON is undefined. */
function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Some tools put every cell in quotes, blanks around numbers, or nothing before the point. */
function elementIn(cell: string | undefined): unknown {
  if (cell !== undefined && ELEMENT.test(cell)) return Number(cell);
  return cell === "" ? undefined : cell;
}

const ELEMENT = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$/;

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

/** What a number says: a text where a number cannot say it. */
function numberIn(text: string): number | string {
  const value = Number(text);
  return Number.isFinite(value) && !isLostAsNumber(text) ? value : text;
}

/** A cell that is not in quotes. Python writes True and False. */
function bareValue(text: string): unknown {
  if (NUMBER.test(text)) return numberIn(text);
  switch (text) {
    case "null":
      return null;
    case "true":
    case "True":
      return true;
    case "false":
    case "False":
      return false;
    default:
      return text;
  }
}
