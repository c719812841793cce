/** Codes and facts of rows and queries: against exact arithmetic, and the kernel against its twin, bit for bit. */
import { beforeAll, describe, expect, test } from "vitest";
import { learnBasis, type ProductMetric } from "../../src/core/basis.ts";
import { certifiedInterval, scanBound } from "../../src/core/certificate.ts";
import { type Encoding, type EncodingScalars, prefixProjection } from "../../src/core/encoding.ts";
import { identityProjection } from "../../src/core/projection.ts";
import { readRows } from "../../src/core/matrix.ts";
import { roundUpF32 } from "../../src/core/rounding.ts";
import { runToEnd } from "../../src/core/slices.ts";
import { readValues, type RowFormat, rowFormat, StoredRows } from "../../src/core/stored-rows.ts";
import { inlinedKernels } from "../../src/cpu/kernel-bytes.ts";
import { type CodeBasis, type CodeTarget, Encoder } from "../../src/cpu/encoder.ts";
import { codeStride } from "../../src/cpu/layout.ts";
import { normal } from "../contract/random.ts";
import { absolute, atMost, type Exact, exact, inner, minus, norm, over, times } from "./exact.ts";

const METRICS: readonly ProductMetric[] = ["cosine", "dot", "euclidean"];
const PRECISIONS = ["f32", "f16", "i8"] as const;
type CodedPrecision = (typeof PRECISIONS)[number];

let module: WebAssembly.Module;
beforeAll(async () => {
  module = await WebAssembly.compile((await inlinedKernels()).simd);
});

/** Element i of a row, by kind; every kind that once looked dangerous. */
const KINDS: Record<string, (g: () => number, i: number) => number> = {
  random: (g) => g(),
  decaying: (g, i) => g() / (i + 1) ** 2,
  steep: (g, i) => g() * 2 ** -i,
  offset: (g) => 300 + g(),
  // x / scale ends in ½: codes hang on the last bit.
  ties: (g, i) => (i === 0 ? 127 : Math.floor(g() * 40) + 0.5),
  sparse: (g, i) => (i % 5 === 2 ? g() : 0),
  "one element": (_, i) => (i === 0 ? 3 : 0),
  constant: () => -0.7,
  // Scales below 2⁻⁶⁰ are 0; halves end at 2⁻²⁴.
  small: (g) => g() * 2 ** -22,
  tiny: (g) => g() * 1e-30,
  denormal: (g) => g() * 1e-42,
  large: (g) => g() * 1e4,
  huge: (g) => g() * 1e30,
  largest: (_, i) => (i % 2 === 0 ? 3.4e38 : -3.4e38),
  zero: () => 0,
};

interface Rows {
  readonly format: RowFormat;
  readonly metric: ProductMetric;
  /** [count × rowBytes]. */
  readonly bytes: Uint8Array;
  readonly scales: Float32Array;
  readonly count: number;
  /** As stored, exactly: [count][dimensions]. */
  readonly exact: readonly (readonly Exact[])[];
  /** As stored; of i8 rounded to float32. */
  readonly values: Float32Array;
}

/** Rows of every kind that can be stored, twice each if there is room. */
function storedRows(precision: CodedPrecision, metric: ProductMetric, d: number, kinds = Object.keys(KINDS)): Rows {
  const format = rowFormat(precision, metric, d);
  const bytes = new Uint8Array(2 * kinds.length * format.rowBytes);
  const scales = new Float32Array(2 * kinds.length);
  const stored = new StoredRows(format, bytes);
  let count = 0;
  for (const copy of [0, 1]) {
    for (const [k, kind] of kinds.entries()) {
      const draw = normal(1000 * d + k + copy);
      const vector = Float32Array.from({ length: d }, (_, i) => KINDS[kind]?.(draw, i) ?? 0);
      if (stored.write(count, readRows(vector, d, precision), 0) !== undefined) continue;
      scales[count++] = stored.scale;
    }
  }
  bytes.fill(0, count * format.rowBytes); // a rejected row is garbage
  const values = new Float32Array(count * d);
  const exactly = Array.from({ length: count }, (_, row) => {
    const own = bytes.subarray(row * format.rowBytes, (row + 1) * format.rowBytes);
    readValues(format, own, scales[row] ?? 0, values, row);
    if (precision !== "i8") return Array.from(values.subarray(row * d, (row + 1) * d), exact);
    return Array.from(new Int8Array(own.buffer, own.byteOffset, d), (code) => exact((scales[row] ?? 0) * code));
  });
  return { format, metric, bytes, scales, count, exact: exactly, values };
}

