/** One build for two kinds of memory, and two builds in one file: edits of a WASM module's bytes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inlinedKernels, splitKernels } from "../../src/cpu/kernel-bytes.ts";
import { customSection, withCustomSection, withSharedMemory } from "../../src/cpu/module-bytes.ts";

const bytes = (...parts: readonly (number | string | readonly number[])[]): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === "string" ? [...Buffer.from(part)] : part)));

const MAGIC = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const TYPES = [1, 4, 1, 0x60, 0, 0]; // () → ()

/** A module that imports e.m as memory with these limits. */
const importing = (...limits: number[]): Uint8Array<ArrayBuffer> =>
  bytes(MAGIC, TYPES, 2, 6 + limits.length, 1, 1, "e", 1, "m", 2, limits);

describe("withSharedMemory", () => {
  test.each([
    ["1 page", [0, 1], [3, 1, 0x80, 0x80, 4]],
    ["127 pages", [0, 127], [3, 127, 0x80, 0x80, 4]],
    ["128 pages, which take two bytes", [0, 0x80, 1], [3, 0x80, 1, 0x80, 0x80, 4]],
  ])("makes an import of %s shared, with the largest maximum", (_, before, after) => {
    const got = withSharedMemory(importing(...before));
    expect([...got]).toEqual([...importing(...after)]);
    expect(WebAssembly.validate(got)).toBe(true);
  });

  test("keeps the sections before and behind as they are", () => {
    const module = withCustomSection(importing(0, 1), "name", bytes(1, 2, 3));
    expect([...withSharedMemory(module)]).toEqual([
      ...withCustomSection(importing(3, 1, 0x80, 0x80, 4), "name", bytes(1, 2, 3)),
    ]);
  });

  test("an import section that grows beyond 127 bytes gets a longer size", () => {
    const name = "e".repeat(118);
    const module = (size: number[], ...limits: number[]): Uint8Array<ArrayBuffer> =>
      bytes(MAGIC, 2, size, 1, 118, name, 1, "m", 2, limits);
    const got = withSharedMemory(module([125], 0, 1));
    expect([...got]).toEqual([...module([0x80, 1], 3, 1, 0x80, 0x80, 4)]);
  });

  test("the kernels, so changed, take shared memory and nothing else", async () => {
    const { simd } = await inlinedKernels();
    const shared = new WebAssembly.Module(withSharedMemory(simd));
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
    expect(Object.keys(new WebAssembly.Instance(shared, { env: { memory } }).exports)).toContain("scan_f32");
    const unshared = new WebAssembly.Memory({ initial: 1 });
    expect(() => new WebAssembly.Instance(shared, { env: { memory: unshared } })).toThrow(WebAssembly.LinkError);
    expect(() => new WebAssembly.Instance(new WebAssembly.Module(simd), { env: { memory } })).toThrow(
      WebAssembly.LinkError,
    );
  });

  test.each([
    ["is no module", bytes("GIF89a"), /not a WASM module/],
    ["imports nothing", bytes(MAGIC, TYPES), /without imports/],
    ["imports a memory with a maximum", importing(1, 1, 2), /imports other things/],
    ["imports a memory that is shared already", importing(3, 1, 2), /imports other things/],
    ["imports two things", bytes(MAGIC, 2, 14, 2, 1, "e", 1, "m", 2, 0, 1, 1, "e", 1, "n", 2, 0), /other things/],
    ["is cut off", importing(0, 1).slice(0, -1), /ends early/],
  ])("refuses what %s", (_, module, message) => {
    expect(() => withSharedMemory(module)).toThrow(message);
  });
});

describe("custom sections", () => {
  test("what was put in comes out, beside others and whatever its length", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 20_000 }),
        fc.uint8Array(),
        fc.string({ maxLength: 200 }),
        (a, b, name) => {
          const module = withCustomSection(withCustomSection(importing(0, 1), `${name}0`, a), name, b);
          expect(customSection(module, `${name}0`)).toEqual(Uint8Array.from(a));
          expect(customSection(module, name)).toEqual(Uint8Array.from(b));
          expect(customSection(module, `${name}1`)).toBeUndefined();
          expect(WebAssembly.validate(module)).toBe(true);
        },
      ),
    );
  });

  test("a file with the relaxed build inside splits into modules that hold the same", async () => {
    const { simd, relaxed = new Uint8Array() } = await inlinedKernels();
    const split = splitKernels(withCustomSection(simd, "relaxed", relaxed));
    expect(split.relaxed).toEqual(relaxed);
    expect(WebAssembly.Module.exports(new WebAssembly.Module(split.simd))).toEqual(
      WebAssembly.Module.exports(new WebAssembly.Module(simd)),
    );
    expect(() => splitKernels(simd)).toThrow("no relaxed build inside");
    expect(() => splitKernels(relaxed.slice(0, 5))).toThrow("not a WASM module");
  });
});
