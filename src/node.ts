/** nearfield for Node: the entry that the "node" condition of package.json chooses. Re-exports only. */
import { nodeSpawner } from "./cpu/spawn-node.ts";
import { createIndexOn } from "./engine/create-index.ts";
import type { IndexOptions, VectorIndex } from "./engine/contract.ts";
import { nodeGpu } from "./gpu/provider-node.ts";
import { platformOf } from "./platform.ts";

export * from "./public.ts";

const platform = platformOf(nodeSpawner, nodeGpu);

/**
 * Creates an empty index. See {@link IndexOptions} for the options and their defaults.
 *
 * Rejects with INVALID_DIMENSIONS, INVALID_OPTION, UNSUPPORTED (a certified scan of a metric
 * without a bound), BACKEND_UNAVAILABLE (`backend: "gpu"` without any adapter).
 */
export function createIndex(options: IndexOptions): Promise<VectorIndex> {
  return createIndexOn(platform, options);
}
