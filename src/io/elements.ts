/** Numbers as files hold them, decoded to float32 or row numbers. Names are numpy's: f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8. */
import { halfToFloat } from "../core/half.ts";

export type ElementType = "f2" | "f4" | "f8" | "i1" | "i2" | "i4" | "i8" | "u1" | "u2" | "u4" | "u8";

export const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = {
  f2: 2,
  f4: 4,
  f8: 8,
  i1: 1,
  i2: 2,
  i4: 4,
  i8: 8,
  u1: 1,
  u2: 2,
  u4: 4,
  u8: 8,
};

/** Element types that a vector may have. */
export const VECTOR_ELEMENTS: ReadonlySet<ElementType> = new Set(["f2", "f4", "f8", "i1", "u1"]);
/** Element types that a row number may have. */
export const ROW_ELEMENTS: ReadonlySet<ElementType> = new Set(["i4", "u4", "i8", "u8"]);

type View = { readonly length: number; readonly [index: number]: number | bigint };

/** `bytes` as numbers; float16 as its bits. Copies where the bytes lie unaligned or in the other byte order. */
function viewOf(bytes: Uint8Array<ArrayBuffer>, type: ElementType, isBigEndian: boolean): View {
  const size = ELEMENT_BYTES[type];
  const isUsable = !isBigEndian || size === 1;
  const aligned = isUsable && bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  if (!isUsable) for (let at = 0; at < aligned.length; at += size) aligned.subarray(at, at + size).reverse();
  const { buffer, byteOffset } = aligned;
  const length = aligned.length / size;
  switch (type) {
    case "f2":
    case "u2":
      return new Uint16Array(buffer, byteOffset, length);
    case "f4":
      return new Float32Array(buffer, byteOffset, length);
    case "f8":
      return new Float64Array(buffer, byteOffset, length);
    case "i1":
      return new Int8Array(buffer, byteOffset, length);
    case "u1":
      return new Uint8Array(buffer, byteOffset, length);
    case "i2":
      return new Int16Array(buffer, byteOffset, length);
    case "i4":
      return new Int32Array(buffer, byteOffset, length);
    case "u4":
      return new Uint32Array(buffer, byteOffset, length);
    case "i8":
      return new BigInt64Array(buffer, byteOffset, length);
    case "u8":
      return new BigUint64Array(buffer, byteOffset, length);
    default:
      return type satisfies never;
  }
}

/** Writes the numbers to `target[at …]` with `step` between two; float64 rounds to the nearest float32. */
export function decodeFloats(
  bytes: Uint8Array<ArrayBuffer>,
  type: ElementType,
  isBigEndian: boolean,
  target: Float32Array,
  at = 0,
  step = 1,
): void {
  const view = viewOf(bytes, type, isBigEndian);
  if (step === 1 && (view instanceof Float32Array || view instanceof Int8Array || view instanceof Uint8Array)) {
    target.set(view, at);
    return;
  }
  const isHalf = type === "f2";
  for (let i = 0; i < view.length; i++) {
    const value = Number(view[i]);
    target[at + i * step] = isHalf ? halfToFloat(value) : value;
  }
}

/** The numbers as row numbers, negative ones as 0xffffffff; undefined where one is no u32. */
export function decodeRows(
  bytes: Uint8Array<ArrayBuffer>,
  type: ElementType,
  isBigEndian: boolean,
): Uint32Array | undefined {
  const view = viewOf(bytes, type, isBigEndian);
  const rows = new Uint32Array(view.length);
  for (let i = 0; i < view.length; i++) {
    const value = Number(view[i]);
    if (value >= 2 ** 32) return undefined;
    rows[i] = value < 0 ? 0xffffffff : value;
  }
  return rows;
}

/** Whole numbers as bytes; the place of the first value that is none of the type's instead. */
export function encodeBytes(values: Float32Array, type: "u1" | "i1"): Uint8Array | { readonly refused: number } {
  const encoded = type === "u1" ? new Uint8Array(values.length) : new Int8Array(values.length);
  for (const [at, value] of values.entries()) {
    encoded[at] = value;
    if (encoded[at] !== value) return { refused: at };
  }
  return new Uint8Array(encoded.buffer);
}
