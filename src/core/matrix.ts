/**
 * Vectors as callers give them, read row by row: floats into padded float32 rows, packed bits into
 * bytes. Shape errors are INVALID_DIMENSIONS, values that cannot be stored INVALID_VECTOR. Inputs
 * are only read.
 */
import { packedBytes } from "./bits.ts";
import { describe, NearfieldError } from "./errors.ts";
import type { Metric, Precision } from "./metric.ts";

/**
 * One vector or many, row-major: a flat Float32Array or array of numbers whose length is a
 * multiple of `dimensions`, or an array of rows. An empty one is zero vectors. Uint8Array holds
 * packed bits and goes with precision b1 only: ceil(dimensions / 8) bytes a row, least significant
 * bit first, spare bits ignored. Floats given to b1 set a bit where x > 0.
 */
export type VectorInput = Float32Array | Uint8Array | readonly number[] | readonly (Float32Array | readonly number[])[];

/** A source of rows of known width: floats, or packed bits where precision b1 takes them. */
export type RowReader = FloatReader | BitReader;

interface FloatReader {
  readonly kind: "floats";
  readonly count: number;
  /** Elements that reading a row touches. */
  readonly rowElements: number;
  /** Writes row `index` to `target[at …]`, `dimensions` elements. Throws on a ragged row or a value that is no number. */
  read(index: number, target: Float32Array, at: number): void;
}

interface BitReader {
  readonly kind: "bits";
  readonly count: number;
  readonly rowElements: number;
  /** Writes row `index` to `target[at …]`, ceil(dimensions / 8) bytes, spare bits as they are. */
  read(index: number, target: Uint8Array, at: number): void;
}

/** Opens `input` for reading as rows of `dimensions` elements. Costs O(1): rows are looked at when read. */
export function readRows(input: VectorInput, dimensions: number, precision: Precision): RowReader {
  if (input instanceof Float32Array) return flatReader(input, dimensions);
  if (input instanceof Uint8Array) {
    if (precision === "b1") return bitReader(input, dimensions);
    throw invalidType("a Uint8Array", "floats: packed bits go with precision b1", undefined);
  }
  if (!Array.isArray(input)) throw invalidType(describe(input), "vectors", undefined);
  const rows: readonly unknown[] = input;
  const [first] = rows;
  if (rows.length === 0 || typeof first === "number") return numberReader(rows, dimensions);
  if (first instanceof Float32Array || Array.isArray(first)) return nestedReader(rows, dimensions);
  throw invalidType(`${describe(first)} as first element`, "a number, or a row of numbers", 0);
}

function bitReader(input: Uint8Array, dimensions: number): BitReader {
  const size = packedBytes(dimensions);
  if (input.length % size !== 0) {
    throw new NearfieldError("INVALID_DIMENSIONS", {
      got: `${input.length} bytes of packed bits`,
      expected: `a multiple of ${size}, ceil(dimensions / 8)`,
      remedy: "give whole rows, each starting at a byte of its own",
    });
  }
  return {
    kind: "bits",
    count: input.length / size,
    rowElements: Math.ceil(size / 4), // copied word by word
    read: (index, target, at) => target.set(input.subarray(index * size, (index + 1) * size), at),
  };
}

function flatReader(input: Float32Array, dimensions: number): FloatReader {
  checkWholeRows(input.length, dimensions);
  return {
    kind: "floats",
    count: input.length / dimensions,
    rowElements: dimensions,
    read: (index, target, at) => target.set(input.subarray(index * dimensions, (index + 1) * dimensions), at),
  };
}

function numberReader(input: readonly unknown[], dimensions: number): FloatReader {
  checkWholeRows(input.length, dimensions);
  return {
    kind: "floats",
    count: input.length / dimensions,
    rowElements: dimensions,
    read: (index, target, at) => copyNumbers(input, index * dimensions, dimensions, target, at, index),
  };
}

function nestedReader(input: readonly unknown[], dimensions: number): FloatReader {
  return {
    kind: "floats",
    count: input.length,
    rowElements: dimensions,
    read(index, target, at) {
      const row = input[index];
      if (!(row instanceof Float32Array) && !Array.isArray(row)) {
        throw invalidType(`${describe(row)} as row ${index}`, "a Float32Array or an array of numbers", index);
      }
      if (row.length !== dimensions) {
        throw new NearfieldError("INVALID_DIMENSIONS", {
          got: `row ${index} of length ${row.length}`,
          expected: `${dimensions} elements in every row`,
          remedy: "give rows as wide as the index's dimensions",
          details: { position: index },
        });
      }
      if (row instanceof Float32Array) target.set(row, at);
      else copyNumbers(row, 0, dimensions, target, at, index);
    },
  };
}

function copyNumbers(
  source: readonly unknown[],
  from: number,
  count: number,
  target: Float32Array,
  at: number,
  row: number,
): void {
  for (let i = 0; i < count; i++) {
    const value = source[from + i];
    if (typeof value !== "number") {
      throw invalidType(`${describe(value)} as element ${i} of row ${row}`, "a number", row);
    }
    target[at + i] = value;
  }
}

function checkWholeRows(length: number, dimensions: number): void {
  if (length % dimensions === 0) return;
  throw new NearfieldError("INVALID_DIMENSIONS", {
    got: `${length} numbers`,
    expected: `a multiple of ${dimensions}, the index's dimensions`,
    remedy: "give whole rows, one after the other",
  });
}

function invalidType(got: string, expected: string, position: number | undefined): NearfieldError {
  return new NearfieldError("INVALID_VECTOR", {
    got,
    expected,
    remedy: "give a Float32Array, an array of numbers, or an array of such rows",
    details: position === undefined ? undefined : { position },
  });
}

/** Euclidean norm in float64 of `length` elements; NaN or Infinity exactly when an element is (float32 squares cannot overflow float64). */
export function rowNorm(row: Float32Array, at: number, length: number): number {
  let s0 = 0;
  let s1 = 0;
  let i = 0;
  for (; i + 1 < length; i += 2) {
    // In bounds by construction; the loop is the whole cost of add().
    const a = row[at + i]!;
    const b = row[at + i + 1]!;
    s0 += a * a;
    s1 += b * b;
  }
  if (i < length) s0 += (row[at + i] ?? 0) ** 2;
  return Math.sqrt(s0 + s1);
}

/** Why a row of this norm cannot be stored or searched under `metric`, or undefined when it can. */
export function rejectionReason(norm: number, metric: Metric): string | undefined {
  if (!Number.isFinite(norm)) return "a NaN or infinite element (or one beyond the float32 range)";
  if (norm === 0 && metric === "cosine") return "a zero vector, which has no direction for cosine";
  return undefined;
}

export function invalidVector(position: number, what: "row" | "query", reason: string): NearfieldError {
  return new NearfieldError("INVALID_VECTOR", {
    got: `${reason} in ${what} ${position}`,
    expected: "finite numbers in the range of the precision, not all zero under cosine",
    remedy:
      what === "row"
        ? 'clean the data, or create the index with invalid: "skip" to leave such rows out'
        : "clean the query",
    details: { position },
  });
}
