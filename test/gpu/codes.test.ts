/**
 * Int8 codes made on the device and the scans over them: what encode_i8 claims of its own codes
 * must hold against float64, tightly; what the scans call the lower end must lie below the true
 * distance; and the GEMMs must agree with the scan bit for bit.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RowSource } from "../../src/core/backend.ts";
import { learnBasis, orthonormalityDefect } from "../../src/core/basis.ts";
import { floatToHalf, halfToFloat } from "../../src/core/half.ts";
import type { FloatMetric } from "../../src/core/metric.ts";
import { runToEnd } from "../../src/core/slices.ts";
import { type Certificate, makeCertificate } from "../../src/gpu/certificate-copy.ts";
import { SHAPES } from "../../src/gpu/gemm-variants.ts";
import { tileThreads } from "../../src/gpu/pipelines.ts";
import type { Gemm } from "../../src/gpu/probe.ts";
import { QUERY_PARAM_WORDS } from "../../src/gpu/query.ts";
import { normal, uniform } from "../contract/random.ts";
import { gpuAvailable } from "../setup/backends.ts";
import { KernelBench } from "./kernel-bench.ts";
import { interleaved, valueOf } from "./twins.ts";

const ROWS = 100;
const QUERIES = 9;
const D = 40;
type Product = "cosine" | "dot" | "euclidean";

/** The tiles that software compiles soonest. */
const GEMMS: readonly Gemm[] = [
  ...SHAPES.gemm_i8.slice(-1).map((tile): Gemm => ({ kernel: "gemm_i8", shape: { tile } })),
  ...SHAPES.gemm_i8_matrix.slice(-1).map((tile): Gemm => ({ kernel: "gemm_i8_matrix", shape: { tile, sum: "plain" } })),
];

/** Vectors with a decaying spectrum, of norms up to `size`, one of them zero unless the metric is cosine. */
function vectors(count: number, metric: FloatMetric, size: number, seed: number): Float32Array<ArrayBuffer> {
  const gauss = normal(seed);
  const out = Float32Array.from({ length: count * D }, (_, i) => (gauss() * size) / (1 + (i % D)) + size / 4);
  if (metric !== "cosine") out.fill(0, 3 * D, 4 * D);
  return out;
}

function norm(v: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < v.length; i++) sum += (v[i] ?? 0) ** 2;
  return Math.sqrt(sum);
}

/** What the kernels see of a set of vectors, and what was to be encoded, in float64. */
interface Encoded {
  readonly codes: GPUBuffer;
  readonly facts: GPUBuffer;
  /** [count] the vectors b. */
  readonly wanted: Float64Array[];
}

