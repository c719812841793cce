import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { crc32c } from "../../src/storage/crc32c.ts";

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
});
