/** Gathers rows of formats with named fields into a batch: checks the vector, takes the id, keeps the rest. */
import { describe, NearfieldError } from "../core/errors.ts";
import { IO_LIMITS } from "../core/limits.ts";
import { checkDimensions } from "./dense-rows.ts";
import { corrupt } from "./file-bytes.ts";
import type { FieldNames, RejectedRow, VectorBatch } from "./vector-source.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** A record, or why there is none. */
export type Row = Fields | { readonly unreadable: string };

export interface Names {
  readonly id: string;
  readonly vector: string;
  /** Whether somebody said that there is a field of ids. */
  readonly isIdWanted: boolean;
}

/** The fields' names, defaults filled in. */
export function fieldNames({ id, vector = "vector" }: FieldNames): Names {
  return { id: id ?? "id", vector, isIdWanted: id !== undefined };
}

/** Elements of what may be a vector; undefined where it is none. */
function widthOf(value: unknown): number | undefined {
  return Array.isArray(value) || ArrayBuffer.isView(value) ? Number(Reflect.get(value, "length")) : undefined;
}

/**
 * The width that the first vector among a source's first rows has. Rejects with CORRUPT where none of
 * them can be read, INVALID_OPTION where none has a vector in the field, or an id in one that was
 * named, INVALID_DIMENSIONS. 0 where there is no row.
 */
export async function probedWidth(
  file: { readonly path: string },
  rows: AsyncIterable<Row>,
  { id, vector, isIdWanted }: Names,
): Promise<number> {
  let seen = 0;
  let first: Fields | undefined;
  let unread: string | undefined;
  let width: number | undefined;
  let hasId = !isIdWanted;
  for await (const row of rows) {
    if (isUnreadable(row)) unread ??= row.unreadable;
    else {
      first ??= row;
      width ??= widthOf(row[vector]);
      hasId ||= Object.hasOwn(row, id);
      if (width !== undefined && hasId) break;
    }
    if (++seen === IO_LIMITS.probedRows) break;
  }
  if (width !== undefined) {
    checkDimensions(file, width);
    if (first !== undefined && !hasId) throw noId(file, id, seen, first);
    return width;
  }
  if (first !== undefined) throw noVector(file, vector, seen, first);
  if (unread !== undefined) throw corrupt(file, undefined, `a record in one of the first ${seen} rows: ${unread}`);
  return 0;
}

function noVector(file: { readonly path: string }, vector: string, seen: number, first: Fields): NearfieldError {
  const held = first[vector];
  return new NearfieldError("INVALID_OPTION", {
    got: `${file.path}, whose first ${seen} rows have no list of numbers in field ${vector}${held === undefined ? "" : ` but ${describe(held)}`}`,
    expected: `the name of the field that has the vectors (fields: ${namesOf(first)})`,
    remedy: "--vector-field names it",
  });
}

/** Rows would be named by their numbers, which nobody asked for. */
export function noId(file: { readonly path: string }, id: string, seen: number, first: Fields): NearfieldError {
  return new NearfieldError("INVALID_OPTION", {
    got: `${file.path}, whose first ${seen} rows have no field ${id}`,
    expected: `the name of the field that has the ids (fields: ${namesOf(first)})`,
    remedy: "--id-field names it",
  });
}

function namesOf(fields: Fields): string {
  return Object.keys(fields).slice(0, 12).join(", ") || "none";
}

class RecordBatch {
  readonly #first: number;
  readonly #dimensions: number;
  readonly #names: Pick<Names, "id" | "vector">;
  readonly #rows: number[] = [];
  readonly #vectors: Float32Array;
  readonly #ids: (string | undefined)[] = [];
  readonly #metadata: (Fields | undefined)[] = [];
  readonly #rejected: RejectedRow[] = [];
  #count = 0;

  /** `size`: most rows it will get. */
  constructor(first: number, size: number, dimensions: number, names: Pick<Names, "id" | "vector">) {
    this.#first = first;
    this.#dimensions = dimensions;
    this.#names = names;
    this.#vectors = new Float32Array(size * dimensions);
  }

  /** Rows so far, rejected ones among them. */
  get count(): number {
    return this.#count;
  }