describe.skipIf(!gpuAvailable())("int8 codes", () => {
  let bench: KernelBench;
  beforeAll(async () => {
    bench = await KernelBench.open();
  });
  afterAll(() => bench?.close());

  const certificateFor = (
    metric: Product,
    precision: "f32" | "f16",
    m: number | undefined,
    rows: Float32Array<ArrayBuffer>,
  ): Certificate => {
    const maxNorm = Math.max(...Array.from({ length: ROWS }, (_, r) => norm(rows.subarray(r * D, (r + 1) * D))));
    const basis = runToEnd(learnBasis({ metric, dimensions: D, sample: rows, count: ROWS, directions: D }));
    // Of the row source the certificate reads only these.
    const source = { dimensions: D, stride: D, precision, metric, maxNorm } as unknown as RowSource;
    const transposed = new Float32Array(D * (m ?? 0));
    for (let d = 0; d < D; d++)
      for (let j = 0; j < (m ?? 0); j++) transposed[d * (m ?? 0) + j] = basis.vectors[j * D + d] ?? 0;
    const projection =
      m === undefined ? undefined : { directions: m, defect: orthonormalityDefect(basis, m), transposed };
    return makeCertificate(
      bench.memory,
      source,
      metric,
      0,
      projection,
      metric === "euclidean" ? basis.mean : undefined,
    );
  };

  const encode = async (
    certificate: Certificate,
    precision: "f32" | "f16",
    data: Float32Array<ArrayBuffer>,
    isQuery: boolean,
  ): Promise<Encoded> => {
    const { metric, codeChunks, directions, paramBits, basis, isIdentity } = certificate;
    const count = data.length / D;
    const padded = Math.ceil(count / 32) * 32;
    const stored = precision === "f16" && !isQuery ? Float32Array.from(data, (v) => halfToFloat(floatToHalf(v))) : data;
    const mean = new Float32Array((await bench.download(basis)).buffer, 0, D);
    const terms = new Float32Array(padded);
    const given = stored.slice();
    const wanted = Array.from({ length: count }, (_, v) => {
      const x = Float64Array.from(stored.subarray(v * D, (v + 1) * D));
      const size = norm(x);
      terms[v] = metric === "cosine" ? 1 / size : size;
      if (metric === "cosine" && isQuery) for (let d = 0; d < D; d++) given[v * D + d] = (x[d] ?? 0) / size;
      if (metric === "cosine") return x.map((e) => e / size);
      return metric === "euclidean" ? x.map((e, d) => e - (mean[d] ?? 0)) : x;
    });
    const words =
      precision === "f16" && !isQuery
        ? new Uint32Array(Uint16Array.from(given, floatToHalf).buffer)
        : new Uint32Array(given.buffer);
    const rowWords = words.length / count;
    const source = isQuery ? words : interleaved(words, count, rowWords);
    const factWords = isQuery ? 8 : certificate.factWords;
    const codes = bench.upload(new Uint32Array(padded * codeChunks * 4));
    const facts = bench.upload(new Uint32Array(padded * factWords));
    bench.commands.dispatch({
      kernel: await bench.pipelines.get("encode_i8", {
        metric,
        precision: isQuery ? "f32" : precision,
        facts: 1,
        codeFacts: factWords,
        isIdentity,
        isQuery,
      }),
      params: [count, 0, rowWords / 4, codeChunks, D, directions, count, ...paramBits],
      buffers: [bench.upload(Uint32Array.from(source)), bench.upload(terms), basis, codes, facts],
      grid: { x: count, y: 1 },
    });
    return { codes, facts, wanted };
  };

  /** P as the kernel has it, in float64: [m][d]. */
  const projectionOf = async ({ basis, directions, isIdentity }: Certificate): Promise<number[][]> => {
    const words = new Float32Array((await bench.download(basis)).buffer);
    return Array.from({ length: directions }, (_, j) =>
      Array.from({ length: D }, (__, d) => (isIdentity ? Number(d === j) : (words[D + d * directions + j] ?? 0))),
    );
  };

  const image = (p: number[][], b: Float64Array): number[] =>
    p.map((row) => row.reduce((sum, w, d) => sum + w * (b[d] ?? 0), 0));

  const CASES = (["cosine", "dot", "euclidean"] as const).flatMap((metric) =>
    ([undefined, 16, 24] as const).map((m) => ({
      metric,
      m,
      precision: m === 24 ? ("f16" as const) : ("f32" as const),
    })),
  );

  test.each(CASES)(
    "$precision rows under $metric, m = $m: every norm holds for the codes written, and hardly exceeds them",
    async ({ metric, m, precision }) => {
      const rows = vectors(ROWS, metric, 3, 11);
      const certificate = certificateFor(metric, precision, m, rows);
      const p = await projectionOf(certificate);
      for (const isQuery of [false, true]) {
        const data = isQuery ? vectors(QUERIES, metric, 3, 12) : rows;
        const { codes, facts, wanted } = await encode(certificate, precision, data, isQuery);
        const words = await bench.download(facts);
        const floats = new Float32Array(words.buffer);
        const bytes = new Int8Array((await bench.download(codes)).buffer);
        wanted.forEach((b, v) => {
          const factWords = isQuery ? 8 : certificate.factWords;
          const scale = floats[v * factWords] ?? Number.NaN;
          const y = image(p, b);
          const approximate = y.map((_, j) => {
            const chunk = j >> 4;
            const at = isQuery
              ? v * certificate.codeChunks + chunk
              : ((v >> 5) * certificate.codeChunks + chunk) * 32 + (v & 31);
            return scale * (bytes[at * 16 + (j & 15)] ?? 0);
          });
          const error = norm(y.map((e, j) => e - (approximate[j] ?? 0)));
          const residual = norm(b.map((e, d) => e - y.reduce((sum, yj, j) => sum + yj * (p[j]?.[d] ?? 0), 0)));
          const size = norm(b);
          const packed = words[v * factWords + 1] ?? 0;
          const claimed = isQuery
            ? { error: floats[v * 8 + 2] ?? 0, residual: floats[v * 8 + 3] ?? 0 }
            : {
                error: halfToFloat(packed & 0xffff) * certificate.unit,
                residual: halfToFloat(packed >>> 16) * certificate.unit,
              };
          // Half a percent for halves, the proven slacks (some 1e-5 of ‖b‖), and a half's smallest normal.
          const roomy = (value: number): number => value * 1.005 + size * 1e-4 + 2 ** -13 * certificate.unit;
          expect(claimed.error).toBeGreaterThanOrEqual(error);
          expect(claimed.error).toBeLessThanOrEqual(roomy(error));
          expect(claimed.residual).toBeGreaterThanOrEqual(m === undefined ? 0 : residual);
          expect(claimed.residual).toBeLessThanOrEqual(m === undefined ? 1e-4 * size : roomy(residual));
          if (isQuery) expect(floats[v * 8 + 1]).toBeGreaterThanOrEqual(norm(y));
          if (!isQuery && metric === "dot") expect(floats[v * factWords + 2]).toBeGreaterThanOrEqual(norm(approximate));
        });
      }
    },
  );

  const trueDistance = (metric: Product, a: Float64Array, b: Float64Array): number => {
    const product = a.reduce((sum, e, d) => sum + e * (b[d] ?? 0), 0);
    if (metric === "cosine") return 1 - product;
    return metric === "dot" ? -product : norm(a.map((e, d) => e - (b[d] ?? 0))) ** 2;
  };

  const scan = async (
    certificate: Certificate,
    rows: Encoded,
    queries: Encoded,
    gemm: Gemm | undefined,
  ): Promise<Uint32Array> => {
    const tile = gemm?.shape.tile;
    const draw = uniform(5);
    const words = Math.ceil(ROWS / 32);
    const bits = Uint32Array.from({ length: words }, () => draw() * 2 ** 32);
    const kernel = await bench.pipelines.get(gemm?.kernel ?? "scan_i8", {
      metric: certificate.metric,
      emit: "keys",
      facts: certificate.factWords,
      rounding: certificate.rounding,
      ...(gemm === undefined ? { qb: 4 } : gemm.shape),
    });
    const keys = bench.upload(new Uint32Array(QUERIES * ROWS).fill(0xbaadf00d));
    const groups =
      tile === undefined
        ? { x: 2, z: 3, width: 128 }
        : { x: Math.ceil(ROWS / tile.rows), z: Math.ceil(QUERIES / tile.queries), width: Math.ceil(ROWS / tile.rows) };
    expect(tile === undefined ? 64 : tileThreads(tile)).toBeLessThanOrEqual(128);
    bench.commands.dispatch({
      kernel,
      params: [ROWS, certificate.codeChunks, QUERIES, groups.width, 0, 1, 0, words, 0, ROWS, 0, 0, 0, 0],
      buffers: [
        rows.codes,
        rows.facts,
        queries.codes,
        bench.upload(new Uint32Array(QUERIES * QUERY_PARAM_WORDS)),
        bench.upload(bits),
        keys,
        bench.upload(new Uint32Array(4)),
        queries.facts,
      ],
      grid: { x: groups.x, y: 1 },
      z: groups.z,
    });
    const got = await bench.download(keys);
    for (let q = 0; q < QUERIES; q++) {
      for (let r = 0; r < ROWS; r++) {
        const isEligible = (((bits[r >> 5] ?? 0) >>> (r & 31)) & 1) === 1;
        expect(got[q * ROWS + r] === 0xffffffff).toBe(!isEligible);
      }
    }
    return got;
  };

  test.each(CASES)(
    "scan_i8, gemm_i8 and gemm_i8_matrix's plain twin, $precision rows under $metric, m = $m: lower ends are proven and alike, bit for bit",
    async ({ metric, m, precision }) => {
      const data = vectors(ROWS, metric, 3, 21);
      const certificate = certificateFor(metric, precision, m, data);
      const rows = await encode(certificate, precision, data, false);
      const queries = await encode(certificate, precision, vectors(QUERIES, metric, 3, 22), true);
      const keys = await scan(certificate, rows, queries, undefined);
      for (const gemm of GEMMS) expect(await scan(certificate, rows, queries, gemm)).toEqual(keys);
      let widest = 0;
      for (let q = 0; q < QUERIES; q++) {
        for (let r = 0; r < ROWS; r++) {
          const key = keys[q * ROWS + r] ?? 0;
          if (key === 0xffffffff) continue;
          const distance = trueDistance(
            metric,
            queries.wanted[q] ?? new Float64Array(D),
            rows.wanted[r] ?? new Float64Array(D),
          );
          expect(valueOf(key)).toBeLessThanOrEqual(distance);
          widest = Math.max(widest, distance - valueOf(key));
        }
      }
      // In full the interval is as wide as int8 rounding makes it, twice; a prefix adds its residuals.
      const spread = metric === "cosine" ? 1 : metric === "dot" ? 12 : 60;
      expect(widest).toBeLessThan(m === undefined ? 0.08 * spread : 2 * spread);
    },
  );

  /**
   * Pairs for which one term of the bound is all but an equality, so that a bound of half of it, or
   * of one ε where euclidean needs two, is found out. Query q goes with rows q, q + QUERIES, ….
   */
  const TIGHT = {
    "the row's rounding lies along the query": (sign: (d: number) => number, jitter: () => number) => ({
      query: (d: number) => sign(d),
      row: (d: number) => (d === 0 ? 127 * sign(0) : Math.round(jitter() * 100) + 0.49 * sign(d)),
    }),
    "the query's rounding lies along the row": (sign: (d: number) => number, jitter: () => number) => ({
      query: (d: number) => (d === 0 ? 127 * sign(0) : Math.round(jitter() * 100) + 0.49 * sign(d)),
      row: (d: number) => sign(d),
    }),
    "both leave the directions along one line": (sign: (d: number) => number) => ({
      query: (d: number) => (d < AXES ? sign(d) : 2 * sign(d)),
      row: (d: number) => (d < AXES ? sign(D - 1 - d) : 3 * sign(d)),
    }),
  } as const;
  const AXES = 16;

  const TIGHT_CASES = (["cosine", "dot", "euclidean"] as const).flatMap((metric) =>
    (Object.keys(TIGHT) as (keyof typeof TIGHT)[]).map((kind) => ({ metric, kind })),
  );
  test.each(TIGHT_CASES)("the bound is needed in full under $metric when $kind", async ({ metric, kind }) => {
    const draw = uniform(31);
    const signs = Array.from({ length: QUERIES }, () => Array.from({ length: D }, () => (draw() < 0.5 ? -1 : 1)));
    const isPrefix = kind === "both leave the directions along one line";
    const make = (count: number, which: "query" | "row"): Float32Array<ArrayBuffer> => {
      const out = new Float32Array(count * D);
      for (let v = 0; v < count; v++) {
        const sign = (d: number): number => signs[v % QUERIES]?.[d] ?? 1;
        const value = TIGHT[kind](sign, () => draw() * 2 - 1)[which];
        for (let d = 0; d < D; d++) out[v * D + d] = value(d);
      }
      return out;
    };
    const data = make(ROWS, "row");
    const maxNorm = Math.max(...Array.from({ length: ROWS }, (_, r) => norm(data.subarray(r * D, (r + 1) * D))));
    const source = { dimensions: D, stride: D, precision: "f32", metric, maxNorm } as unknown as RowSource;
    const transposed = new Float32Array(D * AXES);
    for (let d = 0; d < AXES; d++) transposed[d * AXES + d] = 1;
    const projection = isPrefix ? { directions: AXES, defect: 0, transposed } : undefined;
    const certificate = makeCertificate(bench.memory, source, metric, 0, projection, undefined);
    const rows = await encode(certificate, "f32", data, false);
    const queries = await encode(certificate, "f32", make(QUERIES, "query"), true);
    const keys = await scan(certificate, rows, queries, undefined);
    let looseness = 0;
    let checked = 0;
    for (let q = 0; q < QUERIES; q++) {
      for (let r = q; r < ROWS; r += QUERIES) {
        const key = keys[q * ROWS + r] ?? 0;
        const [a, b] = [queries.wanted[q], rows.wanted[r]];
        if (key === 0xffffffff || a === undefined || b === undefined) continue;
        const distance = trueDistance(metric, a, b);
        expect(valueOf(key)).toBeLessThanOrEqual(distance);
        // What the term in question comes to: the part of a·b that the codes do not have.
        const scaleOf = (v: Float64Array): number => Math.max(...v.map(Math.abs)) / 127;
        const coded = (v: Float64Array): Float64Array => v.map((e) => scaleOf(v) * Math.round(e / scaleOf(v)));
        const part = (v: Float64Array): Float64Array => (isPrefix ? v.map((e, d) => (d < AXES ? e : 0)) : v);
        const [ca, cb] = [coded(part(a)), coded(part(b))];
        const missing = a.reduce((sum, e, d) => sum + e * (b[d] ?? 0) - (ca[d] ?? 0) * (cb[d] ?? 0), 0);
        const epsilon = Math.abs(missing) * (metric === "euclidean" ? 2 : 1);
        looseness = Math.max(looseness, (distance - valueOf(key)) / epsilon);
        checked++;
      }
    }
    expect(checked).toBeGreaterThan(30);
    // A tenth of ε is left over: halves round up, norms carry their slacks, the other terms are not quite zero.
    expect(looseness).toBeLessThan(0.1);
  });
});