let ids = 0;

/** P of `m` directions learnt from Gaussian rows, which fit nothing; m = d: no projection. The mean is that of the first rows. */
function basisOf(metric: ProductMetric, d: number, m: number, rows: Rows): CodeBasis {
  const mean = Float32Array.from({ length: d }, (_, i) => ((rows.values[i] ?? 0) + (rows.values[d + i] ?? 0)) / 2);
  const isCentred = metric === "euclidean" && rows.format.precision !== "i8";
  ids++;
  if (m === d) return { id: ids, ...identityProjection(d, isCentred ? mean : undefined) };
  const draw = normal(d);
  const sample = Float32Array.from({ length: (d + 3) * d }, () => draw());
  const basis = runToEnd(learnBasis({ metric: "dot", dimensions: d, sample, count: d + 3, directions: m }));
  return { id: ids, ...prefixProjection(isCentred ? { ...basis, mean } : basis, m) };
}

/** Poisoned, with a row more than is asked for. */
function targetFor(basis: CodeBasis, count: number, hasCodes: boolean): CodeTarget {
  const facts = (): Float32Array => new Float32Array(count + 1).fill(Number.NaN);
  return {
    codes: new Int8Array(hasCodes ? (count + 1) * codeStride(basis.length) : 0).fill(0x55),
    scales: facts(),
    errors: facts(),
    residuals: facts(),
    norms: facts(),
    codeSums: new Int32Array(count + 1).fill(0x0badf00d),
  };
}

function encoded(encoder: Encoder, basis: CodeBasis, rows: Rows): CodeTarget {
  const target = targetFor(basis, rows.count, rows.format.precision !== "i8");
  encoder.encodeRows(basis, rows.bytes, rows.scales, rows.count, target);
  return target;
}

/** b, P·b and b − Pᵀ·P·b, exactly. */
function truth(metric: ProductMetric, basis: CodeBasis, x: readonly Exact[]): { b: Exact[]; y: Exact[]; r: Exact[] } {
  const { dimensions: d, length: m, vectors, mean } = basis;
  const centre = metric === "euclidean" && mean !== undefined ? Array.from(mean, exact) : [];
  // Scaled up first: lengths near 1e-42 have few digits at 2⁻⁹⁰⁰ otherwise.
  const centred = minus([...x], centre).map((v) => (metric === "cosine" ? v << 200n : v));
  const length = metric === "cosine" ? norm(centred) : 0n;
  const b = metric === "cosine" ? centred.map((v) => over(v, length)) : centred;
  if (vectors === undefined) return { b, y: b, r: b.map(() => 0n) };
  const directions = Array.from({ length: m }, (_, k) => Array.from(vectors.subarray(k * d, (k + 1) * d), exact));
  const y = directions.map((direction) => inner(direction, b));
  const r = b.map((v, i) => v - directions.reduce((sum, p, k) => sum + times(p[i] ?? 0n, y[k] ?? 0n), 0n));
  return { b, y, r };
}

function codesOf(rows: Rows, basis: CodeBasis, target: CodeTarget, row: number): Int8Array {
  const { precision, rowBytes } = rows.format;
  if (precision === "i8") return new Int8Array(rows.bytes.buffer, row * rowBytes, basis.length);
  return target.codes.subarray(row * codeStride(basis.length), row * codeStride(basis.length) + basis.length);
}

