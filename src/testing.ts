/** nearfield/testing: fault injection for tests and demonstrations. Not for production code paths. */
import { NearfieldError } from "./core/errors.ts";
import type { VectorIndex } from "./engine/contract.ts";
import { Index } from "./engine/vector-index.ts";

export { type Internals, withInternals } from "./engine/create-index.ts";

/**
 * Loses the GPU device under an index, as a driver reset would. Resolves when the index has
 * noticed; queries under way finish on the CPU, and another device is requested. Does nothing on
 * an index without a GPU.
 */
export function loseDevice(index: VectorIndex): Promise<void> {
  return own(index).loseDevice();
}

/** Kills one CPU worker of an index. Resolves when the index has noticed; its queries run again. */
export function crashWorker(index: VectorIndex): Promise<void> {
  return own(index).crashWorker();
}

function own(index: VectorIndex): Index {
  if (index instanceof Index) return index;
  throw new NearfieldError("INVALID_OPTION", {
    got: "something that this copy of nearfield did not create",
    expected: "an index from createIndex",
    remedy: "import nearfield and nearfield/testing from the same package",
  });
}
