import { describe, expect, test } from "vitest";
import { sourceOf } from "../../src/gpu/pipelines.ts";
import { EMITS } from "../../src/gpu/shaders.ts";
import { UNROLL_MARK, unrolled } from "../../src/gpu/unroll.ts";
import { leanWgsl } from "../../vite.plugins.ts";
import { SOURCES } from "./variants.ts";

const marks = (code: string): number => code.split(UNROLL_MARK).length - 1;

describe("loops that are written out", () => {
  test("become a block a turn, with the counter as a constant, nested ones too", () => {
    const code = [
      "const RR : u32 = 8u;",
      "for (var rb = 0u; rb < RR / 4u; rb++) { // unroll",
      "  for (var e = 0u; e < 2u; e++) { // unroll",
      "    if (e == rb) { f(e); }",
      "  }",
      "}",
      "for (var k = 0u; k < 4u; k++) {",
      "}",
      "",
    ].join("\n");
    const inner = (rb: number): string =>
      `{ const rb = ${rb}u;\n  ${[0, 1].map((e) => `{ const e = ${e}u;\n    if (e == rb) { f(e); }\n  }\n`).join("")}\n}\n`;
    expect(unrolled(code)).toBe(`const RR : u32 = 8u;\n${inner(0)}${inner(1)}\nfor (var k = 0u; k < 4u; k++) {\n}\n`);
  });

  test("are still marked in the shaders that the package ships", () => {
    const sources = Object.values(SOURCES);
    const files = sources.flatMap(({ code, parts, sums = {} }) => [code, ...parts, ...Object.values(sums)]);
    const shaders = [...new Set([...files, ...Object.values(EMITS)])];
    expect(shaders.reduce((sum, code) => sum + marks(code), 0)).toBeGreaterThan(15);
    for (const code of shaders) {
      const lean = leanWgsl(code);
      expect(marks(lean)).toBe(marks(code));
      expect(lean.split("//").length - 1).toBe(marks(code));
      const constants = ["QB", "RQ", "RR", "QUADS"].map((name) => `const ${name} : u32 = 4u;\n`).join("");
      const written = unrolled(constants + lean);
      expect(marks(written)).toBe(0);
      expect(written.length > lean.length + constants.length).toBe(marks(code) > 0);
    }
  });

  test("leave no array of a GEMM's sums indexed by a variable", () => {
    const tile = { queries: 64, rows: 128, threadQueries: 8, threadRows: 8 };
    for (const name of ["gemm_f32", "gemm_i8"] as const) {
      const variant = {
        metric: "cosine",
        precision: "f32",
        emit: "candidates",
        facts: 2,
        rounding: 1e-6,
        tile,
      } as const;
      const source = sourceOf(SOURCES[name], variant);
      expect(marks(source)).toBe(0);
      expect(source).not.toMatch(/for \(var (rb|qb) /);
      expect(source.split("emit_four(query").length - 1).toBeGreaterThanOrEqual(16);
    }
  });

  test("a loop without an end is told", () => {
    expect(() => unrolled("for (var i = 0u; i < 2u; i++) { // unroll\n f();")).toThrow("does not end");
  });
});
