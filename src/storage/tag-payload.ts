/**
 * A tag as the payload of a journal record.
 *
 *   0  1: set, 0: removed u32    4  zeros    8  version u64, 0 where removed    16  name, UTF-8, up to the end
 */
import { STORAGE_LIMITS } from "../core/limits.ts";
import type { Fail } from "./damage.ts";
import { readU64, viewOf, writeU64 } from "./fields.ts";
import { checkUnused } from "./file-header.ts";

const HEAD_BYTES = 16;

/** Whether a name has 1 … 256 bytes of UTF-8, and is the same when read back. */
export function isTagName(name: string): boolean {
  const bytes = new TextEncoder().encode(name).length;
  return bytes >= 1 && bytes <= STORAGE_LIMITS.tagBytes && !/\p{Surrogate}/u.test(name);
}

export function tagBytes(name: string): number {
  return HEAD_BYTES + new TextEncoder().encode(name).length;
}

export function encodeTag(name: string, target: number | undefined, into: Uint8Array): void {
  if (!isTagName(name)) throw new Error("a tag's name is not checked");
  const view = viewOf(into);
  view.setUint32(0, target === undefined ? 0 : 1, true);
  writeU64(view, 8, target ?? 0);
  into.set(new TextEncoder().encode(name), HEAD_BYTES);
}

/** `newest`: no tag names a later version. */
export function decodeTag(
  payload: Uint8Array,
  newest: number,
  fail: Fail,
): { readonly name: string; readonly target: number | undefined } {
  if (payload.length <= HEAD_BYTES || payload.length > HEAD_BYTES + STORAGE_LIMITS.tagBytes)
    fail("its name has the wrong size");
  const view = viewOf(payload);
  const isSet = view.getUint32(0, true);
  checkUnused(payload, 4, 8, fail);
  const target = readU64(view, 8);
  // Written so that NaN fails.
  if (!(isSet === 1 ? target <= newest : isSet === 0 && target === 0)) fail("it names no version there is", 8);
  return { name: decodeName(payload.subarray(HEAD_BYTES), fail), target: isSet === 1 ? target : undefined };
}

function decodeName(bytes: Uint8Array, fail: Fail): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return fail("its name is no UTF-8", HEAD_BYTES);
  }
}