/** What is false of a row's facts; `part`: of the facts, to see that they are needed in full. */
function violations(rows: Rows, basis: CodeBasis, target: CodeTarget, row: number, part = 1): string[] {
  const { b, y, r } = truth(rows.metric, basis, rows.exact[row] ?? []);
  const scale = target.scales[row] ?? Number.NaN;
  const codes = Array.from(codesOf(rows, basis, target, row));
  const error = norm(
    minus(
      y,
      codes.map((code) => exact(scale) * BigInt(code)),
    ),
  );
  const holds = (name: string, is: Exact, claimed: number): string[] => {
    if (claimed === Infinity) return [];
    // Bounds are 0 or normal, and hardly more than the truth.
    const isTight = atMost(exact(claimed * (1 - 2 ** -22)), is + exact(2 ** -126) + times(norm(b), exact(2 ** -36)));
    return atMost(is, exact(claimed * part)) ? (isTight ? [] : [`${name} is loose`]) : [name];
  };
  const wrong = [
    ...holds("error", error, target.errors[row] ?? -1),
    ...holds("residual", norm(r), target.residuals[row] ?? -1),
    ...holds("norm", norm(b), target.norms[row] ?? -1),
  ];
  const n = target.norms[row] ?? 0;
  const off = absolute(exact(Math.min(Math.fround(n * n), 3e38)) - inner(b, b));
  if (n < 1e19 && !atMost(off, times(inner(b, b), exact(4 * 2 ** -23)) + exact(2 ** -125))) wrong.push("norm²");
  if (scale !== 0 && !(scale >= 2 ** -60 && Number.isFinite(scale))) wrong.push("scale");
  if (target.codeSums[row] !== codes.reduce((sum, code) => sum + code, 0)) wrong.push("sum");
  return wrong;
}

/** Prefixes of d dimensions, whole and tails of every group of four and chunk of sixteen. */
function prefixes(precision: CodedPrecision, d: number): number[] {
  return precision === "i8" || d === 1 ? [d] : [d, 1 + ((d * 7) % (d - 1))];
}

const DIMENSIONS = [...Array.from({ length: 70 }, (_, i) => i + 1), 384];

