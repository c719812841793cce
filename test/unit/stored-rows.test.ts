/** How vectors become stored rows (rule 4): the quantiser, packed bits, and what cannot be stored. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { packBits } from "../../src/core/bits.ts";
import { readRows } from "../../src/core/matrix.ts";
import type { Metric, Precision } from "../../src/core/metric.ts";
import { quantiseRow } from "../../src/core/quantiser.ts";
import { storedRow } from "../../src/core/reference.ts";
import { readValues, rowFormat, StoredRows, valueArray } from "../../src/core/stored-rows.ts";

const float = fc.float({ noNaN: true, noDefaultInfinity: true });

describe("the i8 quantiser", () => {
  test("rule 4: scales and codes are the oracle's, on any float32 values, at any offset", () => {
    fc.assert(
      fc.property(fc.array(float, { minLength: 1, maxLength: 40 }), fc.nat(9), fc.nat(9), (values, at, codesAt) => {
        const input = new Float32Array(values.length + at + 3).fill(3e38); // neighbours that must not count
        input.set(values, at);
        const codes = new Int8Array(values.length + codesAt + 3).fill(99);
        const scale = quantiseRow(input, at, values.length, codes, codesAt);
        const elements = Float64Array.from(values, (_, i) => scale * (codes[codesAt + i] ?? 0));
        const wanted = storedRow("i8", Float32Array.from(values));
        expect(elements).toEqual(wanted);
        expect(scale).toBe(Math.fround(Math.max(...values.map((x) => Math.abs(Math.fround(x)))) / 127));
        expect([...codes.subarray(0, codesAt), ...codes.subarray(codesAt + values.length)]).toEqual(
          Array.from({ length: codesAt + 3 }, () => 99),
        );
      }),
      { numRuns: 1000 },
    );
  });

  test("elements are within half a step of what was given, and the largest is at ±127", () => {
    fc.assert(
      fc.property(
        fc.array(fc.float({ min: -100, max: 100, noNaN: true }), { minLength: 1, maxLength: 40 }),
        (values) => {
          fc.pre(values.some((x) => Math.abs(x) > 2 ** -60));
          const codes = new Int8Array(values.length);
          const scale = quantiseRow(Float32Array.from(values), 0, values.length, codes, 0);
          // The scale itself is off by at most 2⁻²⁴ of itself, 127 of which are 2⁻¹⁷ of a step.
          values.forEach((x, i) =>
            expect(Math.abs(scale * (codes[i] ?? 0) - x)).toBeLessThanOrEqual(scale * (0.5 + 2 ** -16)),
          );
          expect(Math.max(...codes.map(Math.abs))).toBe(127);
        },
      ),
    );
  });

  test("halves of a step go to the even code", () => {
    const codes = new Int8Array(6);
    expect(quantiseRow(Float32Array.of(127, 0.5, 1.5, 2.5, -0.5, -1.5), 0, 6, codes, 0)).toBe(1);
    expect([...codes]).toEqual([127, 0, 2, 2, 0, -2]);
  });

  test("a zero row, and one whose scale rounds to zero, have scale 0 and codes 0", () => {
    const codes = new Int8Array(2).fill(5);
    expect(quantiseRow(new Float32Array(2), 0, 2, codes, 0)).toBe(0);
    expect([...codes]).toEqual([0, 0]);
    codes.fill(5);
    expect(quantiseRow(Float32Array.of(2 ** -149, -(2 ** -148)), 0, 2, codes, 0)).toBe(0);
    expect([...codes]).toEqual([0, 0]);
  });

  test("codes stay within ±127 where the scale is the smallest subnormal", () => {
    const codes = new Int8Array(2);
    expect(quantiseRow(Float32Array.of(180 * 2 ** -149, -180 * 2 ** -149), 0, 2, codes, 0)).toBe(2 ** -149);
    expect([...codes]).toEqual([127, -127]);
  });
});

test("bit i of a packed vector is bit i mod 8 of byte i / 8, set where x > 0, spare bits zero", () => {
  const bytes = new Uint8Array(4).fill(0xff);
  packBits(Float32Array.of(1, -1, 0, 1e-30, -0, 2, 3, 4, 5, -5, 6), 0, 11, bytes, 1);
  expect([...bytes]).toEqual([0xff, 0b11101001, 0b101, 0xff]);
});

test.each<[Precision, number, number, number]>([
  ["f32", 1, 4, 16],
  ["f32", 5, 8, 32],
  ["f16", 1, 8, 16],
  ["f16", 9, 16, 32],
  ["i8", 16, 16, 16],
  ["i8", 17, 32, 32],
  ["b1", 1, 4, 16],
  ["b1", 128, 4, 16],
  ["b1", 129, 8, 32],
])("%s rows of %i dimensions: queries of %i words, rows of %i bytes", (precision, d, stride, rowBytes) => {
  const format = rowFormat(precision, precision === "b1" ? "hamming" : "dot", d);
  expect([format.stride, format.rowBytes]).toEqual([stride, rowBytes]);
});

/** Stores one vector as row 1 of 3; what lies around it is poison. */
function store(
  precision: Precision,
  metric: Metric,
  values: readonly number[],
): { rows: StoredRows; bytes: Uint8Array; reason: string | undefined } {
  const format = rowFormat(precision, metric, values.length);
  const memory = new Uint8Array(3 * format.rowBytes);
  memory.fill(0xba, 0, format.rowBytes).fill(0xad, 2 * format.rowBytes);
  const rows = new StoredRows(format, memory);
  const reason = rows.write(1, readRows(values, values.length, precision), 0);
  expect(memory.subarray(0, format.rowBytes).every((byte) => byte === 0xba)).toBe(true);
  expect(memory.subarray(2 * format.rowBytes).every((byte) => byte === 0xad)).toBe(true);
  return { rows, bytes: memory.subarray(format.rowBytes, 2 * format.rowBytes), reason };
}

