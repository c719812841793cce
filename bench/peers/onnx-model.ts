/**
 * Brute-force search as an ONNX model: scores = alpha · queries · rowsᵀ + beta · bias (Gemm), then the k highest of each
 * query (TopK), with rows and bias inside the model. Written as protobuf by hand: a dozen fields of onnx.proto3, against
 * a generated library of half a megabyte.
 */

export interface ScoreModel {
  readonly dimensions: number;
  /** [rows × dimensions] */
  readonly rows: Float32Array;
  /** [rows], added to each query's scores; none: 0. */
  readonly bias?: Float32Array;
  /** Factor of the product. */
  readonly alpha: number;
}

/** Inputs `queries` [q × dimensions] f32 and `k` [1] i64; outputs `scores` [q × k] f32, descending, and `rows` [q × k] i64. */
export function scoreModel({ dimensions, rows, bias, alpha }: ScoreModel): Uint8Array {
  const rowCount = rows.length / dimensions;
  const gemm = node(
    "Gemm",
    ["queries", "vectors", ...(bias === undefined ? [] : ["bias"])],
    ["products"],
    [floatAttribute("alpha", alpha), floatAttribute("beta", 1), intAttribute("transB", 1)],
  );
  const topK = node(
    "TopK",
    ["products", "k"],
    ["scores", "rows"],
    [intAttribute("axis", -1), intAttribute("largest", 1), intAttribute("sorted", 1)],
  );
  const graph = [
    ...[gemm, topK].map((n) => message(1, n)),
    text(2, "nearest"),
    message(5, tensor("vectors", [rowCount, dimensions], rows)),
    ...(bias === undefined ? [] : [message(5, tensor("bias", [rowCount], bias))]),
    message(11, valueInfo("queries", FLOAT, ["q", dimensions])),
    message(11, valueInfo("k", INT64, [1])),
    message(12, valueInfo("scores", FLOAT, ["q", "n"])),
    message(12, valueInfo("rows", INT64, ["q", "n"])),
  ];
  return joined([int(1, IR_VERSION), message(8, [int(2, OPSET)]), text(2, "nearfield bench"), message(7, graph)]);
}

/** Old enough for any ONNX Runtime of these years, new enough for TopK with an input k. */
const IR_VERSION = 8;
const OPSET = 13;

// TensorProto.DataType
const FLOAT = 1;
const INT64 = 7;

/** A message: its encoded fields, joined only at the end, because one of them is as large as the rows. */
type Fields = readonly Bytes[];
type Bytes = readonly Uint8Array[];

function node(
  type: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: readonly Fields[],
): Fields {
  return [
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(4, type),
    ...attributes.map((attribute) => message(5, attribute)),
  ];
}

function intAttribute(name: string, value: number): Fields {
  return [text(1, name), int(3, value), int(20, 2 /* AttributeType.INT */)];
}

function floatAttribute(name: string, value: number): Fields {
  const bytes = new Uint8Array(Float32Array.of(value).buffer);
  return [text(1, name), [key(2, FIXED32), bytes], int(20, 1 /* AttributeType.FLOAT */)];
}

function tensor(name: string, shape: readonly number[], values: Float32Array): Fields {
  const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength); // little-endian, as every CPU that runs this
  return [...shape.map((size) => int(1, size)), int(2, FLOAT), text(8, name), bytesField(9, [raw])];
}

/** A name stands for a size that is known only at run time. */
function valueInfo(name: string, type: number, shape: readonly (number | string)[]): Fields {
  const sizes = shape.map((size) => message(1, [typeof size === "number" ? int(1, size) : text(2, size)]));
  const tensorType = [int(1, type), message(2, sizes)];
  return [text(1, name), message(2, [message(1, tensorType)])];
}

// The wire format: a key (number of the field, how it is written), then the value.
const VARINT = 0;
const DELIMITED = 2;
const FIXED32 = 5;

function key(field: number, wire: number): Uint8Array {
  return varint(BigInt(field * 8 + wire));
}

function int(field: number, value: number): Bytes {
  return [key(field, VARINT), varint(BigInt.asUintN(64, BigInt(value)))];
}

function text(field: number, value: string): Bytes {
  return bytesField(field, [new TextEncoder().encode(value)]);
}

function message(field: number, fields: Fields): Bytes {
  return bytesField(field, fields.flat());
}

function bytesField(field: number, parts: Bytes): Bytes {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return [key(field, DELIMITED), varint(BigInt(length)), ...parts];
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    if (rest < 0x80n) return Uint8Array.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 0x7fn) | 0x80);
  }
}

function joined(fields: Fields): Uint8Array {
  const parts = fields.flat();
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
