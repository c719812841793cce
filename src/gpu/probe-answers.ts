/**
 * The pure half of the probe: seeded vectors in the layouts that kernels read, what a GEMM is to
 * make of them in float64, and whether it did.
 */
import { floatToHalf, halfToFloat } from "../core/half.ts";
import { scanMargin } from "../core/margin.ts";
import type { FloatMetric, Metric, Precision } from "../core/metric.ts";

/** Absolute bound of what an int8 certificate's float32 arithmetic may be off in a probe. */
const CODE_TOLERANCE = 2 ** -12;

/** The lower end that a kernel should find of a pair, within `tolerance`. */
interface Answer {
  readonly low: (query: number, row: number) => number;
  readonly tolerance: (query: number, row: number) => number;
}

/** What is asked of a kernel, and its answer. */
export interface Asked extends Answer {
  readonly rows: number;
  readonly queries: number;
  readonly isEligible: (row: number) => boolean;
}

/** Vectors as a kernel reads them, and their elements. */
export interface Vectors {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly scale: number;
  readonly value: (vector: number, element: number) => number;
}

/** Byte of element `e` of vector `v`, of `size` bytes each, in the interleaved or the row-major layout. */
function placeOf(v: number, e: number, size: number, chunks: number, isInterleaved: boolean): number {
  const byte = e * size;
  const chunk = byte >> 4;
  const at = isInterleaved ? ((v >> 5) * chunks + chunk) * 32 + (v & 31) : v * chunks + chunk;
  return at * 16 + (byte & 15);
}

export function plainRows(
  precision: Precision,
  count: number,
  elements: number,
  chunks: number,
  draw: () => number,
  isTimed: boolean,
  isInterleaved = true,
): Vectors {
  const size = { f32: 4, f16: 2, i8: 1, b1: 1 }[precision];
  const bytes = new Uint8Array(Math.ceil(count / 32) * 32 * chunks * 16);
  const view = new DataView(bytes.buffer);
  const scale = precision === "i8" ? 1 / 127 : 1;
  for (let v = 0; v < count && !isTimed; v++) {
    for (let e = 0; e < elements; e++) {
      const value = draw() * 2 - 1;
      const at = placeOf(v, e, size, chunks, isInterleaved);
      if (precision === "f32") view.setFloat32(at, value, true);
      else if (precision === "f16") view.setUint16(at, floatToHalf(value), true);
      else view.setInt8(at, Math.round(value * 127));
    }
  }
  const value = (v: number, e: number): number => {
    const at = placeOf(v, e, size, chunks, isInterleaved);
    if (precision === "f32") return view.getFloat32(at, true);
    return precision === "f16" ? halfToFloat(view.getUint16(at, true)) : view.getInt8(at) * Math.fround(scale);
  };
  return { bytes, scale, value };
}

export function codedRows(
  count: number,
  elements: number,
  chunks: number,
  draw: () => number,
  isTimed: boolean,
  isInterleaved = true,
): Vectors {
  const made = plainRows("i8", count, elements, chunks, draw, isTimed, isInterleaved);
  const view = new DataView(made.bytes.buffer);
  return { ...made, value: (v, e) => view.getInt8(placeOf(v, e, 1, chunks, isInterleaved)) };
}

export function plainAnswer(metric: Metric, rows: Vectors, queries: Vectors, elements: number, coarse: number): Answer {
  const margin = scanMargin(metric as FloatMetric, elements, 1, 1);
  const estimate = (query: number, row: number): number => {
    let product = 0;
    let squares = 0;
    let magnitudes = 0;
    for (let e = 0; e < elements; e++) {
      const q = queries.value(query, e);
      const x = rows.value(row, e);
      product += q * x;
      squares += (q - x) ** 2;
      magnitudes += Math.abs(q - x);
    }
    if (metric === "cosine") return 1 - product * 0.75;
    return metric === "dot" ? -product : metric === "euclidean" ? squares : magnitudes;
  };
  const marginOf = (e: number): number => margin.relative * Math.abs(e) + margin.perNorm * 0.75 + margin.absolute;
  return {
    low: (query, row) => {
      const e = estimate(query, row);
      return e - marginOf(e) - coarse * (metric === "dot" ? 0.75 : 1);
    },
    // Elements are up to 1, so vectors up to √elements long: the margin, made for length 1, times that.
    tolerance: (query, row) => marginOf(estimate(query, row)) + elements * 2 ** -20,
  };
}

export function codedAnswer(metric: Metric, rows: Vectors, queries: Vectors, elements: number): Answer {
  return {
    low: (query, row) => {
      let sum = 0;
      for (let e = 0; e < elements; e++) sum += queries.value(query, e) * rows.value(row, e);
      const ip = sum * Math.fround(queries.scale) * Math.fround(rows.scale);
      if (metric === "cosine") return 1 - ip - 0.125;
      return metric === "dot" ? -ip - 0.125 * 2 : 3 + 2 - 2 * ip - 2 * 0.125 * Math.sqrt(2);
    },
    tolerance: () => CODE_TOLERANCE * Math.max(1, elements / 16),
  };
}

export function medianLow(asked: Asked): number {
  const lows = Array.from({ length: asked.rows }, (_, row) => asked.low(0, row)).sort((a, b) => a - b);
  return Math.fround(lows[asked.rows >> 1] ?? 0);
}

function valueOf(key: number): number {
  const bits = key >>> 31 === 1 ? key & 0x7fffffff : ~key;
  return new Float32Array(Uint32Array.of(bits >>> 0).buffer)[0] ?? Number.NaN;
}

export function checkKeys(asked: Asked, keys: Uint32Array): void {
  for (let q = 0; q < asked.queries; q++) {
    for (let row = 0; row < asked.rows; row++) {
      const key = keys[q * asked.rows + row] ?? 0;
      if (!asked.isEligible(row)) {
        if (key !== 0xffffffff) throw new Error(`probe: a key for row ${row}, which query ${q} may not find`);
        continue;
      }
      const [got, wanted] = [valueOf(key), asked.low(q, row)];
      if (!(Math.abs(got - wanted) <= asked.tolerance(q, row))) {
        throw new Error(`probe: ${got} for query ${q} and row ${row}, wanted ${wanted}`);
      }
    }
  }
}

/** `words`: [queries × 4] states, then [queries × rows] lists. */
export function checkCandidates(asked: Asked, words: Uint32Array, threshold: number): void {
  for (let q = 0; q < asked.queries; q++) {
    const count = words[q * 4 + 2] ?? 0;
    const at = asked.queries * 4 + q * asked.rows;
    const found = new Set(words.subarray(at, at + Math.min(count, asked.rows)));
    if (found.size !== count)
      throw new Error(`probe: ${count} candidates of query ${q}, ${found.size} of them distinct`);
    for (let row = 0; row < asked.rows; row++) {
      const margin = asked.low(q, row) - threshold;
      const isWithin = asked.isEligible(row) && margin <= 0;
      // What lies within the tolerance of the threshold may go either way.
      if (found.has(row) !== isWithin && !(asked.isEligible(row) && Math.abs(margin) <= asked.tolerance(q, row)))
        throw new Error(`probe: row ${row} ${isWithin ? "is not" : "is"} a candidate of query ${q}`);
    }
  }
}
