/**
 * A checkpoint: everything a collection's state is, except the bytes of its segments; pure data and
 * its blocks. Files are read by manifest-reader.ts and written by manifest-writer.ts.
 *
 * Blocks: settings (JSON), segments (64 bytes each, segment-facts.ts), deleted (a bitmap a segment
 * that has any), tags (JSON), history (32 bytes a kept version).
 *   summary   0  generation u64    8  version u64    16  time f64    24  journal u64    32  zeros
 *   history   0  version u64    8  generation u64    16  time f64    24  live rows u64
 */
import type { Metric, Precision } from "../core/metric.ts";
import type { SegmentRef } from "./segment-facts.ts";

/** What never changes in a collection. */
export interface CollectionSettings {
  readonly dimensions: number;
  readonly metric: Metric;
  readonly precision: Precision;
  readonly model?: { readonly name: string; readonly revision?: string };
}

export interface ManifestSegment extends SegmentRef {
  /** Bit i mod 32 of word i / 32: record i is deleted. [ceil(count / 32)]; undefined: none is. */
  readonly deleted: Uint32Array | undefined;
}

/** A version that can still be opened. */
export interface KeptVersion {
  readonly version: number;
  /** Of the manifest from which on the journal is replayed to get there. */
  readonly generation: number;
  readonly atMs: number;
  readonly liveRows: number;
}

export interface Manifest {
  readonly generation: number;
  /** The state is this version's; the journal goes on from it. */
  readonly version: number;
  readonly atMs: number;
  readonly settings: CollectionSettings;
  /** Oldest first. */
  readonly segments: readonly ManifestSegment[];
  /** Name → version. */
  readonly tags: ReadonlyMap<string, number>;
  /** Versions ascending. */
  readonly history: readonly KeptVersion[];
  /** The generation of the journal that continues it. */
  readonly journal: number;
}

/** Numbers of block kinds, apart from a segment's. */
export const MANIFEST_BLOCK = { settings: 16, segments: 17, deleted: 18, tags: 19, history: 20 } as const;
export const HISTORY_BYTES = 32;

const NAMES = new Map<number, string>(Object.entries(MANIFEST_BLOCK).map(([name, kind]) => [kind, name]));

export function manifestBlockName({ kind, first }: { readonly kind: number; readonly first: number }): string {
  const name = NAMES.get(kind) ?? `kind ${kind}`;
  return kind === MANIFEST_BLOCK.deleted ? `${name} of segment ${first}` : name;
}
