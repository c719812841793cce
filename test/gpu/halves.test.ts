/**
 * Queries rounded to halves for gemm_f16_matrix: its lower ends, made by its plain twin, lie below
 * the true distances, and hardly lower than rounding makes them; and rows that lie in the direction
 * of what was rounded off show that the allowance is needed.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { floatToHalf, halfToFloat } from "../../src/core/half.ts";
import { SHAPES } from "../../src/gpu/gemm-variants.ts";
import { QUERY_PARAM_WORDS, queryHalves, scanQuery } from "../../src/gpu/query.ts";
import { normal, uniform } from "../contract/random.ts";
import { gpuAvailable } from "../setup/backends.ts";
import { KernelBench } from "./kernel-bench.ts";
import { interleaved, valueOf } from "./twins.ts";

const ROWS = 203;
const QUERIES = 37;
/** Eight whole chunks and a part of one: a step of four, a part of one. */
const D = 44;
const STRIDE = 48;
/** Rows as scanned: scaled clear of subnormal halves. */
const EXPONENT = 10;

function norm(v: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < v.length; i++) sum += (v[i] ?? 0) ** 2;
  return Math.sqrt(sum);
}

const gauss = normal(31);
/** Elements of all magnitudes, a third of them far below the smallest normal half beside the others. */
const given = Array.from({ length: QUERIES }, (_, q) =>
  Float32Array.from({ length: D }, (__, d) => gauss() * (d % 3 === 2 ? 2 ** -18 : 1 / (1 + (d % 7))) * 10 ** (q % 3)),
);

describe("queryHalves", () => {
  test.each([1, 1e-3, 1.9])(
    "what it returns is no less than what rounding takes off, and the margin beside (size %f)",
    (size) => {
      for (const q of given) {
        const scanned = Float32Array.from(q, (x) => (x * size) / norm(q));
        const halves = new Uint16Array(D);
        const coarse = queryHalves(scanned, halves);
        const rounded = Float64Array.from(halves, halfToFloat);
        for (const h of halves) expect((h & 0x7fff) === 0 || (h & 0x7fff) >= 0x400).toBe(true); // none is subnormal
        const error = norm(scanned.map((x, d) => x - (rounded[d] ?? 0)));
        expect(coarse).toBeGreaterThan(error + (D + 8) * 2 ** -23 * norm(scanned));
        expect(coarse).toBeLessThan(error * 1.01 + (D + 40) * 2 ** -23 * norm(scanned));
      }
    },
  );
});