  /** Takes the next row. */
  add(fields: Fields): void {
    const row = this.#first + this.#count;
    const { id: idName, vector: vectorName } = this.#names;
    const { [idName]: id, [vectorName]: vector, ...rest } = fields;
    const isAbsent = id === undefined || id === null;
    const named = typeof id === "string" || typeof id === "number" || typeof id === "bigint" ? String(id) : undefined;
    if (!isAbsent && named === undefined) {
      this.reject(`${idName} is ${describe(id)}, not a string or a number`);
      return;
    }
    const reason = this.#take(vector);
    if (reason !== undefined) {
      this.reject(`${vectorName} ${reason}`, named);
      return;
    }
    const metadata = metadataOf(rest);
    if (typeof metadata === "string") {
      this.reject(metadata, named);
      return;
    }
    this.#rows.push(row);
    this.#ids.push(named);
    this.#metadata.push(metadata);
    this.#count++;
  }

  /** Leaves the next row out. */
  reject(reason: string, id?: string): void {
    this.#rejected.push({ row: this.#first + this.#count, ...(id === undefined ? {} : { id }), reason });
    this.#count++;
  }

  /** Copies a vector behind the others; says what is wrong with it instead. */
  #take(vector: unknown): string | undefined {
    const width = widthOf(vector);
    if (width === undefined)
      return vector === undefined || vector === null ? "is missing" : `is ${describe(vector)}, not a list of numbers`;
    if (width !== this.#dimensions) return `has ${width} elements, not ${this.#dimensions}`;
    const list = vector as ArrayLike<unknown>;
    const at = this.#rows.length * this.#dimensions;
    for (let i = 0; i < width; i++) {
      const value = list[i];
      if (typeof value !== "number")
        return `has ${value === undefined ? "nothing" : describe(value)} as element ${i}, not a number`;
      this.#vectors[at + i] = value;
    }
    return undefined;
  }

  build(): VectorBatch {
    const kept = this.#rows.length;
    return {
      first: this.#first,
      count: this.#count,
      rows: Uint32Array.from(this.#rows),
      vectors: this.#vectors.subarray(0, kept * this.#dimensions),
      ids: this.#ids,
      metadata: this.#metadata,
      rejected: this.#rejected,
    };
  }
}

/**
 * What a row has beside id and vector; undefined where that is nothing. An object in the field
 * `metadata`, as the API's records have it, stands for its own fields: no value of metadata is an
 * object. A text says why it cannot be.
 */
function metadataOf({ metadata, ...fields }: Fields): Fields | undefined | string {
  if (!isObject(metadata)) return given(metadata === undefined ? fields : { ...fields, metadata });
  const twice = Object.keys(metadata).find((name) => Object.hasOwn(fields, name));
  return twice === undefined
    ? given({ ...fields, ...metadata })
    : `${twice} is there twice: beside metadata and within it`;
}

/** An object of JSON, or of a decoder's struct. */
export function isObject(value: unknown): value is Fields {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function given(fields: Fields): Fields | undefined {
  const entries = Object.entries(fields);
  if (entries.length === 0) return undefined;
  if (!entries.some(([, value]) => isNumbers(value))) return fields;
  return Object.fromEntries(entries.map(([name, value]) => [name, isNumbers(value) ? Array.from(value) : value]));
}

/** A list of numbers as decoders have it. Bytes, and decimals, which come as words, may be anything. */
function isNumbers(value: unknown): value is Float32Array | Float64Array | Int8Array | Int16Array | Int32Array {
  return [Float32Array, Float64Array, Int8Array, Int16Array, Int32Array].some((List) => value instanceof List);
}

/** A source's rows from number `from` on, in batches; those before are read over. `begin`: the number of the first that `rows` yields. */
export async function* recordBatches(
  rows: AsyncIterable<Row>,
  { from = 0, size }: { readonly from?: number; readonly size: number },
  dimensions: number,
  names: Pick<Names, "id" | "vector">,
  begin = 0,
): AsyncGenerator<VectorBatch, void, void> {
  let number = begin;
  let batch = new RecordBatch(from, size, dimensions, names);
  for await (const row of rows) {
    if (number++ < from) continue;
    if (isUnreadable(row)) batch.reject(row.unreadable);
    else batch.add(row);
    if (batch.count < size) continue;
    yield batch.build();
    batch = new RecordBatch(number, size, dimensions, names);
  }
  if (batch.count > 0) yield batch.build();
}

const UNREADABLE: unique symbol = Symbol("unreadable");

/** A row that holds no record. */
export function unreadable(reason: string): { readonly unreadable: string } {
  return Object.assign(Object.create(null) as object, { unreadable: reason, [UNREADABLE]: true });
}

export function isUnreadable(row: Row): row is { readonly unreadable: string } {
  return Reflect.get(row, UNREADABLE) === true;
}
