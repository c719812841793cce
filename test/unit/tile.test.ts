/** What a tile hands to the kernels: coefficients and limits no tighter than the certificate says, and eligibility of any rows. */
import { describe, expect, test } from "vitest";
import { scanBound } from "../../src/core/certificate.ts";
import { identityProjection } from "../../src/core/projection.ts";
import { toEstimateScale } from "../../src/core/margin.ts";
import { rowNorm } from "../../src/core/matrix.ts";
import { hasBit } from "../../src/core/rowset.ts";
import { Encoder } from "../../src/cpu/encoder.ts";
import { bindKernels } from "../../src/cpu/kernels.ts";
import { chunkBytes, coefficientPlane, storeShape } from "../../src/cpu/layout.ts";
import { ownMemory } from "../../src/cpu/memory.ts";
import { Scratch } from "../../src/cpu/scratch.ts";
import type { Chunk } from "../../src/cpu/store-view.ts";
import type { ScanTask } from "../../src/cpu/tasks.ts";
import { QueryTile } from "../../src/cpu/tile.ts";
import { normal, uniform } from "../contract/random.ts";

const D = 40;
const QUERIES = 6;
const ROWS = 1000;

function taskOf(queries: Float32Array, maxDistance: number, bitmaps: readonly Uint32Array[]): ScanTask {
  return {
    store: 1,
    count: QUERIES,
    queries,
    norms: Float64Array.from({ length: QUERIES }, (_, q) => rowNorm(queries, q * D, D)),
    wanted: new Uint32Array(QUERIES).fill(3),
    maxDistances: new Float32Array(QUERIES).fill(maxDistance),
    blocks: [],
    eligibilities: bitmaps.map((bits) => ({ bits, rowCount: ROWS })),
    eligibilityOf: Uint32Array.from({ length: QUERIES }, (_, q) => q % bitmaps.length),
  };
}

function chunkOf(metric: "cosine" | "dot" | "euclidean"): { shape: ReturnType<typeof storeShape>; chunk: Chunk } {
  const shape = storeShape("f32", metric, D, 1, true);
  const memory = ownMemory(chunkBytes(shape, 0));
  return { shape, chunk: { memory, kernels: bindKernels({}, memory, shape), scratch: new Scratch(shape, memory, 0) } };
}

describe.each(["cosine", "dot", "euclidean"] as const)("%s", (metric) => {
  test("no coefficient, weight or limit is tighter than the certificate", () => {
    const gauss = normal(4);
    for (const [scale, maxDistance] of [
      [1, 0.75],
      [1e3, 40],
      [1e-3, 1e-5],
      [1, -0.3],
    ] as const) {
      const queries = Float32Array.from({ length: QUERIES * D }, () => gauss() * scale);
      const { shape, chunk } = chunkOf(metric);
      const encoder = new Encoder(undefined, shape, metric);
      const defect = 1e-3;
      const basis = { ...identityProjection(D), defect, id: 1 };
      const tile = new QueryTile(
        shape,
        taskOf(queries, maxDistance, [new Uint32Array(32)]),
        Array.from({ length: QUERIES }, (_, i) => i),
      );
      tile.encode(encoder, basis, 127);
      tile.load(chunk);
      tile.refresh(chunk);
      const plane = coefficientPlane(shape.scratch.tileQueries) / 4;
      const { coefficients } = chunk.scratch.views;
      tile.queries.forEach((q, i) => {
        const codes = new Int8Array(48);
        const query = encoder.encodeQuery(basis, queries.subarray(i * D, (i + 1) * D), q.scale, 127, codes, 0);
        const bound = scanBound({ metric, dimensions: D, query, defect, norm2Error: 2 ** -21 });
        const [product, perError, perResidual, perNorm, limit] = [0, 1, 2, 3, 4].map(
          (at) => coefficients[at * plane + i] ?? Number.NaN,
        );
        expect(product).toBe((metric === "euclidean" ? 2 : 1) * query.scale);
        expect(perError).toBeGreaterThanOrEqual(bound.perError + bound.perCode);
        expect(perResidual).toBeGreaterThanOrEqual(bound.perResidual);
        expect(perNorm).toBeGreaterThanOrEqual(bound.perCode * (1 + defect));
        const alone = metric === "cosine" ? 1 : metric === "dot" ? 0 : query.norm2;
        const truth = toEstimateScale(metric, Math.fround(maxDistance), q.scale);
        if (Number.isFinite(truth)) expect(limit).toBeGreaterThanOrEqual(truth - alone + bound.absolute);
        else expect(limit).toBe(truth);
        // And not looser by more than a rounding or two.
        expect(perError).toBeLessThan((bound.perError + bound.perCode) * (1 + 1e-6));
        if (metric === "euclidean") {
          expect(tile.weight).toBeLessThanOrEqual(1 - bound.perNorm2);
          expect(tile.weight).toBeGreaterThan(1 - 2 * bound.perNorm2 - 1e-6);
        }
      });
    }
  });
});

test("eligibility is copied for any run of rows, one bitmap or several", () => {
  const draw = uniform(12);
  const bitmap = (): Uint32Array => Uint32Array.from({ length: 32 }, () => Math.floor(draw() * 2 ** 32));
  for (const bitmaps of [[bitmap()], [bitmap(), bitmap(), bitmap()]]) {
    const { shape, chunk } = chunkOf("dot");
    const queries = new Float32Array(QUERIES * D).fill(1);
    const tile = new QueryTile(
      shape,
      taskOf(queries, Infinity, bitmaps),
      Array.from({ length: QUERIES }, (_, i) => i),
    );
    for (let round = 0; round < 60; round++) {
      const first = Math.floor(draw() * 900);
      const count = 1 + Math.floor(draw() * (ROWS - first - 1));
      const words = tile.loadEligible(chunk, first, count);
      expect(words).toBe(bitmaps.length === 1 ? 0 : Math.ceil(count / 32));
      for (let q = 0; q < QUERIES; q++) {
        for (let r = 0; r < count; r++) {
          const word = chunk.scratch.views.eligible[q * (words ?? 0) + (r >>> 5)] ?? 0;
          const bits = bitmaps[q % bitmaps.length] ?? new Uint32Array(0);
          expect(((word >>> (r & 31)) & 1) === 1).toBe(hasBit(bits, first + r));
        }
      }
    }
    expect(
      new QueryTile(shape, taskOf(queries, 1, [new Uint32Array(32)]), [0]).loadEligible(chunk, 5, 70),
    ).toBeUndefined();
  }
});
