/** Gathers rows of formats with named fields into a batch: checks the vector, takes the id, keeps the rest. */
import { describe } from "../core/errors.ts";
import { checkDimensions } from "./dense-rows.ts";
import { corrupt } from "./file-bytes.ts";
import type { FieldNames, RejectedRow, VectorBatch } from "./vector-source.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** The fields' names, defaults filled in. */
export function fieldNames({ id = "id", vector = "vector" }: FieldNames): {
  readonly id: string;
  readonly vector: string;
} {
  return { id, vector };
}

/** Elements of what may be a vector; undefined where it is none. */
function widthOf(value: unknown): number | undefined {
  return Array.isArray(value) || ArrayBuffer.isView(value) ? Number(Reflect.get(value, "length")) : undefined;
}

/** The width that the first vector among some rows has. Throws CORRUPT, INVALID_DIMENSIONS. */
export function widthAmong(
  file: { readonly path: string },
  rows: readonly Fields[],
  names: { readonly vector: string },
): number {
  const width = rows.map((fields) => widthOf(fields[names.vector])).find((found) => found !== undefined);
  if (width === undefined) {
    const seen = Object.keys(rows[0] ?? {})
      .slice(0, 12)
      .join(", ");
    throw corrupt(
      file,
      undefined,
      `a list of numbers in field ${names.vector} of one of the first ${rows.length} rows (fields: ${seen || "none"}); --vector-field names another`,
    );
  }
  checkDimensions(file, width);
  return width;
}

class RecordBatch {
  readonly #first: number;
  readonly #dimensions: number;
  readonly #names: { readonly id: string; readonly vector: string };
  readonly #rows: number[] = [];
  readonly #vectors: Float32Array;
  readonly #ids: (string | undefined)[] = [];
  readonly #metadata: Fields[] = [];
  readonly #rejected: RejectedRow[] = [];
  #count = 0;

  /** `size`: most rows it will get. */
  constructor(
    first: number,
    size: number,
    dimensions: number,
    names: { readonly id: string; readonly vector: string },
  ) {
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
    if (!isAbsent && typeof id !== "string" && typeof id !== "number" && typeof id !== "bigint") {
      this.reject(`${idName} is ${describe(id)}, not a string or a number`);
      return;
    }
    const reason = this.#take(vector);
    if (reason !== undefined) {
      this.reject(`${vectorName} ${reason}`);
      return;
    }
    this.#rows.push(row);
    this.#ids.push(isAbsent ? undefined : String(id));
    this.#metadata.push(rest);
    this.#count++;
  }

  /** Leaves the next row out. */
  reject(reason: string): void {
    this.#rejected.push({ row: this.#first + this.#count, reason });
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
      if (typeof value !== "number") return `has ${describe(value)} as element ${i}, not a number`;
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

/** A source's rows from number `from` on, in batches; those before are read over. `begin`: the number of the first that `rows` yields. */
export async function* recordBatches(
  rows: AsyncIterable<Fields | { readonly unreadable: string }>,
  { from = 0, size }: { readonly from?: number; readonly size: number },
  dimensions: number,
  names: { readonly id: string; readonly vector: string },
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

function isUnreadable(row: Fields | { readonly unreadable: string }): row is { readonly unreadable: string } {
  return Reflect.get(row, UNREADABLE) === true;
}

/** The first rows of a source, for its width. */
export async function firstOf(
  rows: AsyncIterable<Fields | { readonly unreadable: string }>,
  most: number,
): Promise<Fields[]> {
  const found: Fields[] = [];
  let seen = 0;
  for await (const row of rows) {
    if (!isUnreadable(row)) found.push(row);
    if (++seen === most) break;
  }
  return found;
}
