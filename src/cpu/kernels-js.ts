/**
 * Plain-JS twins of the WASM kernels: the last resort where there is no SIMD or no WASM, and the
 * second implementation that tests compare the first with. The scan here computes estimates in
 * float64 and compares the float32-rounded sum, well within the margin that float32 arithmetic has.
 */
import { canonicalDistance } from "../core/canonical.ts";
import type { FloatMetric } from "../core/metric.ts";
import type { Kernels, ScanSpan } from "./kernels.ts";
import type { ChunkMemory } from "./memory.ts";

export function jsKernels(memory: ChunkMemory, metric: FloatMetric, stride: number): Kernels {
  // A memory that grows gets a new buffer: look before each call.
  let buffer = memory.buffer;
  let floats = new Float32Array(buffer);
  let words = new Uint32Array(buffer);
  const refresh = (): void => {
    if (memory.buffer === buffer) return;
    buffer = memory.buffer;
    floats = new Float32Array(buffer);
    words = new Uint32Array(buffer);
  };
  const estimate = estimator(metric);

  return {
    level: "none",
    scanF32(span: ScanSpan): number {
      refresh();
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
    scanF64(rows, rowCount, query, out): void {
      refresh();
      for (let r = 0; r < rowCount; r++) {
        floats[(out >>> 2) + r] = canonicalDistance(
          metric,
          floats,
          query >>> 2,
          floats,
          (rows >>> 2) + r * stride,
          stride,
        );
      }
    },
    distanceF64(query, row): number {
      refresh();
      return canonicalDistance(metric, floats, query >>> 2, floats, row >>> 2, stride);
    },
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
