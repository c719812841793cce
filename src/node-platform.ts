/** The parts of Node put together once, for the library's entry and the command line. */
import { nodeSpawner } from "./cpu/spawn-node.ts";
import type { Platform } from "./engine/create-index.ts";
import type { CollectionPlatform } from "./collection/open-collection.ts";
import { nodeGpu } from "./gpu/provider-node.ts";
import { collectionsOn, platformOf } from "./platform.ts";
import { openFolder } from "./storage/locations-node.ts";

export const platform: Platform = platformOf(nodeSpawner, nodeGpu);
export const collections: CollectionPlatform = collectionsOn(platform, openFolder);
