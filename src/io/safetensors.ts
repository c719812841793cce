/**
 * safetensors (https://huggingface.co/docs/safetensors): length of a JSON header as a little-endian
 * u64, the header, then the tensors. Reads one 2-D tensor; writes one.
 */
import { IO_LIMITS } from "../core/limits.ts";
import type { DenseLayout } from "./dense-rows.ts";
import { ELEMENT_BYTES, type ElementType } from "./elements.ts";
import { corrupt, type FileBytes, unsupported } from "./file-bytes.ts";

const ELEMENTS: Readonly<Record<string, ElementType>> = {
  F16: "f2",
  F32: "f4",
  F64: "f8",
  I8: "i1",
  U8: "u1",
  I32: "i4",
  U32: "u4",
  I64: "i8",
  U64: "u8",
};

interface Tensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** Whether the file begins with a length that fits it and a brace. */
export function isSafetensors(head: Uint8Array, size: number): boolean {
  if (head.length < 10) return false;
  const length = Number(new DataView(head.buffer, head.byteOffset).getBigUint64(0, true));
  return head[8] === 0x7b && length >= 2 && length <= size - 8;
}

/** `name`: of the tensor wanted; without one the only 2-D tensor. */
export async function readSafetensorsLayout(file: FileBytes, name: string | undefined): Promise<DenseLayout> {
  const length = Number(new DataView((await file.read(0, 8)).buffer).getBigUint64(0, true));
  if (length > IO_LIMITS.headerBytes)
    throw corrupt(file, 0, `a header of at most ${IO_LIMITS.headerBytes} bytes, not ${length}`);
  const tensors = tensorsOf(file, Buffer.from(await file.read(8, length)).toString("utf8"));
  const tensor = pick(file, tensors, name);
  const element = ELEMENTS[tensor.dtype];
  if (element === undefined) {
    throw unsupported(
      file,
      `tensor ${tensor.name} of ${tensor.dtype}`,
      `one of ${Object.keys(ELEMENTS).join(", ")}`,
      "convert it to F32",
    );
  }
  const [rowCount = 0, dimensions = 0] = tensor.shape;
  if (tensor.end - tensor.begin !== rowCount * dimensions * ELEMENT_BYTES[element]) {
    throw corrupt(file, 8, `data_offsets of tensor ${tensor.name} that fit its shape ${rowCount} × ${dimensions}`);
  }
  return { format: "safetensors", offset: 8 + length + tensor.begin, rowCount, dimensions, element, mayGoOn: true };
}

function tensorsOf(file: FileBytes, text: string): Tensor[] {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (cause) {
    throw corrupt(file, 8, "a header that is JSON", cause);
  }
  if (typeof header !== "object" || header === null || Array.isArray(header))
    throw corrupt(file, 8, "a header that is an object");
  return Object.entries(header)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, entry]) => {
      const { dtype, shape, data_offsets: offsets }: Record<string, unknown> = Object(entry);
      if (typeof dtype !== "string" || !isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) {
        throw corrupt(file, 8, `tensor ${name} to have dtype, shape and data_offsets`);
      }
      return { name, dtype, shape, begin: offsets[0] ?? 0, end: offsets[1] ?? 0 };
    });
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function pick(file: FileBytes, tensors: readonly Tensor[], name: string | undefined): Tensor {
  const matrices = tensors.filter(({ shape }) => shape.length === 2);
  const named = name === undefined ? matrices : matrices.filter((tensor) => tensor.name === name);
  const [only] = named;
  if (only !== undefined && named.length === 1) return only;
  const names = matrices
    .slice(0, 8)
    .map((tensor) => tensor.name)
    .join(", ");
  throw unsupported(
    file,
    name === undefined
      ? `${matrices.length} tensors of two dimensions (${names})`
      : `no 2-D tensor named ${name} (there are ${names})`,
    "one tensor",
    "name it with --vector-field",
  );
}

/** A header of a fixed length for any row count, so that it can be filled in at the end. */
const SAFETENSORS_HEADER_BYTES = 256;

export function safetensorsHeader(name: string, rowCount: number, dimensions: number): Uint8Array {
  const header = Buffer.alloc(SAFETENSORS_HEADER_BYTES, " ");
  header.writeBigUInt64LE(BigInt(SAFETENSORS_HEADER_BYTES - 8), 0);
  const tensor = { dtype: "F32", shape: [rowCount, dimensions], data_offsets: [0, rowCount * dimensions * 4] };
  header.write(JSON.stringify({ [name]: tensor }), 8, "utf8");
  return header;
}
