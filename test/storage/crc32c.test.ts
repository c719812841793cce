import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { crc32c, prepareCrc32c } from "../../src/storage/crc32c.ts";

/** Bit by bit, as the polynomial says. */
function slowCrc(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  }
  return ~value >>> 0;
}

describe("crc32c", () => {
  test.each([
    ["nothing", [], 0],
    ["the check string", [...new TextEncoder().encode("123456789")], 0xe3069283],
    ["RFC 3720: 32 zeros", Array<number>(32).fill(0), 0x8a9136aa],
    ["RFC 3720: 32 times 255", Array<number>(32).fill(255), 0x62a8ab43],
    ["RFC 3720: 0 to 31", Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ["RFC 3720: 31 to 0", Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
  ])("knows the answer for %s", (_, bytes, expected) => {
    expect(crc32c(Uint8Array.from(bytes))).toBe(expected);
  });

  test("agrees with the polynomial at any alignment, in any two parts, in shared memory too", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.nat(7),
        fc.nat(200),
        fc.boolean(),
        (bytes, shift, cut, isShared) => {
          const buffer = isShared ? new SharedArrayBuffer(256) : new ArrayBuffer(256);
          const moved = new Uint8Array(buffer, shift, bytes.length);
          moved.set(bytes);
          const expected = slowCrc(bytes);
          expect(crc32c(moved)).toBe(expected);
          expect(crc32c(moved.subarray(cut), crc32c(moved.subarray(0, cut)))).toBe(expected);
        },
      ),
    );
  });

  test("agrees with itself in short parts once WASM has the long ones, at any alignment, in shared memory too", async () => {
    const chunk = 65_536;
    const parts = (bytes: Uint8Array): number => {
      let value = 0;
      for (let at = 0; at < bytes.length; at += 1000) value = crc32c(bytes.subarray(at, at + 1000), value);
      return value;
    };
    expect(await prepareCrc32c()).toBe(true);
    for (const isShared of [false, true]) {
      const buffer = isShared ? new SharedArrayBuffer(3 * chunk + 64) : new ArrayBuffer(3 * chunk + 64);
      const all = new Uint8Array(buffer);
      for (let i = 0; i < all.length; i++) all[i] = (Math.imul(i, 2_654_435_761) >>> 13) & 255;
      for (const length of [chunk - 1, chunk, chunk + 1, 2 * chunk + 17, 3 * chunk])
        for (const shift of [0, 1, 4, 7]) {
          const moved = all.subarray(shift, shift + length);
          expect(crc32c(moved), `${length} bytes from ${shift}`).toBe(parts(moved));
          expect(crc32c(moved, 0x12345678)).not.toBe(parts(moved));
        }
    }
  });

  test("goes on in JS where WASM is refused", async () => {
    vi.resetModules();
    vi.spyOn(WebAssembly, "instantiate").mockRejectedValue(new Error("refused by the policy"));
    const refused = await import("../../src/storage/crc32c.ts");
    expect(await refused.prepareCrc32c()).toBe(false);
    const bytes = new Uint8Array(200_000).fill(7);
    expect(refused.crc32c(bytes)).toBe(crc32c(bytes));
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});
