/** The builds of the CPU kernels, and their canonical distances: WASM and plain JS against the oracle. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalDistance } from "../../src/core/canonical.ts";
import { readRows } from "../../src/core/matrix.ts";
import { FLOAT_METRICS, type FloatMetric, type Metric, type Precision } from "../../src/core/metric.ts";
import { referenceDistance, storedRow } from "../../src/core/reference.ts";
import { rowFormat, StoredRows } from "../../src/core/stored-rows.ts";
import { inlinedKernels } from "../../src/cpu/kernel-bytes.ts";
import { kernelLevel } from "../../src/cpu/kernel-level.ts";
import { bindKernels, compileKernels } from "../../src/cpu/kernels.ts";
import { ownMemory, sharedMemory } from "../../src/cpu/memory.ts";
import { normal, uniform } from "../contract/random.ts";
import { KERNEL_MODULES } from "./kernel-levels.ts";

const modules = KERNEL_MODULES["relaxed-simd"];
const simdModules = KERNEL_MODULES.simd128;

test("every build compiles for both kinds of memory, and the level says what runs", async () => {
  const bytes = await inlinedKernels();
  for (const kernels of [modules.owned, modules.shared, simdModules.owned, simdModules.shared]) {
    expect(kernels?.simd).toBeInstanceOf(WebAssembly.Module);
  }
  expect(modules.owned?.relaxed).toBeInstanceOf(WebAssembly.Module);
  expect(modules.shared?.relaxed).toBeInstanceOf(WebAssembly.Module); // so it was proven
  expect([simdModules.owned?.relaxed, simdModules.shared?.relaxed]).toEqual([undefined, undefined]);
  expect(kernelLevel(bytes)).toBe("relaxed-simd");
  expect(kernelLevel({ simd: bytes.simd })).toBe("simd128");
  const damaged = { simd: bytes.simd.slice(0, -1), relaxed: bytes.relaxed ?? bytes.simd };
  expect(kernelLevel(damaged)).toBe("none");
  expect(await compileKernels(damaged)).toMatchObject({ modules: {}, problem: expect.anything() });
  // A relaxed build that the runtime does not take leaves the other.
  const old = { simd: bytes.simd, relaxed: damaged.simd };
  expect(kernelLevel(old)).toBe("simd128");
  expect((await compileKernels(old)).modules.owned?.relaxed).toBeUndefined();
});

test("no canonical distance is in the relaxed build", () => {
  const relaxed = modules.owned?.relaxed;
  const names = relaxed === undefined ? [] : WebAssembly.Module.exports(relaxed).map(({ name }) => name);
  expect(names).toContain("scan_f32");
  expect(names.filter((name) => /^distance_|_f64$/.test(name))).toEqual([]);
});

const float = fc.float({ noNaN: true, noDefaultInfinity: true });
const pair = fc
  .integer({ min: 1, max: 21 })
  .chain((d) =>
    fc.tuple(fc.array(float, { minLength: d, maxLength: d }), fc.array(float, { minLength: d, maxLength: d })),
  );

/** The format of f32 rows of `d` elements. */
const f32 = (metric: FloatMetric, d: number): ReturnType<typeof rowFormat> => rowFormat("f32", metric, d);
const rowStride = (d: number): number => f32("dot", d).stride;

function padded(values: readonly number[]): Float32Array {
  const out = new Float32Array(rowStride(values.length));
  out.set(values);
  return out;
}

