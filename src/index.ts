/** nearfield for browsers (and anything that is not Node): the default entry. Re-exports only. */
import { webSpawner } from "./cpu/spawn-web.ts";
import { createIndexOn } from "./engine/create-index.ts";
import type { IndexOptions, VectorIndex } from "./engine/contract.ts";
import { webGpu } from "./gpu/provider-web.ts";
import { platformOf } from "./platform.ts";

export * from "./public.ts";

const platform = platformOf(webSpawner, webGpu);

/**
 * Creates an empty index. See {@link IndexOptions} for the options and their defaults.
 *
 * Rejects with INVALID_DIMENSIONS, INVALID_OPTION, UNSUPPORTED (a certified scan of a metric
 * without a bound), BACKEND_UNAVAILABLE (`backend: "gpu"` without any adapter).
 */
export function createIndex(options: IndexOptions): Promise<VectorIndex> {
  return createIndexOn(platform, options);
}
