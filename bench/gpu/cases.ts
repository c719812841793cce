/**
 * What is measured. Cases are data; those that share rows and options share an index, so the core
 * list is a list of indexes in order of value, each with its searches: a run that is cut short has
 * measured the most telling part. The grid is every combination.
 */
import type { Precision } from "../../src/core/metric.ts";

/** One index: rows of the generator (clustered, decaying spectrum), stored and scanned in one way. */
export interface IndexShape {
  readonly rows: number;
  readonly dimensions: number;
  readonly metric: "cosine" | "hamming";
  readonly precision: Precision;
  readonly scan: "full" | "certified";
}

export interface Case extends IndexShape {
  readonly batch: number;
  readonly k: number;
}

const M = 1_000_000;

type Search = readonly [batch: number, k: number];

/** In order of value: the commonest shape in full, then what certificates and low precision gain, then scale. */
const CORE: readonly (readonly [IndexShape, readonly Search[]])[] = [
  [
    shape(M, 128, "f32", "full"),
    [
      [1, 10],
      [1024, 10],
      [32, 10],
      [4096, 10],
      [1, 100],
      [1024, 100],
      [1, 1000],
    ],
  ],
  [
    shape(M, 128, "f32", "certified"),
    [
      [1, 10],
      [1024, 10],
      [32, 10],
      [1, 100],
    ],
  ],
  [
    shape(M, 768, "f32", "full"),
    [
      [1, 10],
      [1024, 10],
    ],
  ],
  [
    shape(M, 768, "f32", "certified"),
    [
      [1, 10],
      [1024, 10],
      [1024, 100],
    ],
  ],
  [
    shape(M, 768, "i8", "full"),
    [
      [1, 10],
      [1024, 10],
    ],
  ],
  [
    shape(M, 768, "f16", "full"),
    [
      [1, 10],
      [1024, 10],
    ],
  ],
  [
    shape(M, 768, "b1", "full"),
    [
      [1, 10],
      [1024, 10],
    ],
  ],
  [
    shape(10 * M, 128, "f32", "full"),
    [
      [1, 10],
      [1024, 10],
      [1, 1000],
    ],
  ],
  [
    shape(10 * M, 128, "f32", "certified"),
    [
      [1, 10],
      [1024, 10],
    ],
  ],
  [
    shape(M, 128, "i8", "full"),
    [
      [1, 10],
      [1024, 10],
    ],
  ],
  [
    shape(M, 128, "f16", "full"),
    [
      [1, 10],
      [1024, 10],
    ],
  ],
  [
    shape(M, 128, "b1", "full"),
    [
      [1, 10],
      [1024, 10],
    ],
  ],
  [
    shape(M, 384, "f32", "full"),
    [
      [1, 10],
      [1024, 10],
    ],
  ],
  [
    shape(M, 384, "f32", "certified"),
    [
      [1, 10],
      [1024, 10],
    ],
  ],
  [
    shape(10 * M, 384, "f32", "certified"),
    [
      [1, 10],
      [1024, 10],
    ],
  ],
  [shape(10 * M, 768, "i8", "full"), [[1, 10]]],
];

export const CORE_CASES: readonly Case[] = CORE.flatMap(([index, searches]) =>
  searches.map(([batch, k]) => ({ ...index, batch, k })),
);

const FORMS: readonly (readonly [Precision, "full" | "certified"])[] = [
  ["f32", "full"],
  ["f32", "certified"],
  ["f16", "full"],
  ["f16", "certified"],
  ["i8", "full"],
  ["b1", "full"],
];

/** Every combination: smaller indexes first, since their cases are the cheapest. */
export const GRID_CASES: readonly Case[] = [M, 10 * M].flatMap((rows) =>
  [128, 384, 768].flatMap((dimensions) =>
    FORMS.flatMap(([precision, scan]) =>
      [1, 32, 1024, 4096].flatMap((batch) =>
        [10, 100, 1000].map((k) => ({ ...shape(rows, dimensions, precision, scan), batch, k })),
      ),
    ),
  ),
);

/** Tiny: that everything runs and answers rightly, on a software rasteriser too. No speed comes of it. */
export const SMOKE_CASES: readonly Case[] = FORMS.flatMap(([precision, scan]) =>
  [1, 5].map((batch) => ({ ...shape(500, 48, precision, scan), batch, k: 10 })),
);

function shape(rows: number, dimensions: number, precision: Precision, scan: "full" | "certified"): IndexShape {
  return { rows, dimensions, metric: precision === "b1" ? "hamming" : "cosine", precision, scan };
}

/** Names a case; unique, stable, and what `--case` takes: `1000000x128-f32-full-cosine-b1-k10`. */
export function caseKey({ batch, k, ...index }: Case): string {
  return `${indexKey(index)}-b${batch}-k${k}`;
}

function indexKey({ rows, dimensions, precision, scan, metric }: IndexShape): string {
  return `${rows}x${dimensions}-${precision}-${scan}-${metric}`;
}

/** Cases of one index together, in the order of their first. */
export function groupByIndex(cases: readonly Case[]): readonly (readonly Case[])[] {
  const groups = new Map<string, Case[]>();
  for (const c of cases) {
    const key = indexKey(c);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [c]);
    else group.push(c);
  }
  return [...groups.values()];
}

/** The same cases on fewer rows, to try a run quickly: k shrinks along, duplicates fall away. */
export function limitRows(cases: readonly Case[], rowsLimit: number): readonly Case[] {
  const limited = new Map<string, Case>();
  for (const c of cases) {
    const rows = Math.min(c.rows, rowsLimit);
    const small = { ...c, rows, k: Math.min(c.k, rows) };
    limited.set(caseKey(small), small);
  }
  return [...limited.values()];
}
