/**
 * The honesty test of KERNELS b.5 on its data: GloVe's 100,000 most frequent words. Leading
 * directions learnt from a sample, codes and bounds as an engine makes them, survivors counted
 * with the true k-th distance for a threshold. No answer may be lost, and few rows may be left.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { learnBasis } from "../../src/core/basis.ts";
import { basisSampleRows } from "../../src/core/sample.ts";
import { certifiedInterval, scanBound } from "../../src/core/certificate.ts";
import { choosePrefix } from "../../src/core/choose-prefix.ts";
import { type Encoding, encodeVector, prefixProjection } from "../../src/core/encoding.ts";
import { type Projection } from "../../src/core/projection.ts";
import { runToEnd } from "../../src/core/slices.ts";
import { DIMENSIONS, gloveRows } from "../setup/glove-rows.ts";

const WORDS = 100_000;
const QUERIES = 8;
const K = 10;

describe("the certificate on GloVe's 100,000 most frequent words", () => {
  let rows: Float32Array;
  let projection: Projection;
  let encodings: Encoding[];
  beforeAll(async () => {
    rows = await gloveRows(WORDS);
    const count = basisSampleRows(DIMENSIONS);
    const sample = new Float32Array(count * DIMENSIONS);
    for (let i = 0; i < count; i++) {
      const row = Math.floor((i * WORDS) / count);
      sample.set(rows.subarray(row * DIMENSIONS, (row + 1) * DIMENSIONS), i * DIMENSIONS);
    }
    const basis = runToEnd(learnBasis({ metric: "cosine", dimensions: DIMENSIONS, sample, count }));
    const choice = runToEnd(
      choosePrefix({ basis, metric: "cosine", sample, count, rowCount: WORDS, rowBytesFull: DIMENSIONS * 4 }),
    );
    expect(choice.m).toBeLessThan(DIMENSIONS);
    projection = prefixProjection(basis, choice.m);
    encodings = Array.from({ length: WORDS }, (_, row) => encodeVector(projection, "cosine", rows, row * DIMENSIONS));
  }, 120_000);

  test("loses no neighbour and leaves at most 8 % of the rows", () => {
    const norms = Float64Array.from({ length: WORDS }, (_, row) => Math.sqrt(dot(row, row)));
    let survivors = 0;
    for (let q = 0; q < QUERIES; q++) {
      const query = 37 + q * 9973;
      const distances = Float64Array.from(norms, (norm, row) => 1 - dot(query, row) / (norm * (norms[query] ?? 1)));
      const threshold = Float64Array.from(distances).sort()[K - 1] ?? 0;
      const encoded = encodeVector(projection, "cosine", rows, query * DIMENSIONS);
      const bound = scanBound({ metric: "cosine", dimensions: DIMENSIONS, query: encoded, defect: projection.defect });
      for (let row = 0; row < WORDS; row++) {
        const encoding = encodings[row];
        if (encoding === undefined) throw new Error("a row without codes");
        const { low, high } = certifiedInterval("cosine", encoded, encoding, bound);
        const distance = distances[row] ?? Infinity;
        if (low > distance || high < distance) throw new Error(`row ${row}: ${distance} outside [${low}, ${high}]`);
        if (low <= threshold) survivors++;
      }
    }
    console.info(
      `GloVe 100k: ${projection.length} directions, ${((100 * survivors) / WORDS / QUERIES).toFixed(2)} % survive`,
    );
    expect(survivors).toBeGreaterThanOrEqual(K * QUERIES);
    expect(survivors).toBeLessThanOrEqual(0.08 * WORDS * QUERIES);
  }, 120_000);

  function dot(a: number, b: number): number {
    let sum = 0;
    for (let d = 0; d < DIMENSIONS; d++) sum += (rows[a * DIMENSIONS + d] ?? 0) * (rows[b * DIMENSIONS + d] ?? 0);
    return sum;
  }
});
