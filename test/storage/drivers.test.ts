/** The table of driver behaviours in Node: memory, the file system, and the disk that can fail. OPFS: test/browser/opfs.test.ts. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import type { StorageDriver } from "../../src/storage/driver.ts";
import { fileDriver } from "../../src/storage/file-driver.ts";
import { MemoryFolder, memoryDriver } from "../../src/storage/memory-driver.ts";
import { DRIVER_CASES, type OpenDriver } from "./driver-cases.ts";
import { FaultyDisk } from "./faulty-driver.ts";

interface Platform {
  readonly name: string;
  /** A fresh folder, by what opens drivers on it. */
  readonly folder: () => OpenDriver;
}

let root: string;
let folders = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "nearfield-drivers-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const PLATFORMS: readonly Platform[] = [
  {
    name: "memory",
    folder() {
      const folder = new MemoryFolder();
      return async (options) => memoryDriver(":memory:", { folder, ...options });
    },
  },
  {
    name: "the file system",
    folder() {
      const path = join(root, "made", `${folders++}`);
      return (options) => fileDriver(path, options);
    },
  },
  {
    name: "a disk that can fail, and does not",
    folder() {
      const disk = new FaultyDisk(1);
      return async (options) => disk.driver(options);
    },
  },
];

describe.each(PLATFORMS)("a driver of $name", ({ folder }) => {
  test.each(DRIVER_CASES)("$name", async ({ run }) => {
    const opened: StorageDriver[] = [];
    const open = folder();
    try {
      await run(async (options) => {
        const driver = await open(options);
        opened.push(driver);
        return driver;
      });
    } finally {
      await Promise.all(opened.map((driver) => driver.close()));
    }
  });
});
