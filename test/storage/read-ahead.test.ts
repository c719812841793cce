import fc from "fast-check";
import { expect, test } from "vitest";
import { ReadAhead } from "../../src/storage/read-ahead.ts";
import { MemoryFile } from "./memory-file.ts";

const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);

test("a window shows the file's bytes wherever it is looked at, and copies are of their own", async () => {
  const looks = fc.array(fc.tuple(fc.nat(90), fc.integer({ min: 0, max: 10 })), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(looks, async (all) => {
      const source = new ReadAhead(MemoryFile.of(bytes), 16);
      const copies: [Uint8Array, Uint8Array][] = [];
      for (const [offset, length] of all) {
        const expected = bytes.subarray(offset, offset + length);
        expect(await source.view(offset, length)).toEqual(expected);
        copies.push([await source.copy(offset, length), expected]);
      }
      for (const [copy, expected] of copies) expect(copy).toEqual(expected);
    }),
  );
});

test("a window is fetched once, front to back, and what is larger by itself", async () => {
  const file = MemoryFile.of(bytes);
  const source = new ReadAhead(file, 16);
  for (let at = 0; at < 48; at += 4) await source.view(at, 4);
  expect(file.readBytes).toBe(48);
  expect(await source.copy(48, 50)).toEqual(bytes.subarray(48, 98));
  expect(file.readBytes).toBe(98);
});

test("a window whose fetching failed shows nothing of it later", async () => {
  const file = MemoryFile.of(bytes.slice());
  const source = new ReadAhead(file, 16);
  await source.view(0, 16);
  file.read = async (_, into) => {
    into.fill(255);
    throw new Error("the disk is gone");
  };
  await expect(source.view(40, 4)).rejects.toThrow("gone");
  await expect(source.view(0, 4)).rejects.toThrow("gone");
});
