/** A collection open for as long as a command needs it. */
import type { Collection, CollectionOptions } from "../collection/contract.ts";
import { openCollectionOn } from "../collection/open-collection.ts";
import { collections } from "../node-platform.ts";
import type { Terminal } from "./terminal.ts";

/** What had to be recovered is told. The collection is closed at the end, however the task went. */
export async function withCollection<T>(
  location: string,
  options: CollectionOptions,
  terminal: Terminal,
  task: (collection: Collection) => Promise<T>,
): Promise<T> {
  const collection = await openCollectionOn(collections, location, { create: false, ...options });
  try {
    const { recovered } = collection;
    if (recovered !== undefined) {
      terminal.tell(
        `nearfield: ${location} was damaged (${recovered.reason}); version ${collection.version} was opened`,
      );
    }
    return await task(collection);
  } finally {
    await collection.close();
  }
}
