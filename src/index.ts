/** nearfield for browsers (and anything that is not Node): the default entry. Re-exports only. */
import { webSpawner } from "./cpu/spawn-web.ts";
import type { Collection, CollectionOptions } from "./collection/contract.ts";
import { openCollectionOn } from "./collection/open-collection.ts";
import { createIndexOn } from "./engine/create-index.ts";
import type { IndexOptions, VectorIndex } from "./engine/contract.ts";
import { webGpu } from "./gpu/provider-web.ts";
import { collectionsOn, platformOf } from "./platform.ts";
import { openOrigin } from "./storage/locations-web.ts";

export * from "./public.ts";

const platform = platformOf(webSpawner, webGpu);
// Pure, so that a page which only searches does not load what only collections need.
const collections = /* @__PURE__ */ collectionsOn(platform, openOrigin);

/**
 * Creates an empty index. See {@link IndexOptions} for the options and their defaults.
 *
 * Rejects with INVALID_DIMENSIONS, INVALID_OPTION, UNSUPPORTED (a certified scan of a metric
 * without a bound), BACKEND_UNAVAILABLE (`backend: "gpu"` without any adapter).
 */
export function createIndex(options: IndexOptions): Promise<VectorIndex> {
  return createIndexOn(platform, options);
}

/**
 * Opens a collection, or makes it: records with ids and metadata, durable and in versions. `location`:
 * `":memory:"` (gone when closed), `"opfs:name"` in the origin private file system. See {@link CollectionOptions}.
 *
 * Rejects with NOT_FOUND (nothing there, and `create` is false), INVALID_DIMENSIONS (nothing there, and no
 * `dimensions`), INVALID_OPTION, LOCKED (another writer, which is named), MODEL_MISMATCH, READ_ONLY, CORRUPT (no
 * version is whole; nothing is changed), UNSUPPORTED_FORMAT (a newer nearfield wrote it), UNSUPPORTED (a kind of
 * location that this platform does not have), QUOTA_EXCEEDED, OUT_OF_MEMORY, ABORTED.
 *
 * Code that few pages need (filters, collections in memory, compaction, verification) is loaded when it is first asked
 * for: where that fails the call rejects with BACKEND_UNAVAILABLE, changes nothing, and may be made again.
 */
export function openCollection(location: string, options?: CollectionOptions): Promise<Collection> {
  return openCollectionOn(collections, location, options);
}
