/** Where collections lie in browsers: memory, or the origin private file system. */
import { loadCode } from "../core/late-code.ts";
import type { StorageDriver } from "./driver.ts";
import { opfsDriver, type OpfsOptions } from "./opfs-driver.ts";
import { spawnOpfsWorker } from "./opfs-spawn.ts";
import { invalidLocation } from "./storage-errors.ts";

/** Rejects with INVALID_OPTION for a location that is none here, and as `opfsDriver` does. */
export async function openOrigin(location: string, options: OpfsOptions): Promise<StorageDriver> {
  if (location === ":memory:") {
    const { memoryDriver } = await loadCode("collections in memory", () => import("./memory-driver.ts"));
    return memoryDriver(location, options);
  }
  if (location.startsWith("opfs:")) return opfsDriver(spawnOpfsWorker, location, options);
  throw invalidLocation(location, '":memory:" or "opfs:name": pages have no folders');
}