describe.each(["f32", "f16", "i8", "b1"] as const)("a row of %s", (precision) => {
  const metric = precision === "b1" ? "hamming" : "dot";

  test("reads back as the oracle's elements, rounded to float32, with their norm", () => {
    const values = fc.array(fc.float({ min: -60_000, max: 60_000, noNaN: true }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(values, (list) => {
        const { rows, bytes, reason } = store(precision, metric, list);
        expect(reason).toBeUndefined();
        const elements = storedRow(precision, Float32Array.from(list));
        const format = rowFormat(precision, metric, list.length);
        const got = valueArray(format, 1);
        readValues(format, bytes, rows.scale, got, 0);
        if (precision === "b1") {
          expect(list.map((_, i) => ((got[i >> 3] ?? 0) >> (i & 7)) & 1)).toEqual([...elements]);
          expect(rows.norm).toBe(elements.reduce((a, b) => a + b, 0));
        } else {
          expect([...got]).toEqual([...elements].map(Math.fround));
          // Sums of squares in another order: d + 2 roundings of 2⁻⁵³ at most.
          const norm = Math.sqrt(elements.reduce((sum, x) => sum + x * x, 0));
          expect(Math.abs(rows.norm - norm)).toBeLessThanOrEqual(norm * 42 * 2 ** -53);
        }
        expect(rows.normOf(1, rows.scale)).toBe(rows.norm);
      }),
    );
  });

  test.each([Number.NaN, Infinity, -Infinity, 1e39])("with %d is refused", (bad) => {
    expect(store(precision, metric, [1, bad, 2]).reason).toMatch(/NaN or infinite/);
  });
});

test("rule 4: f16 refuses what rounds beyond ±65504, and nothing else", () => {
  for (const x of [65504, -65504, 65519]) expect(store("f16", "dot", [x]).reason).toBeUndefined();
  for (const x of [65520, -65520, 1e38]) expect(store("f16", "dot", [0, x]).reason).toMatch(/65504/);
});

test("rows that are zero after rounding have no direction for cosine, and are zero for the others", () => {
  expect(store("f16", "cosine", [1e-10, -1e-10]).reason).toMatch(/zero after rounding to f16/);
  expect(store("i8", "cosine", [1e-45, 0]).reason).toMatch(/zero after rounding to i8/);
  expect(store("f16", "cosine", [0, 0]).reason).toMatch(/a zero vector/);
  expect(store("f16", "dot", [1e-10, -1e-10])).toMatchObject({ reason: undefined, rows: { norm: 0 } });
  expect(store("i8", "euclidean", [1e-45, 0])).toMatchObject({ reason: undefined, rows: { norm: 0, scale: 0 } });
});

test("a row at the end of the float32 range reads back finite from i8, though its scale was rounded up", () => {
  const most = 3.4028234663852886e38;
  const { rows, bytes, reason } = store("i8", "dot", [most, -most]);
  expect(reason).toBeUndefined();
  expect(rows.scale * 127).toBeGreaterThan(most);
  const format = rowFormat("i8", "dot", 2);
  const got = valueArray(format, 1);
  readValues(format, bytes, rows.scale, got, 0);
  expect([...got]).toEqual([most, -most]);
});