describe.each(METRICS)("%s", (metric) => {
  describe.each(PRECISIONS)("%s rows", (precision) => {
    test("have facts that are upper bounds, and hardly more, in the kernel as in its twin", () => {
      for (const d of DIMENSIONS) {
        const rows = storedRows(precision, metric, d, d === 384 ? ["random", "decaying", "ties"] : undefined);
        const format = rows.format;
        const [wasm, plain] = [new Encoder(module, format, metric), new Encoder(undefined, format, metric)];
        for (const m of prefixes(precision, d)) {
          const basis = basisOf(metric, d, m, rows);
          const [target, twin] = [encoded(wasm, basis, rows), encoded(plain, basis, rows)];
          expect(target, `${d}/${m}`).toEqual(twin);
          for (let row = d % 5; row < rows.count; row += d === 384 ? 3 : 5) {
            expect(violations(rows, basis, target, row), `${d}/${m} row ${row}`).toEqual([]);
          }
          // Padding is zero, and nothing beyond the rows is written.
          const width = codeStride(basis.length);
          for (let row = 0; row < (target.codes.length / width || 1) - 1; row++) {
            expect(target.codes.subarray(row * width + m, (row + 1) * width).every((code) => code === 0)).toBe(true);
          }
          expect(target.codes.subarray(rows.count * width).every((code) => code === 0x55)).toBe(true);
          for (const facts of [target.scales, target.errors, target.residuals, target.norms]) {
            expect(facts[rows.count]).toBeNaN();
            expect(facts.subarray(0, rows.count).some(Number.isNaN)).toBe(false);
          }
          expect(target.codeSums[rows.count]).toBe(0x0badf00d);
        }
      }
    });

    test("are certified to lie where they are", () => {
      const kinds = ["random", "decaying", "offset", "ties", "sparse", "one element", "constant", "small", "large"];
      for (const d of [1, 2, 3, 5, 16, 21, 48]) {
        const rows = storedRows(precision, metric, d, kinds);
        const wasm = new Encoder(module, rows.format, metric);
        for (const m of prefixes(precision, d)) {
          const basis = basisOf(metric, d, m, rows);
          const target = encoded(wasm, basis, rows);
          for (const [q, levels, factor] of [
            [0, 127, 1],
            [3, 63, metric === "dot" ? 2 ** -6 : 1],
            [5, 63, 1],
          ] as const) {
            const query = new Float32Array(rows.format.stride);
            query.set(rows.values.subarray(q * d, (q + 1) * d));
            const codes = new Int8Array(codeStride(basis.length));
            const scalars = wasm.encodeQuery(basis, query, factor, levels, codes, 0);
            const bound = scanBound({
              metric,
              dimensions: d,
              query: scalars,
              defect: basis.defect,
              norm2Error: 4 * 2 ** -23,
            });
            const a = truth(metric, basis, Array.from(query.subarray(0, d), exact)).b;
            for (let row = 0; row < rows.count; row++) {
              const { b } = truth(metric, basis, rows.exact[row] ?? []);
              const between = minus(a, b);
              const product = times(inner(a, b), exact(factor));
              const distance =
                metric === "euclidean" ? inner(between, between) : (metric === "cosine" ? exact(1) : 0n) - product;
              const { low, high } = certifiedInterval(
                metric,
                { codes, ...scalars },
                rowEncoding(rows, basis, target, row),
                bound,
              );
              expect(atMost(exact(low), distance), `${d}/${m} ${q} ${row} low`).toBe(true);
              expect(atMost(distance, exact(high)), `${d}/${m} ${q} ${row} high`).toBe(true);
            }
          }
        }
      }
    });
  });

  test("queries are encoded alike by kernel and twin, with codes of at most the levels asked for", () => {
    for (const d of [1, 4, 7, 16, 33, 70]) {
      const rows = storedRows("f32", metric, d);
      const format = rowFormat("f16", metric, d); // queries are floats whatever the rows are
      const [wasm, plain] = [new Encoder(module, format, metric), new Encoder(undefined, format, metric)];
      for (const m of prefixes("f32", d)) {
        const basis = basisOf(metric, d, m, rows);
        const width = codeStride(basis.length);
        for (let row = 0; row < rows.count; row++) {
          const query = new Float32Array(format.stride);
          query.set(rows.values.subarray(row * d, (row + 1) * d));
          for (const levels of [127, 63] as const) {
            const factor = metric === "dot" ? 2 ** -5 : 1;
            const [codes, twin] = [new Int8Array(width + 32).fill(99), new Int8Array(width + 32).fill(99)];
            const scalars = wasm.encodeQuery(basis, query, factor, levels, codes, 16);
            expect(scalars).toEqual(plain.encodeQuery(basis, query, factor, levels, twin, 16));
            expect(codes).toEqual(twin);
            expect([...codes.subarray(0, 16), ...codes.subarray(16 + width)].every((code) => code === 99)).toBe(true);
            const own = codes.subarray(16, 16 + width);
            expect(Math.max(...own.map(Math.abs))).toBe(scalars.scale === 0 ? 0 : levels);
            expect(queryViolations(metric, basis, query, factor, own, scalars), `${d}/${m} ${row}`).toEqual([]);
          }
        }
      }
    }
  });
});

function rowEncoding(rows: Rows, basis: CodeBasis, target: CodeTarget, row: number): Encoding {
  const codes = codesOf(rows, basis, target, row);
  const scale = target.scales[row] ?? 0;
  const n = target.norms[row] ?? 0;
  return {
    codes,
    scale,
    errorNorm: target.errors[row] ?? 0,
    codeNorm: roundUpF32(scale * Math.hypot(...codes) * (1 + 2 ** -40)),
    residualNorm: target.residuals[row] ?? 0,
    projectedNorm: 0,
    norm: n,
    norm2: Math.fround(n * n),
  };
}

