/**
 * What manifests and journal records say about a segment, 64 bytes, so that another file under its
 * name is noticed before it is read; and the norms that segments themselves repeat.
 *
 *   0  id u64    8  file size u64    16  least norm above 0 f64    24  greatest norm f64    32  records u32
 *   36  CRC32C of the file's header and footer u32    40  zeros
 */
import type { Fail } from "./damage.ts";
import { readU64, viewOf, writeU64 } from "./fields.ts";
import { checkUnused } from "./file-header.ts";

export interface SegmentFacts {
  /** Records. */
  readonly count: number;
  readonly sizeBytes: number;
  /** Stands for the whole file: of its header and footer, which holds the checksums of all blocks. */
  readonly checksum: number;
  /** Of all rows, in float64; the least of those above 0, +∞ without one. */
  readonly minNorm: number;
  readonly maxNorm: number;
}

export interface SegmentRef {
  /** The file is segmentName(id). */
  readonly id: number;
  readonly facts: SegmentFacts;
}

export const SEGMENT_REF_BYTES = 64;
const USED_BYTES = 40;

export function encodeSegmentRef({ id, facts }: SegmentRef, into: Uint8Array, at: number): void {
  const view = viewOf(into.subarray(at, at + SEGMENT_REF_BYTES));
  writeU64(view, 0, id);
  writeU64(view, 8, facts.sizeBytes);
  view.setFloat64(16, facts.minNorm, true);
  view.setFloat64(24, facts.maxNorm, true);
  view.setUint32(32, facts.count, true);
  view.setUint32(36, facts.checksum, true);
}

/** `at`: where the 64 bytes begin. */
export function decodeSegmentRef(bytes: Uint8Array, at: number, fail: Fail): SegmentRef {
  const part = bytes.subarray(at, at + SEGMENT_REF_BYTES);
  const failAt: Fail = (reason, offset = 0) => fail(reason, at + offset);
  const view = viewOf(part);
  const id = readU64(view, 0);
  const sizeBytes = readU64(view, 8);
  if (Number.isNaN(id)) failAt("a segment's id is beyond 2^53");
  if (Number.isNaN(sizeBytes)) failAt("a segment's size is beyond 2^53", 8);
  const minNorm = view.getFloat64(16, true);
  const maxNorm = view.getFloat64(24, true);
  checkNorms(minNorm, maxNorm, failAt);
  checkUnused(part, USED_BYTES, SEGMENT_REF_BYTES, failAt);
  return {
    id,
    facts: { count: view.getUint32(32, true), sizeBytes, checksum: view.getUint32(36, true), minNorm, maxNorm },
  };
}

/** 0 < least ≤ greatest < ∞; or, where no norm is above 0, +∞ and 0. */
export function checkNorms(minNorm: number, maxNorm: number, fail: Fail): void {
  const isRange = minNorm > 0 && minNorm <= maxNorm && maxNorm < Number.POSITIVE_INFINITY;
  const isEmpty = minNorm === Number.POSITIVE_INFINITY && Object.is(maxNorm, 0);
  if (!isRange && !isEmpty) fail(`norms from ${minNorm} to ${maxNorm} are no range`);
}
