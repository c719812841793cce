/**
 * The kinds of data that the contract is tried on, each chosen to break some shortcut. f16 has its
 * own "tiny" (1e-6, which is subnormal there) and "huge" (1e4): it cannot hold the others'. Floats
 * become bits by their signs: "offset" is all ones, "zero" none.
 */
import type { Metric, Precision } from "../../src/core/metric.ts";
import { normal, uniform } from "./random.ts";

export const DATA_KINDS = [
  "gaussian", // nothing special
  "clustered", // many near neighbours: margins matter
  "duplicates", // ties everywhere: order by row
  "equal", // all rows equal: survivors overflow
  "zero", // all rows zero (cosine: all equal instead)
  "sorted", // nearest last: no bound ever helps
  "offset", // a common offset of 1e4: cancellation
  "tiny", // 1e-30: squares underflow float32 (f16: 1e-6)
  "huge", // 1e30: squares overflow float32, dot products clamp (f16: 1e4)
  "half-ulp", // pairs that tie in float32 and not in float64, the farther one with the lower row
] as const;

export type DataKind = (typeof DATA_KINDS)[number];

export interface Data {
  /** [rowCount × dimensions] */
  readonly rows: Float32Array;
  /** [queryCount × dimensions] */
  readonly queries: Float32Array;
}

export function makeData(
  kind: DataKind,
  metric: Metric,
  rowCount: number,
  queryCount: number,
  d: number,
  seed: number,
  precision: Precision = "f32",
): Data {
  const gauss = normal(seed);
  const draw = uniform(seed ^ 0x5bd1e995);
  const fill = (count: number, value: () => number): Float32Array => Float32Array.from({ length: count * d }, value);
  const queries = fill(queryCount, gauss);
  switch (kind) {
    case "gaussian":
      return { rows: fill(rowCount, gauss), queries };
    case "clustered": {
      const centres = fill(8, () => gauss() * 3);
      const near = (count: number): Float32Array => {
        const out = new Float32Array(count * d);
        for (let i = 0; i < count; i++) {
          const c = Math.floor(draw() * 8);
          for (let j = 0; j < d; j++) out[i * d + j] = (centres[c * d + j] ?? 0) + gauss() * 0.01;
        }
        return out;
      };
      return { rows: near(rowCount), queries: near(queryCount) };
    }
    case "duplicates": {
      const distinct = fill(7, gauss);
      const rows = new Float32Array(rowCount * d);
      for (let i = 0; i < rowCount; i++) {
        const from = Math.floor(draw() * 7);
        rows.set(distinct.subarray(from * d, (from + 1) * d), i * d);
      }
      queries.set(distinct.subarray(0, Math.min(d, queries.length)));
      return { rows, queries };
    }
    case "equal":
      return { rows: repeat(fill(1, gauss), rowCount), queries };
    case "zero":
      return { rows: metric === "cosine" ? repeat(fill(1, gauss), rowCount) : new Float32Array(rowCount * d), queries };
    case "sorted": {
      const direction = fill(1, gauss);
      const rows = new Float32Array(rowCount * d);
      for (let i = 0; i < rowCount; i++) {
        const away = 1 - i / Math.max(1, rowCount);
        for (let j = 0; j < d; j++) rows[i * d + j] = (queries[j] ?? 0) + away * (direction[j] ?? 0);
      }
      return { rows, queries };
    }
    case "offset":
      return { rows: fill(rowCount, () => gauss() + 1e4), queries: fill(queryCount, () => gauss() + 1e4) };
    case "tiny": {
      // In f16 a tenth of a step would be zero, which cosine refuses: there all are at least 1e-7.
      const value = (): number => {
        const x = gauss();
        return precision === "f16" ? (x + Math.sign(x) * 0.1) * 1e-6 : x * 1e-30;
      };
      return { rows: fill(rowCount, value), queries: fill(queryCount, value) };
    }
    case "huge": {
      const scale = precision === "f16" ? 1e4 : 1e30; // 6.5 standard deviations are 65,000
      return { rows: fill(rowCount, () => gauss() * scale), queries: fill(queryCount, () => gauss() * scale) };
    }
    case "half-ulp":
      return { rows: nearTies(fill(rowCount, gauss), queries, metric, rowCount, d), queries };
    default:
      return kind satisfies never;
  }
}

function repeat(row: Float32Array, count: number): Float32Array {
  const rows = new Float32Array(row.length * count);
  for (let i = 0; i < count; i++) rows.set(row, i * row.length);
  return rows;
}

/** Makes rows 2i and 2i + 1 differ by one float32 ulp in one element, the farther from the first query first. */
function nearTies(
  rows: Float32Array,
  queries: Float32Array,
  metric: Metric,
  rowCount: number,
  d: number,
): Float32Array {
  const bits = new Uint32Array(rows.buffer);
  for (let i = 0; i + 1 < rowCount; i += 2) {
    rows.copyWithin((i + 1) * d, i * d, (i + 1) * d);
    let smallest = 0;
    for (let j = 1; j < d; j++) {
      if (Math.abs(rows[i * d + j] ?? 0) < Math.abs(rows[i * d + smallest] ?? 0)) smallest = j;
    }
    const at = i * d + smallest;
    bits[at] = (bits[at] ?? 0) + 1;
    const first = plainDistance(metric, queries, rows, i, d);
    const second = plainDistance(metric, queries, rows, i + 1, d);
    if (first < second) {
      const row = rows.slice(i * d, (i + 1) * d);
      rows.copyWithin(i * d, (i + 1) * d, (i + 2) * d);
      rows.set(row, (i + 1) * d);
    }
  }
  return rows;
}

/** The distance of row i to the first query in float64, not rounded; of bits 0, since an ulp changes none. */
function plainDistance(metric: Metric, queries: Float32Array, rows: Float32Array, row: number, d: number): number {
  let ab = 0;
  let aa = 0;
  let bb = 0;
  let squares = 0;
  let absolute = 0;
  for (let j = 0; j < d; j++) {
    const q = queries[j] ?? 0;
    const x = rows[row * d + j] ?? 0;
    ab += q * x;
    aa += q * q;
    bb += x * x;
    squares += (q - x) ** 2;
    absolute += Math.abs(q - x);
  }
  const cosine = 1 - ab / Math.sqrt(aa * bb);
  return { cosine, dot: -ab, euclidean: Math.sqrt(squares), manhattan: absolute, hamming: 0, jaccard: 0 }[metric];
}
