/**
 * Plain-JS twins of the WASM kernels: the last resort where there is no SIMD or no WASM, and the
 * second implementation that tests compare the first with. The scan here computes estimates in
 * float64 and compares the float32-rounded sum, well within the margin that float32 arithmetic has.
 */
import { bitDistance } from "../core/bits.ts";
import { canonicalDistance } from "../core/canonical.ts";
import { halfToFloat } from "../core/half.ts";
import { type FloatMetric, isBitMetric } from "../core/metric.ts";
import type { RowFormat } from "../core/stored-rows.ts";
import { refinePairs, scanCodes } from "./kernels-js-codes.ts";
import type { Kernels, ScanSpan } from "./kernels.ts";
import type { ChunkMemory } from "./memory.ts";
import { appendHit, type Views, viewsOf } from "./views.ts";

export function jsKernels(memory: ChunkMemory, format: RowFormat): Kernels {
  const { metric, precision, stride, rowBytes } = format;
  let views = viewsOf(memory.buffer);
  // A memory that grows gets a new buffer: look before each call.
  const current = (): Views => {
    if (memory.buffer !== views.buffer) views = viewsOf(memory.buffer);
    return views;
  };
  const decodeRow = decoder(format);
  const distanceOf = canonical(format, decodeRow);
  const estimate = isBitMetric(metric) ? undefined : estimator(metric);

  return {
    level: "none",
    queryLevels: 127,
    scanI8: (span) => scanCodes(current(), span),
    refine(span, count, estimates) {
      if (isBitMetric(metric)) throw new Error("bits have no codes");
      return refinePairs(current(), metric, precision === "f16", stride, span, count, estimates);
    },
    scanF32(span: ScanSpan): number {
      if (estimate === undefined) throw new Error("bits are not estimated");
      const { floats, words } = current();
      let count = 0;
      for (let q = 0; q < span.queryCount; q++) {
        const query = (span.queries >>> 2) + q * stride;
        const limit = floats[(span.limits >>> 2) + q] ?? -Infinity;
        const perNorm = floats[(span.perNorms >>> 2) + q] ?? 0;
        for (let r = 0; r < span.rowCount; r++) {
          const term = floats[(span.terms >>> 2) + r] ?? 0;
          const value = estimate(floats, query, (span.rows >>> 2) + r * stride, stride, term);
          if (value - perNorm * term <= limit) count = appendHit(words, span, count, q, r);
        }
      }
      return count;
    },
    scanB1(span: ScanSpan): number {
      if (!isBitMetric(metric)) throw new Error("only bits are counted");
      const { floats, words } = current();
      let count = 0;
      for (let q = 0; q < span.queryCount; q++) {
        const query = (span.queries >>> 2) + q * stride;
        const limit = floats[(span.limits >>> 2) + q] ?? -Infinity;
        for (let r = 0; r < span.rowCount; r++) {
          const distance = bitDistance(metric, words, query, words, (span.rows >>> 2) + r * stride, stride);
          if (distance <= limit) count = appendHit(words, span, count, q, r);
        }
      }
      return count;
    },
    decode(rows, scales, rowCount, floats): void {
      const at = current();
      for (let r = 0; r < rowCount; r++) {
        decodeRow(at, rows + r * rowBytes, scales + r * 4, at.floats, (floats >>> 2) + r * stride);
      }
    },
    distances(query, rows, scales, rowCount, out): void {
      const at = current();
      for (let r = 0; r < rowCount; r++) {
        at.floats[(out >>> 2) + r] = distanceOf(at, query, rows + r * rowBytes, scales + r * 4);
      }
    },
    distance: (query, row, scale) => distanceOf(current(), query, row, scale),
  };
}

/**
 * Writes the elements of the row at a byte offset to `out[at …]`, exactly where `out` is float64,
 * rounded once where it is float32. `scale`: where the scale of an i8 row is.
 */
type Decoder = (views: Views, row: number, scale: number, out: Float32Array | Float64Array, at: number) => void;

function decoder({ precision, stride }: RowFormat): Decoder {
  // In bounds by the layout; the loops are the innermost of these precisions.
  switch (precision) {
    case "f16":
      return ({ halves }, row, _, out, at) => {
        for (let i = 0; i < stride; i++) out[at + i] = halfToFloat(halves[(row >>> 1) + i]!);
      };
    case "i8":
      return ({ codes, floats }, row, scale, out, at) => {
        const unit = floats[scale >>> 2]!;
        for (let i = 0; i < stride; i++) out[at + i] = unit * codes[row + i]!;
      };
    case "f32":
    case "b1":
      return () => {
        throw new Error(`rows of ${precision} are scanned as they are`);
      };
    default:
      return precision satisfies never;
  }
}

/** Canonical distance of the query and the row at two byte offsets; `scale`: where the scale of an i8 row is. */
type Canonical = (views: Views, query: number, row: number, scale: number) => number;

/** Twins of distance_f64, distance_f16, distance_i8, distance_b1: rows that are not float32 are decoded first, exactly, to float64. */
function canonical({ precision, metric, stride }: RowFormat, decodeRow: Decoder): Canonical {
  if (isBitMetric(metric)) {
    return ({ words }, query, row) => bitDistance(metric, words, query >>> 2, words, row >>> 2, stride);
  }
  if (precision === "f32") {
    return ({ floats }, query, row) => canonicalDistance(metric, floats, query >>> 2, floats, row >>> 2, stride);
  }
  const decoded = new Float64Array(stride);
  return (views, query, row, scale) => {
    decodeRow(views, row, scale, decoded, 0);
    return canonicalDistance(metric, views.floats, query >>> 2, decoded, 0, stride);
  };
}

type Estimator = (f: Float32Array, query: number, row: number, stride: number, term: number) => number;

function estimator(metric: FloatMetric): Estimator {
  // Indices are in bounds by the layout: `!` keeps the inner loops free of branches.
  switch (metric) {
    case "cosine":
      return (f, query, row, stride, term) => Math.fround(1 - product(f, query, row, stride) * term);
    case "dot":
      return (f, query, row, stride) => Math.fround(-product(f, query, row, stride));
    case "euclidean":
      return (f, query, row, stride) => {
        let sum = 0;
        for (let i = 0; i < stride; i++) {
          const d = f[query + i]! - f[row + i]!;
          sum += d * d;
        }
        return Math.fround(sum);
      };
    case "manhattan":
      return (f, query, row, stride) => {
        let sum = 0;
        for (let i = 0; i < stride; i++) sum += Math.abs(f[query + i]! - f[row + i]!);
        return Math.fround(sum);
      };
    default:
      return metric satisfies never;
  }
}

function product(f: Float32Array, a: number, b: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += f[a + i]! * f[b + i]!;
  return sum;
}
