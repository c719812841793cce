/** Collections for tests: over any driver, on one thread or none. */
import type { Collection, CollectionOptions, VectorRecord } from "../../src/collection/contract.ts";
import { openCollectionOn, type CollectionPlatform } from "../../src/collection/open-collection.ts";
import { nodeSpawner } from "../../src/cpu/spawn-node.ts";
import { nodeGpu } from "../../src/gpu/provider-node.ts";
import { collectionsOn, platformOf } from "../../src/platform.ts";
import type { StorageDriver } from "../../src/storage/driver.ts";
import { memoryDriver, MemoryFolder } from "../../src/storage/memory-driver.ts";
import { withInternals } from "../../src/testing.ts";

const platform = platformOf(nodeSpawner, nodeGpu);

/** Opens a collection over a driver. Searches run on the caller's thread: no worker has to start. */
export function openOver(
  driver: (options: { readonly readOnly: boolean; readonly create: boolean }) => StorageDriver | Promise<StorageDriver>,
  options: CollectionOptions = {},
  location = "test",
): Promise<Collection> {
  const parts: CollectionPlatform = collectionsOn(platform, async (_location, wanted) => driver(wanted));
  const all: CollectionOptions = { backend: "cpu", ...options };
  return openCollectionOn(parts, location, withInternals(all, { usesWorkers: false }));
}

/** Opens a collection in a folder of memory, which outlives it. */
export function openIn(folder: MemoryFolder, options: CollectionOptions = {}): Promise<Collection> {
  return openOver(({ readOnly }) => memoryDriver("test", { folder, readOnly }), options);
}

/** A vector that follows from a number. */
export function vectorOf(seed: number, dimensions = 4): number[] {
  return Array.from({ length: dimensions }, (_, i) => Math.fround(Math.sin(seed * 7.31 + i * 1.7) + 0.01 * (i + 1)));
}

export function recordOf(number: number, dimensions = 4): VectorRecord {
  return { id: `id-${number}`, vector: vectorOf(number, dimensions), metadata: { number, even: number % 2 === 0 } };
}

export function recordsOf(first: number, count: number, dimensions = 4): VectorRecord[] {
  return Array.from({ length: count }, (_, i) => recordOf(first + i, dimensions));
}

/** Everything in a collection, by id, as plain values. */
export async function contentOf(collection: Collection): Promise<Map<string, { vector: number[]; metadata: unknown }>> {
  const content = new Map<string, { vector: number[]; metadata: unknown }>();
  for await (const batch of collection.scan()) {
    for (const { id, vector, metadata } of batch) {
      if (content.has(id)) throw new Error(`${id} comes twice`);
      content.set(id, { vector: [...vector], metadata });
    }
  }
  return content;
}
