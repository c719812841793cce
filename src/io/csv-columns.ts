/** What the header of a CSV file says: which columns are the vector's elements, and which hold JSON. */
import { describe } from "../core/errors.ts";
import { corrupt, unsupported } from "./file-bytes.ts";

/** Ends the name of a column whose cells are JSON, such as `tags:json`. */
export const JSON_SUFFIX = ":json";

/** What a column's cells are values of. */
export function fieldName(column: string): string {
  return column.endsWith(JSON_SUFFIX) ? column.slice(0, -JSON_SUFFIX.length) : column;
}

export interface CsvColumns {
  readonly header: readonly string[];
  /** Columns of the elements in order; empty where the vector is one column. */
  readonly elements: readonly number[];
  readonly isElement: readonly boolean[];
}

/** `vector`: the field's name. Throws UNSUPPORTED_FORMAT for names that are there twice and columns that are not apart by commas, CORRUPT where a number is missing among the elements. */
export function csvColumns(file: { readonly path: string }, header: readonly string[], vector: string): CsvColumns {
  const names = header.map(fieldName);
  const twice = names.find((name, column) => name !== "" && names.indexOf(name) < column);
  if (twice !== undefined)
    throw unsupported(file, `two columns named ${describe(twice)}`, "a name for each column", "rename one of them");
  const [only = ""] = header;
  if (header.length === 1 && /[;\t|]/.test(only))
    throw unsupported(
      file,
      `the header ${describe(only)}`,
      "columns apart by commas",
      "write it with commas, and numbers with points",
    );
  const numbered = new Map<number, number>();
  for (const [column, name] of header.entries()) {
    const number = elementNumber(name, vector);
    if (number !== undefined) numbered.set(number, column);
  }
  const least = Math.min(...numbered.keys());
  const elements = Array.from({ length: numbered.size }, (_, i) => numbered.get(least + i));
  if (elements.includes(undefined))
    throw corrupt(file, 0, `a column for each element from ${least} to ${Math.max(...numbered.keys())}, without a gap`);
  const isElement = header.map((_, column) => elements.includes(column));
  return { header, elements: elements.filter((column) => column !== undefined), isElement };
}

/** Whether a column of this name would be read as the vector, or as an element of it. */
export function isVectorColumn(name: string, vector: string): boolean {
  return name === vector || elementNumber(name, vector) !== undefined;
}

/** `vector_0`, `vector0`, `vector[0]`, … */
function elementNumber(name: string, vector: string): number | undefined {
  if (!name.startsWith(vector)) return undefined;
  const [, digits] = /^[_.[ -]?(\d{1,5})\]?$/.exec(name.slice(vector.length)) ?? [];
  return digits === undefined ? undefined : Number(digits);
}