describe.each(FLOAT_METRICS)("the canonical %s distance", (metric) => {
  test("rule 2: plain JS, WASM and the oracle agree bit for bit, on any float32 values", () => {
    const memory = ownMemory(65_536);
    fc.assert(
      fc.property(pair, ([a, b]) => {
        fc.pre(metric !== "cosine" || (a.some((x) => x !== 0) && b.some((x) => x !== 0)));
        const [x, y] = [padded(a), padded(b)];
        const expected = referenceDistance(metric, x.subarray(0, a.length), y.subarray(0, b.length));
        expect(canonicalDistance(metric, x, 0, y, 0, x.length)).toBe(expected);
        new Float32Array(memory.buffer).set(x, 0);
        new Float32Array(memory.buffer).set(y, 256);
        const kernels = bindKernels(modules, memory, f32(metric, x.length));
        expect(kernels.level).toBe("relaxed-simd");
        expect(kernels.distance(0, 1024, 0, 4096)).toBe(expected);
        kernels.distances(0, 1024, 0, 1, 4096);
        expect(new Float32Array(memory.buffer)[1024]).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });
});

test.each([
  // (s0 + s1) + (s2 + s3): 1e16 swallows the 1 beside it.
  ["accumulators are added in pairs", [1e8, 0, 1e8, 1], [-1e8, 0, 1e8, 1], 0],
  // Elements 0 and 4 share an accumulator: 1e16 + 1 − 1e16 is 0 there, and 1 in any other order.
  [
    "element i goes to accumulator i mod 4",
    [1e8, 0, 0, 0, 1, 0, 0, 0, 1e8, 0, 0, 0],
    [1e8, 0, 0, 0, 1, 0, 0, 0, -1e8, 0, 0, 0],
    0,
  ],
  [
    "elements of different accumulators do not swallow each other",
    [1e8, 1, 0, 0, 1e8, 0, 0, 0],
    [1e8, 1, 0, 0, -1e8, 0, 0, 0],
    -1,
  ],
] as const)("rule 2: %s, in plain JS, WASM and the oracle", (_, a, b, expected) => {
  const [x, y] = [padded(a), padded(b)];
  expect(referenceDistance("dot", x, y)).toBe(expected);
  expect(canonicalDistance("dot", x, 0, y, 0, x.length)).toBe(expected);
  const memory = ownMemory(65_536);
  new Float32Array(memory.buffer).set(x, 0);
  new Float32Array(memory.buffer).set(y, 256);
  expect(bindKernels(modules, memory, f32("dot", x.length)).distance(0, 1024, 0, 4096)).toBe(expected);
});

test("distances beyond float32 are clamped, and −0 is +0", () => {
  const huge = padded([3e38, 3e38, 3e38, 3e38]);
  const opposite = huge.map((x) => -x);
  expect(canonicalDistance("dot", huge, 0, huge, 0, 4)).toBe(-3.4028234663852886e38);
  expect(canonicalDistance("dot", huge, 0, opposite, 0, 4)).toBe(3.4028234663852886e38);
  expect(canonicalDistance("euclidean", huge, 0, opposite, 0, 4)).toBe(3.4028234663852886e38);
  const tiny = padded([1e-30, 0, 0, 0]);
  expect(Object.is(canonicalDistance("dot", tiny, 0, tiny, 0, 4), 0)).toBe(true);
});

const KINDS: readonly (readonly [Precision, Metric])[] = [
  ...(["f16", "i8"] as const).flatMap((precision) => FLOAT_METRICS.map((metric) => [precision, metric] as const)),
  ["b1", "hamming"],
  ["b1", "jaccard"],
];

describe.each(KINDS)("distance_%s under %s", (precision, metric) => {
  const AT = { query: 0, rows: 300_000, scales: 800_000, out: 820_000 };
  const ROWS = 5;
  // Both sides of each chunk: 8 halves, 16 codes, 128 bits.
  const DIMENSIONS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 100, 127, 128, 129, 315, 628, 2179, 65_535];

  test.each(DIMENSIONS)(
    "rule 2: %i dimensions: plain JS, WASM on both memories, and the oracle agree bit for bit",
    (d) => {
      const gauss = normal(d);
      const draw = uniform(d);
      // Magnitudes from f16's subnormals to its largest numbers.
      const vectors = Array.from({ length: ROWS + 1 }, (_, i) =>
        Float32Array.from({ length: d }, () => gauss() * 10 ** (i - 4 + Math.floor(draw() * 3))),
      );
      vectors[1]?.fill(-1); // no bit set
      const query = vectors[ROWS] ?? new Float32Array(d);
      const format = rowFormat(precision, metric, d);
      for (const level of ["wasm", "shared wasm", "js"] as const) {
        const memory = level === "shared wasm" ? sharedMemory(1 << 20, 1 << 20) : ownMemory(1 << 20);
        const kernels = bindKernels(level === "js" ? {} : modules, memory, format);
        expect(kernels.level).toBe(level === "js" ? "none" : "relaxed-simd");
        const count = Math.min(ROWS, Math.floor((AT.scales - AT.rows) / format.rowBytes));
        const rows = new StoredRows(format, new Uint8Array(memory.buffer, AT.rows, count * format.rowBytes));
        const floats = new Float32Array(memory.buffer);
        for (let r = 0; r < count; r++) {
          expect(rows.write(r, readRows(vectors[r] ?? query, d, precision), 0)).toBeUndefined();
          floats[AT.scales / 4 + r] = rows.scale;
        }
        if (precision === "b1") {
          const bits = new StoredRows(format, new Uint8Array(memory.buffer, AT.query, format.rowBytes));
          bits.write(0, readRows(query, d, precision), 0);
        } else {
          floats.set(query, AT.query / 4);
        }
        floats.fill(Number.NaN, AT.out / 4, AT.out / 4 + count + 2);
        kernels.distances(AT.query, AT.rows, AT.scales, count, AT.out);
        const asGiven = precision === "b1" ? storedRow("b1", query) : query;
        for (let r = 0; r < count; r++) {
          const wanted = referenceDistance(metric, asGiven, storedRow(precision, vectors[r] ?? query));
          expect(floats[AT.out / 4 + r]).toBe(wanted);
          const at = AT.rows + r * format.rowBytes;
          expect(kernels.distance(AT.query, at, AT.scales + r * 4, AT.out + 4 * (count + 1))).toBe(wanted);
        }
        expect(floats[AT.out / 4 + count]).toBeNaN(); // nothing beyond the rows is written
      }
    },
  );
});

test("rule 2: distance_f16 decodes every finite half as the oracle's arithmetic does, in WASM and plain JS", () => {
  const format = rowFormat("f16", "dot", 8);
  for (const set of [modules, {}]) {
    const memory = ownMemory(65_536);
    const kernels = bindKernels(set, memory, format);
    const floats = new Float32Array(memory.buffer);
    const halves = new Uint16Array(memory.buffer, 1024, 8);
    for (let h = 0; h < 0x10000; h++) {
      if ((h & 0x7c00) === 0x7c00) continue; // infinities and NaN are never stored
      const lane = h % 8;
      floats.fill(0, 0, 8);
      floats[lane] = -1;
      halves.fill(0x3c00); // 1, which the query's zeros make disappear
      halves[lane] = h;
      const exponent = (h >> 10) & 31;
      const magnitude = exponent === 0 ? (h & 0x3ff) * 2 ** -24 : (1 + (h & 0x3ff) / 1024) * 2 ** (exponent - 15);
      const wanted = magnitude === 0 ? 0 : h >= 0x8000 ? -magnitude : magnitude;
      if (kernels.distance(0, 1024, 0, 2048) !== wanted)
        expect([h, kernels.distance(0, 1024, 0, 2048)]).toEqual([h, wanted]);
    }
  }
});
