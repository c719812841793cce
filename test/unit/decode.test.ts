/** decode_f16 and decode_i8: rows as float32, in WASM and in plain JS, bit for bit. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { halfToFloat } from "../../src/core/half.ts";
import { type RowFormat, rowFormat } from "../../src/core/stored-rows.ts";
import { bindKernels, type KernelLevel } from "../../src/cpu/kernels.ts";
import { ownMemory, sharedMemory } from "../../src/cpu/memory.ts";
import { uniform } from "../contract/random.ts";
import { KERNEL_LEVELS, KERNEL_MODULES } from "./kernel-levels.ts";

const AT = { scales: 0, rows: 1024, floats: 400_000 };

/** `rows`: [n × rowBytes], as stored. Fails where something beyond the decoded rows was written. */
function decode(
  level: KernelLevel,
  format: RowFormat,
  rows: Uint8Array,
  scales: Float32Array,
  isShared = false,
): Float32Array {
  const memory = isShared ? sharedMemory(1 << 20, 1 << 20) : ownMemory(1 << 20);
  const kernels = bindKernels(KERNEL_MODULES[level], memory, format);
  new Uint8Array(memory.buffer).set(rows, AT.rows);
  const floats = new Float32Array(memory.buffer);
  floats.set(scales, AT.scales / 4);
  floats.fill(Number.NaN, AT.floats / 4);
  const rowCount = rows.length / format.rowBytes;
  kernels.decode(AT.rows, AT.scales, rowCount, AT.floats);
  const end = AT.floats / 4 + rowCount * format.stride;
  expect(floats[end]).toBeNaN();
  return floats.slice(AT.floats / 4, end);
}

describe.each(KERNEL_LEVELS)("decoding at level %s", (level) => {
  test("every finite half is what it stands for", () => {
    const halves = Uint16Array.from({ length: 0x10000 }, (_, h) => h).filter((h) => (h & 0x7c00) !== 0x7c00);
    const format = rowFormat("f16", "dot", 1024);
    const got = decode(level, format, new Uint8Array(halves.buffer), new Float32Array());
    expect(got).toHaveLength(halves.length);
    expect(got.findIndex((x, i) => !Object.is(x, halfToFloat(halves[i] ?? 0)))).toBe(-1);
  });

  test("a code times its row's scale is rounded once", () => {
    const codes = Int8Array.from({ length: 32 }, (_, i) => [127, -127, 0, 1, -128, 3, 100, -7][i % 8] ?? 0);
    const scales = Float32Array.of(Math.fround(0.1), 2 ** -149);
    const got = decode(level, rowFormat("i8", "manhattan", 16), new Uint8Array(codes.buffer), scales);
    expect(got).toEqual(Float32Array.from(codes, (code, i) => (scales[i >> 4] ?? 0) * code));
  });

  test.each(["f16", "i8"] as const)("%s: rows of every dimension from 1 to 130 come out whole", (precision) => {
    for (let dimensions = 1; dimensions <= 130; dimensions++) {
      const format = rowFormat(precision, "manhattan", dimensions);
      const draw = uniform(dimensions);
      const scales = Float32Array.from({ length: 3 }, draw);
      const rows = Uint8Array.from({ length: 3 * format.rowBytes }, () => Math.floor(draw() * 120)); // finite halves
      const halves = new Uint16Array(rows.buffer);
      const element = (i: number): number =>
        precision === "f16"
          ? halfToFloat(halves[i] ?? 0)
          : Math.fround((scales[Math.floor(i / format.stride)] ?? 0) * (rows[i] ?? 0));
      const wanted = Float32Array.from({ length: 3 * format.stride }, (_, i) => element(i));
      const isShared = level !== "none" && dimensions % 2 === 0;
      expect(decode(level, format, rows, scales, isShared), `${dimensions} dimensions`).toEqual(wanted);
    }
  });

  test.each(["f32", "b1"] as const)("%s rows are refused: they are scanned as they are", (precision) => {
    const format = rowFormat(precision, precision === "b1" ? "hamming" : "dot", 4);
    expect(() => decode(level, format, new Uint8Array(16), new Float32Array())).toThrow("scanned as they are");
  });
});

test("decode_i8: WASM and plain JS agree on any codes and scales", () => {
  const scale = fc.float({ noNaN: true, noDefaultInfinity: true, min: 0, max: 2 ** 120 });
  const rows = fc.integer({ min: 1, max: 9 }).chain((count) =>
    fc.tuple(
      fc.integer({ min: 1, max: 100 }).chain((dimensions) => {
        const format = rowFormat("i8", "manhattan", dimensions);
        const length = count * format.rowBytes;
        return fc.tuple(fc.constant(format), fc.uint8Array({ minLength: length, maxLength: length }));
      }),
      fc.array(scale, { minLength: count, maxLength: count }),
    ),
  );
  fc.assert(
    fc.property(rows, ([[format, bytes], scales]) => {
      const got = decode("simd128", format, bytes, Float32Array.from(scales));
      expect(got).toEqual(decode("none", format, bytes, Float32Array.from(scales)));
    }),
  );
});
