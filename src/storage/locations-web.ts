/** Where collections lie in browsers: memory, or the origin private file system. */
import { NearfieldError } from "../core/errors.ts";
import type { StorageDriver } from "./driver.ts";
import { memoryDriver } from "./memory-driver.ts";

/** Rejects with INVALID_OPTION for a location that is none here. */
export async function openOrigin(
  location: string,
  options: { readonly readOnly: boolean; readonly create: boolean },
): Promise<StorageDriver> {
  if (location === ":memory:") return memoryDriver(location, options);
  throw new NearfieldError("UNSUPPORTED", {
    got: `the location ${location} in a browser`,
    expected: '":memory:"',
    remedy: "name one of these",
  });
}
