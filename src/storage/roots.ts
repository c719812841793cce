/**
 * The two files that say where a collection's newest state begins, written in turn: a torn write
 * damages the one that nothing depends on yet. Each is one header (file-header.ts), 64 bytes, less
 * than any disk's sector.
 *
 *   24  sequence u64, one more than the other slot's    32  generation of the manifest u64    40  zeros
 */
import { NearfieldError } from "../core/errors.ts";
import { DamageError, type Damage, type Fail } from "./damage.ts";
import type { ReadableFile, StorageDriver } from "./driver.ts";
import { readU64, writeU64 } from "./fields.ts";
import { checkHeader, checkUnused, encodeHeader, HEADER_BYTES, HEADER_FIELDS } from "./file-header.ts";
import { rootName } from "./names.ts";

export interface Root {
  readonly slot: 0 | 1;
  readonly sequence: number;
  /** Of the newest manifest. */
  readonly generation: number;
}

export interface Roots {
  /** The whole slot with the highest sequence; undefined where neither is whole: a new collection, or `damages` says why. */
  readonly best: Root | undefined;
  /** The other whole slot: an older state to fall back to. */
  readonly older: Root | undefined;
  readonly damages: readonly Damage[];
}

export function encodeRoot({ sequence, generation }: Omit<Root, "slot">): Uint8Array {
  return encodeHeader("root", (view) => {
    writeU64(view, HEADER_FIELDS, sequence);
    writeU64(view, HEADER_FIELDS + 8, generation);
  });
}

export function decodeRoot(bytes: Uint8Array, slot: 0 | 1): Root {
  const file = rootName(slot);
  const fail: Fail = (reason, offset = 0) => {
    throw new DamageError({ file, offset, reason });
  };
  const view = checkHeader(bytes, "root", file, fail);
  checkUnused(bytes, 20, HEADER_FIELDS, fail);
  checkUnused(bytes, HEADER_FIELDS + 16, HEADER_BYTES - 4, fail);
  const sequence = readU64(view, HEADER_FIELDS);
  const generation = readU64(view, HEADER_FIELDS + 8);
  if (Number.isNaN(sequence)) fail("the sequence is beyond 2^53", HEADER_FIELDS);
  if (Number.isNaN(generation)) fail("the generation is beyond 2^53", HEADER_FIELDS + 8);
  return { slot, sequence, generation };
}

/** Rejects with UNSUPPORTED_FORMAT where one of them is: an older state must not be taken for the newest, nor be written over. */
export async function readRoots(driver: StorageDriver): Promise<Roots> {
  const roots: Root[] = [];
  const damages: Damage[] = [];
  for (const slot of [0, 1] as const) {
    try {
      const root = await readRoot(driver, slot);
      if (root !== undefined) roots.push(root);
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
      damages.push(error.details);
    }
  }
  // No writer makes two of one sequence; should one have, the later generation is the newer state.
  roots.sort((a, b) => b.sequence - a.sequence || b.generation - a.generation);
  return { best: roots[0], older: roots[1], damages };
}

async function readRoot(driver: StorageDriver, slot: 0 | 1): Promise<Root | undefined> {
  const file = await openIfThere(driver, rootName(slot));
  if (file === undefined) return undefined;
  try {
    if (file.size !== HEADER_BYTES) {
      const reason = `${file.size} bytes instead of ${HEADER_BYTES}`;
      throw new DamageError({ file: rootName(slot), offset: Math.min(file.size, HEADER_BYTES), reason });
    }
    const bytes = new Uint8Array(HEADER_BYTES);
    await file.read(0, bytes);
    return decodeRoot(bytes, slot);
  } finally {
    await file.close();
  }
}

async function openIfThere(driver: StorageDriver, name: string): Promise<ReadableFile | undefined> {
  try {
    return await driver.openToRead(name);
  } catch (error) {
    if (error instanceof NearfieldError && error.code === "NOT_FOUND") return undefined;
    throw error;
  }
}

/** Makes `generation` the newest state. Durable, its name included, when it resolves. `best`: what `readRoots` or the last call gave. */
export async function writeRoot(driver: StorageDriver, best: Root | undefined, generation: number): Promise<Root> {
  const slot = best?.slot === 0 ? 1 : 0;
  const root: Root = { slot, sequence: (best?.sequence ?? 0) + 1, generation };
  const file = await driver.openToWrite(rootName(slot), "create");
  try {
    await file.write(0, encodeRoot(root));
    await file.sync();
  } finally {
    await file.close();
  }
  await driver.syncFolder();
  return root;
}
