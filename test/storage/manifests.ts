/** A manifest with something of everything, for tests. */
import type { Manifest } from "../../src/storage/manifest.ts";

export function manifestOf(): Manifest {
  const facts = { count: 40, sizeBytes: 4096, checksum: 0xfedcba98, minNorm: 0.25, maxNorm: 3 };
  return {
    generation: 7,
    version: 20,
    atMs: 1_700_000_000_000,
    settings: { dimensions: 4, metric: "cosine", precision: "f32", model: { name: "mini", revision: "2" } },
    segments: [
      { id: 1, facts, deleted: Uint32Array.of(5, 128) },
      { id: 2, facts: { ...facts, count: 3, minNorm: Number.POSITIVE_INFINITY, maxNorm: 0 }, deleted: undefined },
    ],
    tags: new Map([
      ["first", 1],
      ["latest", 20],
    ]),
    history: [
      { version: 1, generation: 0, atMs: 1_600_000_000_000, liveRows: 3 },
      { version: 20, generation: 7, atMs: 1_700_000_000_000, liveRows: 40 },
    ],
    journal: 7,
  };
}
