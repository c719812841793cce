/** nearfield/testing: fault injection for tests and demonstrations. Not for production code paths. */
import { NearfieldError } from "./core/errors.ts";
import type { Collection } from "./collection/contract.ts";
import type { VectorIndex } from "./engine/contract.ts";
import { Index } from "./engine/vector-index.ts";

export { type Internals, withInternals } from "./engine/create-index.ts";

/**
 * Loses the GPU device under an index or a collection, as a driver reset would. Resolves when it has
 * noticed; queries under way finish on the CPU, and another device is requested. Does nothing
 * without a GPU.
 */
export function loseDevice(target: VectorIndex | Collection): Promise<void> {
  return own(target).loseDevice();
}

/** Kills one CPU worker of an index or a collection. Resolves when it has noticed; its queries run again. */
export function crashWorker(target: VectorIndex | Collection): Promise<void> {
  return own(target).crashWorker();
}

function own(target: VectorIndex | Collection): Index {
  // A collection lends its index; asking it keeps the collections' code out of this entry.
  const index: unknown =
    target instanceof Index ? target : typeof target === "object" && target !== null && Reflect.get(target, "index");
  if (index instanceof Index) return index;
  throw new NearfieldError("INVALID_OPTION", {
    got: "something that this copy of nearfield did not create",
    expected: "an index from createIndex or a collection from openCollection",
    remedy: "import nearfield and nearfield/testing from the same package",
  });
}
