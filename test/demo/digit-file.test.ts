/** The digits file of the demo: its format, what it refuses, and what the build makes of MNIST. */
import { describe, expect, it } from "vitest";
import { decodeDigits, type DigitTable, encodeDigits, PIXELS } from "../../demo/data/digit-file.ts";
import { buildDigits } from "../../demo/data/digits.ts";

const toy: DigitTable = {
  images: Uint8Array.from({ length: 3 * PIXELS }, (_, i) => i % 251),
  labels: Uint8Array.of(7, 0, 9),
};

describe("the digits file", () => {
  it("gives back what was put in", () => {
    expect(decodeDigits(encodeDigits(toy))).toEqual(toy);
  });

  it("is refused wherever it is cut off, and with bytes after it", () => {
    const bytes = encodeDigits(toy);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeDigits(bytes.subarray(0, length)), `${length} bytes`).toThrow(
        /digits file: got .*; expected /,
      );
    }
    expect(() => decodeDigits(Uint8Array.of(...bytes, 0))).toThrow(/as the header says/);
  });

  it.each([
    ["another magic", 0, 0x4744464f, /"NFDG"/],
    ["another version", 4, 2, /version 1/],
    ["no images", 8, 0, /at least one/],
    ["an image more than there is", 8, 4, /as the header says/],
    ["2³² − 1 images", 8, 0xffff_ffff, /as the header says/],
  ] as const)("is refused with %s", (_, at, value, message) => {
    const bytes = encodeDigits(toy);
    new DataView(bytes.buffer).setUint32(at, value, true);
    expect(() => decodeDigits(bytes)).toThrow(message);
  });

  it("knows labels up to 9", () => {
    const bytes = encodeDigits(toy);
    bytes[bytes.length - 1] = 10;
    expect(() => decodeDigits(bytes)).toThrow(/the label 10; expected 0 to 9/);
    expect(() => encodeDigits({ ...toy, labels: Uint8Array.of(1, 2) })).toThrow(/as the header says/);
  });

  it("holds all of MNIST's training images with their labels", () => {
    const built = buildDigits();
    expect(built?.count).toBe(60_000);
    const { images, labels } = decodeDigits(built?.bytes ?? new Uint8Array());
    expect(images).toHaveLength(60_000 * PIXELS);
    // As MNIST's page shows them: the first is a 5, then 0, 4, 1, 9.
    expect([...labels.subarray(0, 5)]).toEqual([5, 0, 4, 1, 9]);
    const counts = Array.from({ length: 10 }, (_, digit) => labels.filter((label) => label === digit).length);
    expect(counts).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
  });
});
