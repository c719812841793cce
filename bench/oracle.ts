/**
 * What the answer must be, by the float64 brute force (src/core/reference.ts), for any set of
 * vectors and any precision. Each is worked out once.
 */
import type { FloatMetric, Precision } from "../src/core/metric.ts";
import { type ReferenceHit, reference, referenceDistance, storedRow } from "../src/core/reference.ts";
import { isEligible } from "./eligible.ts";
import type { Vectors } from "./vectors.ts";

export class Oracle {
  readonly #vectors: Vectors;
  readonly #metric: FloatMetric | "hamming";
  readonly #known = new Map<string, ReferenceHit[]>();

  constructor(vectors: Vectors, metric: FloatMetric | "hamming") {
    this.#vectors = vectors;
    this.#metric = metric;
  }

  /** The k nearest rows, as `precision` stores them, of held-out query `q`; `eligibleShare`: of the rows of a filter (eligible.ts). */
  nearest(q: number, precision: Precision, k: number, eligibleShare = 1): readonly ReferenceHit[] {
    const key = `${q} ${precision} ${eligibleShare}`;
    let hits = this.#known.get(key);
    if (hits === undefined || hits.length < k) {
      hits = this.#rank(q, precision, k, eligibleShare);
      this.#known.set(key, hits);
    }
    return hits.slice(0, k);
  }

  /** The canonical distance of held-out query `q` to a row as given. */
  distance(q: number, row: number): number {
    const { rows, queries, dimensions } = this.#vectors;
    const at = (values: Float32Array | Uint8Array, i: number): ArrayLike<number> =>
      values instanceof Uint8Array
        ? bitsOf(vectorAt(values, dimensions / 8, i))
        : values.subarray(i * dimensions, (i + 1) * dimensions);
    return referenceDistance(this.#metric, at(queries, q), at(rows, row));
  }

  #rank(q: number, precision: Precision, k: number, eligibleShare: number): ReferenceHit[] {
    const { rows, queries, dimensions } = this.#vectors;
    const metric = this.#metric;
    if (metric === "hamming" || rows instanceof Uint8Array || queries instanceof Uint8Array) {
      if (eligibleShare < 1) throw new Error("filters are measured on floats");
      return this.#rankBits(q, k);
    }
    const query = queries.subarray(q * dimensions, (q + 1) * dimensions);
    if (precision === "f32" && eligibleShare === 1) return reference({ metric, rows, dimensions, query, k });
    const hits: ReferenceHit[] = [];
    for (let row = 0; row < rows.length / dimensions; row++) {
      if (!isEligible(row, eligibleShare)) continue;
      const stored = storedRow(precision, rows.subarray(row * dimensions, (row + 1) * dimensions));
      hits.push({ row, distance: referenceDistance(metric, query, stored) });
    }
    return nearestOf(hits, k);
  }

  /** Counts are integers, so a table of counts is as exact as the reference, and a gigabit a second faster. */
  #rankBits(q: number, k: number): ReferenceHit[] {
    const { rows, queries, dimensions } = this.#vectors;
    if (rows instanceof Float32Array || queries instanceof Float32Array) throw new Error("hamming is of packed bits");
    const bytes = dimensions / 8;
    const query = vectorAt(queries, bytes, q);
    const hits = Array.from({ length: rows.length / bytes }, (_, row): ReferenceHit => {
      let distance = 0;
      for (let i = 0; i < bytes; i++) distance += BIT_COUNTS[(query[i] ?? 0) ^ (rows[row * bytes + i] ?? 0)] ?? 0;
      return { row, distance };
    });
    return nearestOf(hits, k);
  }
}

const BIT_COUNTS = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll("0", "").length);

function vectorAt(values: Uint8Array, bytes: number, i: number): Uint8Array {
  return values.subarray(i * bytes, (i + 1) * bytes);
}

function bitsOf(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: bytes.length * 8 }, (_, i) => ((bytes[i >> 3] ?? 0) >> (i & 7)) & 1);
}

function nearestOf(hits: ReferenceHit[], k: number): ReferenceHit[] {
  return hits.sort((a, b) => a.distance - b.distance || a.row - b.row).slice(0, k);
}
