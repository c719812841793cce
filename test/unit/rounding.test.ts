/** Upward rounding, at every half and around float32's edges; the quantiser that shares its file's purpose. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { quantiseRow } from "../../src/core/quantiser.ts";
import { packedHalf, roundUpF16, roundUpF32 } from "../../src/core/rounding.ts";

/** The value of a finite non-negative half. */
function half(bits: number): number {
  const exponent = bits >> 10;
  const fraction = bits & 1023;
  return exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
}

describe("roundUpF16", () => {
  test("gives each finite half itself, and the next one for anything above it", () => {
    for (let bits = 0; bits < 0x7c00; bits++) {
      const value = half(bits);
      const next = bits === 0x7bff ? 65_520 : half(bits + 1);
      const above = value === 0 ? Number.MIN_VALUE : value * (1 + Number.EPSILON);
      const below = next * (1 - Number.EPSILON);
      const found = [value, above, (value + next) / 2, below].map(roundUpF16);
      if (found[0] !== bits || found.slice(1).some((f) => f !== bits + 1)) expect({ bits, found }).toBe("rounded up");
    }
  });

  test("is infinity above the largest half", () => {
    expect(roundUpF16(65_504)).toBe(0x7bff);
    expect(roundUpF16(65_504.000001)).toBe(0x7c00);
    expect(roundUpF16(1e300)).toBe(0x7c00);
    expect(roundUpF16(Infinity)).toBe(0x7c00);
  });

  test("packedHalf has no subnormals, which a shader may flush", () => {
    expect(packedHalf(0)).toBe(0);
    expect(half(packedHalf(1e-20))).toBe(2 ** -14);
    expect(half(packedHalf(2 ** -14))).toBe(2 ** -14);
    expect(packedHalf(0.3)).toBe(roundUpF16(0.3));
  });
});

describe("roundUpF32", () => {
  test("is the smallest float32 that is not below, and never subnormal", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 3.4e38, noNaN: true }), (value) => {
        const up = roundUpF32(value);
        expect(Math.fround(up)).toBe(up);
        expect(up).toBeGreaterThanOrEqual(value);
        if (value >= 2 ** -126) expect(up).toBeLessThanOrEqual(value * (1 + 2 ** -23));
        expect(up === 0 || up >= 2 ** -126).toBe(true);
      }),
      { numRuns: 3000 },
    );
    expect(roundUpF32(1)).toBe(1);
    expect(roundUpF32(0)).toBe(0);
    expect(roundUpF32(1 + 2 ** -40)).toBe(1 + 2 ** -23);
    expect(roundUpF32(2 - 2 ** -40)).toBe(2);
    expect(roundUpF32(1e-60)).toBe(2 ** -126);
    expect(roundUpF32(3.4028235e38)).toBe(Infinity);
  });
});

describe("quantiseRow", () => {
  test("rounds halves to even and clamps", () => {
    const codes = new Int8Array(6).fill(99);
    const scale = quantiseRow(Float32Array.of(7, 127, 0.5, 1.5, -2.5, 7), 1, 4, codes, 1);
    expect(scale).toBe(1);
    expect([...codes]).toEqual([99, 127, 0, 2, -2, 99]);
  });

  test("gives zero rows, and rows below the float32 range, scale 0", () => {
    const codes = new Int8Array(3).fill(5);
    expect(quantiseRow(new Float64Array(3), 0, 3, codes, 0)).toBe(0);
    expect([...codes]).toEqual([0, 0, 0]);
    expect(quantiseRow(Float32Array.of(2 ** -149, 0, 0), 0, 3, codes, 0)).toBe(0);
    expect([...codes]).toEqual([0, 0, 0]);
  });

  test("codes are within half a step of the value", () => {
    const row = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(row, (values) => {
        const codes = new Int8Array(values.length);
        const scale = quantiseRow(Float64Array.from(values), 0, values.length, codes, 0);
        fc.pre(scale > 2 ** -126); // a subnormal scale has too few bits for 127 steps
        for (const [i, value] of values.entries()) {
          expect(Math.abs(value - scale * (codes[i] ?? 0))).toBeLessThanOrEqual(scale * 0.50001);
        }
      }),
    );
  });
});
