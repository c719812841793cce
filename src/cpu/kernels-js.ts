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

/** A memory as the arrays that kernels index. */
export interface Views {
  readonly buffer: ArrayBufferLike;
  readonly floats: Float32Array;
  readonly words: Uint32Array;
  readonly halves: Uint16Array;
  readonly wide: Int16Array;
  readonly codes: Int8Array;
}

function viewsOf(buffer: ArrayBufferLike): Views {
  return {
    buffer,
    floats: new Float32Array(buffer),
    words: new Uint32Array(buffer),
    halves: new Uint16Array(buffer),
    wide: new Int16Array(buffer),
    codes: new Int8Array(buffer),
  };
}

export function jsKernels(memory: ChunkMemory, format: RowFormat): Kernels {
  const { metric, precision, stride, rowBytes } = format;
  let views = viewsOf(memory.buffer);
  // A memory that grows gets a new buffer: look before each call.
  const current = (): Views => {
    if (memory.buffer !== views.buffer) views = viewsOf(memory.buffer);
    return views;
  };
  const distanceOf = canonical(format);
  const estimate = isBitMetric(metric) ? undefined : estimator(metric);

  return {
    level: "none",
    queryLevels: 127,
    scanI8: (span) => scanCodes(current(), span),
    refine(span, count) {
      if (isBitMetric(metric)) throw new Error("bits have no codes");
      return refinePairs(current(), metric, precision === "f16", stride, span, count);
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
          if (value - perNorm * term > limit) continue;
          const word = words[(span.eligible >>> 2) + q * span.words + (r >>> 5)] ?? 0;
          if ((word >>> (r & 31)) & 1) words[(span.hits >>> 2) + count++] = (q << 16) | r;
        }
      }
      return count;
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

/** Canonical distance of the query and the row at two byte offsets; `scale`: where the scale of an i8 row is. */
type Canonical = (views: Views, query: number, row: number, scale: number) => number;

/** Twins of distance_f64, distance_f16, distance_i8, distance_b1: rows that are not float32 are decoded first, exactly, to float64. */
function canonical({ precision, metric, stride }: RowFormat): Canonical {
  if (isBitMetric(metric)) {
    return ({ words }, query, row) => bitDistance(metric, words, query >>> 2, words, row >>> 2, stride);
  }
  if (precision === "f32") {
    return ({ floats }, query, row) => canonicalDistance(metric, floats, query >>> 2, floats, row >>> 2, stride);
  }
  const decoded = new Float64Array(stride);
  // In bounds by the layout; the loops are the innermost of these precisions.
  const decode: (views: Views, row: number, scale: number) => void =
    precision === "f16"
      ? ({ halves }, row) => {
          for (let i = 0; i < stride; i++) decoded[i] = halfToFloat(halves[(row >>> 1) + i]!);
        }
      : ({ codes, floats }, row, scale) => {
          const unit = floats[scale >>> 2]!;
          for (let i = 0; i < stride; i++) decoded[i] = unit * codes[row + i]!;
        };
  return (views, query, row, scale) => {
    decode(views, row, scale);
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
