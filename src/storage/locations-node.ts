/** Where collections lie in Node: memory, or a folder. */
import { NearfieldError } from "../core/errors.ts";
import { loadCode } from "../core/late-code.ts";
import type { StorageDriver } from "./driver.ts";
import { fileDriver } from "./file-driver.ts";

/** Rejects with UNSUPPORTED for a browser's location, and as `fileDriver` does. */
export async function openFolder(
  location: string,
  options: { readonly readOnly: boolean; readonly create: boolean },
): Promise<StorageDriver> {
  if (location === ":memory:") {
    const { memoryDriver } = await loadCode("collections in memory", () => import("./memory-driver.ts"));
    return memoryDriver(location, options);
  }
  if (!location.startsWith("opfs:")) return fileDriver(location, options);
  throw new NearfieldError("UNSUPPORTED", {
    got: `the location ${location} in Node`,
    expected: '":memory:" or a folder: opfs: is for browsers',
    remedy: "name a folder",
  });
}
