import { describe, expect, test } from "vitest";
import { encodeHeader } from "../../src/storage/file-header.ts";
import { encodeRoot, readRoots, type Root, writeRoot } from "../../src/storage/roots.ts";
import { MemoryDriver, MemoryFile } from "./memory-file.ts";

/** A driver with these slots. */
function slots(...contents: (Uint8Array | undefined)[]): MemoryDriver {
  const driver = new MemoryDriver();
  for (const [slot, bytes] of contents.entries()) {
    if (bytes !== undefined) driver.files.set(`root-${slot}`, MemoryFile.of(bytes));
  }
  return driver;
}

describe("roots", () => {
  test("of a new folder are none", async () => {
    expect(await readRoots(slots())).toEqual({ best: undefined, older: undefined, damages: [] });
  });

  test("are written in turn, each durable, and the last one is read", async () => {
    const driver = new MemoryDriver();
    let best: Root | undefined;
    for (let generation = 100; generation < 105; generation++) {
      const before = best;
      best = await writeRoot(driver, before, generation);
      expect(best).toEqual({ slot: (generation - 100) % 2, sequence: generation - 99, generation });
      expect(driver.files.get(`root-${best.slot}`)?.syncs).toBe(1);
      expect(await readRoots(driver)).toEqual({ best, older: before, damages: [] });
    }
    expect(driver.folderSyncs).toBe(5);
  });

  test("fall back to the other slot when one is damaged, say so, and write over the damaged one", async () => {
    const newer = encodeRoot({ sequence: 9, generation: 4 });
    newer[30] = 1;
    const driver = slots(encodeRoot({ sequence: 8, generation: 3 }), newer);
    const { best, older, damages } = await readRoots(driver);
    expect(best).toEqual({ slot: 0, sequence: 8, generation: 3 });
    expect(older).toBeUndefined();
    expect(damages).toMatchObject([{ file: "root-1" }]);
    expect(await writeRoot(driver, best, 5)).toEqual({ slot: 1, sequence: 9, generation: 5 });
  });

  test.each([[[0]], [[63]], [[65]], [[0, 64]]])("of %j bytes are damaged", async (sizes) => {
    const { best, damages } = await readRoots(slots(...sizes.map((size) => new Uint8Array(size))));
    expect(best).toBeUndefined();
    expect(damages).toHaveLength(sizes.length);
  });

  test("of a later format reject, whatever the other slot says", async () => {
    const later = encodeHeader("root", (view) => view.setUint32(12, 4, true));
    await expect(readRoots(slots(encodeRoot({ sequence: 1, generation: 1 }), later))).rejects.toMatchObject({
      code: "UNSUPPORTED_FORMAT",
    });
  });

  test("compare sequences as numbers of 53 bits, and refuse larger ones", async () => {
    const low = encodeRoot({ sequence: 2 ** 32 - 1, generation: 1 });
    const high = encodeRoot({ sequence: 2 ** 32, generation: 2 });
    expect((await readRoots(slots(low, high))).best?.generation).toBe(2);
    const beyond = encodeHeader("root", (view) => view.setUint32(28, 2 ** 21, true));
    const { best, damages } = await readRoots(slots(low, beyond));
    expect([best?.slot, damages.length]).toEqual([0, 1]);
  });
});