describe.skipIf(!gpuAvailable())("gemm_f16_matrix's plain twin", () => {
  let bench: KernelBench;
  beforeAll(async () => {
    bench = await KernelBench.open();
  });
  afterAll(() => bench?.close());

  test.each(["cosine", "dot"] as const)(
    "%s: lower ends are proven, and tight, with the allowance for rounded queries only",
    async (metric) => {
      const halves = new Uint16Array(QUERIES * STRIDE);
      const params = new Uint32Array(QUERIES * QUERY_PARAM_WORDS);
      const floats = new Float32Array(params.buffer);
      const exact: Float64Array[] = [];
      const lost: Float64Array[] = [];
      given.forEach((q, i) => {
        const rows = {
          metric,
          precision: "f16",
          dimensions: D,
          minNorm: 0.01,
          maxNorm: 60,
          exponent: EXPONENT,
        } as const;
        const scan = scanQuery(rows, norm(q), Infinity);
        if (scan === undefined) throw new Error("an ordinary query");
        const scanned = q.map((x) => x * scan.factor);
        floats.set(scan.params, i * QUERY_PARAM_WORDS);
        floats.set([scan.norm, queryHalves(scanned, halves.subarray(i * STRIDE))], i * QUERY_PARAM_WORDS + 8);
        exact.push(Float64Array.from(q, (x) => x * scan.factor));
        lost.push(Float64Array.from(scanned, (x, d) => x - halfToFloat(halves[i * STRIDE + d] ?? 0)));
      });

      // Some rows as they come; the others in the direction of what some query lost.
      const rows = new Uint16Array(ROWS * STRIDE);
      const stored = Array.from({ length: ROWS }, (_, r) => {
        const direction = lost[r % (2 * QUERIES)];
        const size = direction === undefined ? 1 : 3 / norm(direction);
        const x = Float64Array.from({ length: D }, (__, d) => (direction?.[d] ?? gauss()) * size * 2 ** EXPONENT);
        x.forEach((value, d) => (rows[r * STRIDE + d] = floatToHalf(Math.fround(value))));
        return x.map((__, d) => halfToFloat(rows[r * STRIDE + d] ?? 0));
      });
      const padded = Math.ceil(ROWS / 32) * 32;
      const terms = new Float32Array(padded);
      stored.forEach((x, r) => (terms[r] = metric === "cosine" ? 1 / norm(x) : norm(x)));
      const draw = uniform(5);
      const words = Math.ceil(ROWS / 32);
      const bits = Uint32Array.from({ length: words }, () => draw() * 2 ** 32);
      const [tile] = SHAPES.gemm_f16_matrix.slice(-1);
      if (tile === undefined) throw new Error("the table has tiles");
      const kernel = await bench.pipelines.get("gemm_f16_matrix", {
        metric,
        precision: "f16",
        emit: "keys",
        facts: 1,
        tile,
        sum: "plain",
      });
      const shared = {
        rows: bench.upload(interleaved(new Uint32Array(rows.buffer), ROWS, STRIDE / 2).slice()),
        terms: bench.upload(terms),
        halves: bench.upload(new Uint32Array(halves.buffer)),
        bits: bench.upload(bits),
      };
      const lowsWith = async (queryParams: Uint32Array<ArrayBuffer>): Promise<Float64Array> => {
        const keys = bench.upload(new Uint32Array(QUERIES * ROWS).fill(0xbaadf00d));
        const width = Math.ceil(ROWS / tile.rows);
        bench.commands.dispatch({
          kernel,
          params: [ROWS, STRIDE / 8, QUERIES, width, 0, 1, 0, words, 0, ROWS, 0, 0, 0, 0],
          buffers: [
            shared.rows,
            shared.terms,
            shared.halves,
            bench.upload(queryParams),
            shared.bits,
            keys,
            bench.upload(new Uint32Array(4)),
          ],
          grid: { x: width, y: 1 },
          z: Math.ceil(QUERIES / tile.queries),
        });
        const got = await bench.download(keys, QUERIES * ROWS * 4);
        return Float64Array.from(got, (key, at) => {
          const r = at % ROWS;
          expect(key === 0xffffffff).toBe((((bits[r >> 5] ?? 0) >>> (r & 31)) & 1) === 0);
          return key === 0xffffffff ? Number.NaN : valueOf(key);
        });
      };
      const truth = (q: number, r: number): number => {
        const x = stored[r] ?? [];
        const product = (exact[q] ?? new Float64Array()).reduce((sum, e, d) => sum + e * (x[d] ?? 0), 0);
        return metric === "cosine" ? 1 - product / norm(x) : -product;
      };

      const lows = await lowsWith(params);
      let widest = 0;
      lows.forEach((low, at) => {
        if (Number.isNaN(low)) return;
        const distance = truth(Math.floor(at / ROWS), at % ROWS);
        const size = metric === "cosine" ? 1 : norm(stored[at % ROWS] ?? []);
        expect(low).toBeLessThanOrEqual(distance);
        widest = Math.max(widest, (distance - low) / size);
      });
      // Halves round by 2⁻¹² of an element at most, unit queries by as much in all; rounding and allowance may both count.
      expect(widest).toBeLessThan(2 * 2 * 2 ** -11);

      const without = params.slice();
      for (let q = 0; q < QUERIES; q++) without[q * QUERY_PARAM_WORDS + 9] = 0;
      const bare = await lowsWith(without);
      expect(bare.some((low, at) => low > truth(Math.floor(at / ROWS), at % ROWS))).toBe(true);
    },
  );
});
