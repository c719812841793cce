/**
 * NumPy's .npy, versions 1 to 3 (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
 * The header is a Python literal; a dozen tokens are recognised and nothing is evaluated. Reads
 * 2-D arrays in C and Fortran order, either byte order; writes version 1, C order, little-endian.
 */
import { IO_LIMITS } from "../core/limits.ts";
import type { DenseLayout } from "./dense-rows.ts";
import { ELEMENT_BYTES, type ElementType } from "./elements.ts";
import { corrupt, type FileBytes, unsupported } from "./file-bytes.ts";

const MAGIC = "\x93NUMPY";
/** Bytes of a header that we write: room for any shape, so that the row count can be filled in at the end. */
const NPY_HEADER_BYTES = 128;

export function isNpy(head: Uint8Array): boolean {
  return Buffer.from(head.subarray(0, 6)).toString("latin1") === MAGIC;
}

export async function readNpyLayout(file: FileBytes): Promise<DenseLayout> {
  const start = await file.read(0, 12);
  const view = new DataView(start.buffer);
  const version = start[6] ?? 0;
  if (version < 1 || version > 3) {
    throw unsupported(file, `npy version ${version}.${start[7] ?? 0}`, "versions 1 to 3", "save it with numpy.save");
  }
  const [at, length] = version === 1 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  if (length > IO_LIMITS.headerBytes)
    throw corrupt(file, 8, `a header of at most ${IO_LIMITS.headerBytes} bytes, not ${length}`);
  const text = Buffer.from(await file.read(at, length)).toString(version === 3 ? "utf8" : "latin1");
  const { descr, fortran_order: isFortran, shape } = new HeaderParser(file, at, text).parse();
  if (typeof descr !== "string" || typeof isFortran !== "boolean" || !Array.isArray(shape)) {
    throw corrupt(file, at, "a header with descr, fortran_order and shape");
  }
  const { element, isBigEndian } = elementOf(file, descr);
  const [rowCount = 0, dimensions = 1] = shape;
  if (shape.length !== 2) {
    throw unsupported(
      file,
      `an array of ${shape.length} dimensions`,
      "a matrix: one row a vector",
      "reshape it to 2-D",
    );
  }
  return { format: "npy", offset: at + length, rowCount, dimensions, element, isBigEndian, isTransposed: isFortran };
}

function elementOf(file: FileBytes, descr: string): { element: ElementType; isBigEndian: boolean } {
  const [, order = "", element = ""] = /^([<>|=])?([a-z]\d+)$/.exec(descr) ?? [];
  if (!Object.hasOwn(ELEMENT_BYTES, element)) {
    throw unsupported(
      file,
      `dtype ${descr}${descr.includes("O") ? ", Python objects" : ""}`,
      "floats or integers: f2, f4, f8, i1, u1 (row numbers: i4, u4, i8, u8)",
      "convert it with array.astype('<f4')",
    );
  }
  return { element: element as ElementType, isBigEndian: order === ">" };
}

type Literal = string | boolean | readonly number[] | undefined;

/** `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, in any order and spacing; anything else is corrupt. */
class HeaderParser {
  readonly #file: FileBytes;
  readonly #offset: number;
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(file: FileBytes, offset: number, text: string) {
    this.#file = file;
    this.#offset = offset;
    this.#tokens = text.match(/'[^']*'|"[^"]*"|[{}(),:[\]]|[^\s{}(),:'"[\]]+/g) ?? [];
  }

  parse(): Record<string, Literal> {
    const fields: [string, Literal][] = [];
    this.#expect("{");
    while (this.#peek() !== "}") {
      const key = this.#string();
      this.#expect(":");
      fields.push([key, this.#value()]);
      if (this.#peek() !== "}") this.#expect(",");
    }
    this.#expect("}");
    if (this.#at < this.#tokens.length) throw this.#problem("nothing after the closing brace");
    return Object.assign(Object.create(null) as Record<string, Literal>, Object.fromEntries(fields));
  }

  #value(): Literal {
    const token = this.#peek();
    if (token === "True" || token === "False") {
      this.#at++;
      return token === "True";
    }
    if (token === "(") return this.#shape();
    if (token === "[") {
      throw unsupported(this.#file, "a structured dtype", "one number an element", "take one field of the array");
    }
    return this.#string();
  }

  #shape(): readonly number[] {
    const shape: number[] = [];
    this.#expect("(");
    while (this.#peek() !== ")") {
      const text = this.#next().replace(/L$/, "");
      const size = Number(text);
      if (!/^\d+$/.test(text) || !Number.isSafeInteger(size)) throw this.#problem(`a size below 2⁵³, not ${text}`);
      shape.push(size);
      if (this.#peek() !== ")") this.#expect(",");
    }
    this.#expect(")");
    return shape;
  }

  #string(): string {
    const token = this.#next();
    if (!/^['"]/.test(token)) throw this.#problem(`a string, not ${token}`);
    return token.slice(1, -1);
  }

  #peek(): string | undefined {
    return this.#tokens[this.#at];
  }

  #next(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw this.#problem("more of the header");
    return token;
  }

  #expect(wanted: string): void {
    const token = this.#next();
    if (token !== wanted) throw this.#problem(`"${wanted}", not ${token}`);
  }

  #problem(what: string): Error {
    return corrupt(this.#file, this.#offset, `a header that is a dictionary: ${what}`);
  }
}

export function npyHeader(element: ElementType, rowCount: number, dimensions: number): Uint8Array {
  const order = ELEMENT_BYTES[element] === 1 ? "|" : "<";
  const fields = `{'descr': '${order}${element}', 'fortran_order': False, 'shape': (${rowCount}, ${dimensions}), }`;
  const header = Buffer.alloc(NPY_HEADER_BYTES, " ");
  header.write(MAGIC, 0, "latin1");
  header.set([1, 0], 6);
  header.writeUInt16LE(NPY_HEADER_BYTES - 10, 8);
  header.write(fields, 10, "latin1");
  header.write("\n", NPY_HEADER_BYTES - 1, "latin1");
  return header;
}