function queryViolations(
  metric: ProductMetric,
  basis: CodeBasis,
  query: Float32Array,
  factor: number,
  codes: Int8Array,
  q: EncodingScalars,
): string[] {
  const given = Array.from(query.subarray(0, basis.dimensions), exact);
  const scaled = (v: Exact): Exact => times(v, exact(factor));
  const { b, y, r } = truth(metric, basis, given);
  const coded = Array.from(codes.subarray(0, basis.length), (code) => exact(q.scale) * BigInt(code));
  const claims: [string, Exact, number][] = [
    ["error", norm(minus(y.map(scaled), coded)), q.errorNorm],
    ["code", norm(coded), q.codeNorm],
    ["residual", scaled(norm(r)), q.residualNorm],
    ["projected", scaled(norm(y)), q.projectedNorm],
    ["norm", scaled(norm(b)), q.norm],
  ];
  return claims.filter(([, is, claimed]) => claimed < Infinity && !atMost(is, exact(claimed))).map(([name]) => name);
}

describe("facts", () => {
  test("are needed: half of E or R is violated", () => {
    const d = 24;
    const rows = storedRows("f32", "dot", d, ["random", "decaying"]);
    const basis = basisOf("dot", d, 9, rows);
    const target = encoded(new Encoder(module, rows.format, "dot"), basis, rows);
    for (let row = 0; row < rows.count; row++) {
      expect(violations(rows, basis, target, row, 0.5)).toEqual(["error", "residual", "norm"]);
    }
  });

  test("of i8 rows under cosine cover the rounding of 1/‖codes‖", () => {
    const rows = storedRows("i8", "cosine", 40);
    const basis = basisOf("cosine", 40, 40, rows);
    const target = encoded(new Encoder(undefined, rows.format, "cosine"), basis, rows);
    expect(Math.max(...target.errors.subarray(0, rows.count))).toBeLessThan(2 ** -23);
    expect(violations(rows, basis, target, 0, 0.1)).toEqual(["error", "norm"]);
  });

  test("beyond float32 are infinite, and codes and scale 0", () => {
    const d = 4200;
    const basis: CodeBasis = {
      ...identityProjection(d),
      id: 1,
      length: 1,
      vectors: new Float32Array(d).fill(d ** -0.5),
      defect: 1e-6,
    };
    const query = new Float32Array(d).fill(3.4e38); // y = √d·3.4e38, 63 of which exceeds float32
    for (const kernels of [module, undefined]) {
      const codes = new Int8Array(16).fill(1);
      const encoder = new Encoder(kernels, rowFormat("f32", "dot", d), "dot");
      const { scale, errorNorm, codeNorm } = encoder.encodeQuery(basis, query, 1, 63, codes, 0);
      expect({ scale, errorNorm, codeNorm }).toEqual({ scale: 0, errorNorm: Infinity, codeNorm: 0 });
      expect([...codes]).toEqual(Array.from({ length: 16 }, () => 0));
    }
  });

  test("of rows that span many pieces are those of each row alone, also after another basis", () => {
    const d = 300;
    const count = 130; // pieces of 52 rows, the last of 26: groups of four and two more
    const draw = normal(5);
    const format = rowFormat("f32", "euclidean", d);
    const values = Float32Array.from({ length: count * d }, () => draw());
    const bytes = new Uint8Array(values.buffer);
    const rows: Rows = {
      format,
      metric: "euclidean",
      bytes,
      scales: new Float32Array(0),
      count,
      exact: [],
      values,
    };
    const wasm = new Encoder(module, format, "euclidean");
    for (const m of [20, 300, 7]) {
      const basis = basisOf("euclidean", d, m, rows);
      const all = encoded(wasm, basis, rows);
      const width = codeStride(basis.length);
      for (let row = 0; row < count; row++) {
        const one = targetFor(basis, 1, true);
        wasm.encodeRows(basis, bytes.subarray(row * 1200, (row + 1) * 1200), rows.scales, 1, one);
        expect(one.codes.subarray(0, width)).toEqual(all.codes.subarray(row * width, (row + 1) * width));
        expect(one.errors[0]).toBe(all.errors[row]);
        expect(one.residuals[0]).toBe(all.residuals[row]);
      }
    }
  });
});
