/**
 * Which blocks a segment has, and what its footer says of all of them (64 bytes); pure, for its
 * writer and its reader. FORMAT.md has the rules.
 *
 *   summary   0  records u32    4  bytes of a row u32    8  rows have scales u32 (0 or 1)    12  zeros
 *            16  least norm above 0 f64    24  greatest norm f64    32  zeros
 */
import type { StoredColumnShape } from "../core/stored-column.ts";
import { type BlockEntry, SUMMARY_BYTES } from "./block-table.ts";
import type { Fail } from "./damage.ts";
import { viewOf } from "./fields.ts";
import { checkUnused } from "./file-header.ts";
import { checkNorms } from "./segment-facts.ts";

/** Numbers of block kinds; those of manifests begin at 16. */
export const BLOCK = { rows: 1, terms: 2, scales: 3, ids: 4, metadata: 5 } as const;
export type TextKind = "ids" | "metadata";

const NAMES = new Map<number, string>(Object.entries(BLOCK).map(([name, kind]) => [kind, name]));

export function segmentBlockName({ kind, first }: BlockEntry): string {
  return `${NAMES.get(kind) ?? `kind ${kind}`} from ${first}`;
}

export interface SegmentSummary {
  readonly count: number;
  readonly shape: StoredColumnShape;
  readonly minNorm: number;
  readonly maxNorm: number;
}

export function encodeSegmentSummary({ count, shape, minNorm, maxNorm }: SegmentSummary): Uint8Array {
  const bytes = new Uint8Array(SUMMARY_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, count, true);
  view.setUint32(4, shape.rowBytes, true);
  view.setUint32(8, shape.hasScales ? 1 : 0, true);
  view.setFloat64(16, minNorm, true);
  view.setFloat64(24, maxNorm, true);
  return bytes;
}

export function decodeSegmentSummary(bytes: Uint8Array, fail: Fail): SegmentSummary {
  const view = viewOf(bytes);
  const scales = view.getUint32(8, true);
  if (scales > 1) fail("neither with scales nor without", 8);
  checkUnused(bytes, 12, 16, fail);
  checkUnused(bytes, 32, SUMMARY_BYTES, fail);
  const minNorm = view.getFloat64(16, true);
  const maxNorm = view.getFloat64(24, true);
  checkNorms(minNorm, maxNorm, (reason) => fail(reason, 16));
  const shape = { rowBytes: view.getUint32(4, true), hasScales: scales === 1 };
  return { count: view.getUint32(0, true), shape, minNorm, maxNorm };
}

/** Rows of a page and what goes with them, at most a mebibyte of rows but at least one. */
export interface Page {
  readonly first: number;
  readonly count: number;
  readonly rows: BlockEntry;
  readonly terms: BlockEntry;
  readonly scales: BlockEntry | undefined;
}

/** The pages of vectors, once it is known that they hold rows 0 … count − 1, each once. */
export function pagesOf(entries: readonly BlockEntry[], { count, shape }: SegmentSummary, fail: Fail): Page[] {
  const rows = inOrder(entries, BLOCK.rows, count, fail);
  const terms = inOrder(entries, BLOCK.terms, count, fail);
  const scales = inOrder(entries, BLOCK.scales, shape.hasScales ? count : 0, fail);
  if (terms.length !== rows.length || (shape.hasScales && scales.length !== rows.length)) {
    fail("pages of rows, terms and scales are not as many");
  }
  return rows.map((entry, index) => {
    const page = { first: entry.first, count: entry.count, rows: entry, terms: terms[index], scales: scales[index] };
    const beside = shape.hasScales ? [page.terms, page.scales] : [page.terms];
    const fits =
      entry.length === entry.count * shape.rowBytes &&
      beside.every((other) => other?.first === entry.first && other.length === other.count * 4);
    if (!fits || page.terms === undefined) return fail(`the page from row ${entry.first} has blocks of the wrong size`);
    return { ...page, terms: page.terms };
  });
}

/** The blocks of one kind, once it is known that they hold 0 … count − 1, each once, in order. */
export function inOrder(entries: readonly BlockEntry[], kind: number, count: number, fail: Fail): BlockEntry[] {
  const found = entries.filter((entry) => entry.kind === kind);
  let next = 0;
  for (const entry of found) {
    if (entry.first !== next || entry.count < 1) fail(`${segmentBlockName(entry)} does not follow ${next}`);
    next += entry.count;
  }
  if (next !== count) fail(`${next} of ${count} records have ${NAMES.get(kind) ?? kind}`);
  return found;
}
