import { expect, test } from "vitest";
import { FaultyDisk, ignoreCrash, SimulatedCrash } from "./faulty-driver.ts";
import type { StorageDriver } from "../../src/storage/driver.ts";

const KEPT = Uint8Array.of(1, 2, 3, 4);

/** Makes a file durable, then writes over it and makes another, without sync; tells how far it came. */
async function script(driver: StorageDriver, reached: (step: "durable" | "end") => void): Promise<void> {
  const file = await driver.openToWrite("root-0", "create");
  await file.write(0, KEPT);
  await file.sync();
  await driver.syncFolder();
  reached("durable");
  await file.write(4, Uint8Array.of(5, 6, 7, 8));
  await driver.openToWrite("root-1", "create");
  reached("end");
}

async function bytesOf(driver: StorageDriver, name: string): Promise<Uint8Array> {
  const file = await driver.openToRead(name);
  const bytes = new Uint8Array(file.size);
  await file.read(0, bytes);
  return bytes;
}

test.each(["none", "all", "torn"] as const)(
  "a crash at any change keeps what was synced (unsynced: %s)",
  async (survives) => {
    let crashes = 0;
    for (let crashAt = 1; ; crashAt++) {
      const disk = new FaultyDisk(crashAt);
      const driver = disk.driver({ crashAt, survives });
      const steps: string[] = [];
      await script(driver, (step) => steps.push(step)).catch((error: unknown) => {
        ignoreCrash(error);
        crashes++;
      });
      if (steps.includes("end")) break;
      await expect(driver.list()).rejects.toBeInstanceOf(SimulatedCrash);
      const after = disk.afterCrash();
      if (!steps.includes("durable")) continue;
      const bytes = await bytesOf(after, "root-0");
      expect(bytes.subarray(0, 4)).toEqual(KEPT);
      expect(bytes.length).toBeLessThanOrEqual(8);
      if (survives === "none") expect(bytes.length).toBe(4);
    }
    expect(crashes).toBe(6); // create, write, sync, syncFolder, write, create
  },
);
