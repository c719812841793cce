import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { METRICS, metricFits, PRECISIONS } from "../../src/core/metric.ts";
import type { Manifest } from "../../src/storage/manifest.ts";
import { readManifest } from "../../src/storage/manifest-reader.ts";
import { writeManifest } from "../../src/storage/manifest-writer.ts";
import { MemoryFile } from "./memory-file.ts";
import { manifestOf } from "./manifests.ts";

const PAIRS = METRICS.flatMap((metric) =>
  PRECISIONS.filter((precision) => metricFits(metric, precision)).map((precision) => ({ metric, precision })),
);

const anyName = fc.string({ unit: "grapheme", minLength: 1, maxLength: 10 });
const anyTime = fc.integer({ min: 0, max: 8.64e15 });

const anySettings = fc
  .record({
    pair: fc.constantFrom(...PAIRS),
    dimensions: fc.integer({ min: 1, max: 65_535 }),
    model: fc.option(fc.record({ name: anyName, revision: anyName }, { requiredKeys: ["name"] }), { nil: undefined }),
  })
  .map(({ pair, dimensions, model }) => ({ dimensions, ...pair, ...(model === undefined ? {} : { model }) }));

/** Bitmaps with a bit at least, or none. */
const anySegment = fc
  .record({ id: fc.maxSafeNat(), count: fc.nat(100), checksum: fc.nat(2 ** 32 - 1), bits: fc.nat() })
  .map(({ id, count, checksum, bits }) => {
    const deleted = new Uint32Array(Math.ceil(count / 32));
    for (let row = bits % 7; row < count; row += 7) deleted[row >> 5] = (deleted[row >> 5] ?? 0) | (1 << (row & 31));
    return {
      id,
      facts: { count, sizeBytes: id, checksum, minNorm: 0.1, maxNorm: 1 / 3 },
      deleted: bits % 2 === 0 || deleted.every((word) => word === 0) ? undefined : deleted,
    };
  });

const anyManifest: fc.Arbitrary<Manifest> = fc.record({
  generation: fc.maxSafeNat(),
  version: fc.integer({ min: 1000, max: Number.MAX_SAFE_INTEGER }),
  atMs: anyTime,
  settings: anySettings,
  segments: fc.uniqueArray(anySegment, { maxLength: 5, selector: ({ id }) => id }),
  tags: fc
    .uniqueArray(fc.tuple(fc.oneof(anyName, fc.constantFrom("__proto__", "constructor")), fc.nat(1000)), {
      selector: ([name]) => name,
    })
    .map((pairs) => new Map(pairs)),
  history: fc
    .uniqueArray(fc.nat(1000), { maxLength: 9 })
    .map((versions) =>
      versions
        .sort((a, b) => a - b)
        .map((version) => ({ version, generation: 0, atMs: version + 0.5, liveRows: 2 ** 40 })),
    ),
  journal: fc.maxSafeNat(),
});

async function written(manifest: Manifest): Promise<MemoryFile> {
  const file = new MemoryFile();
  const { sizeBytes } = await writeManifest(file, manifest);
  expect(sizeBytes).toBe(file.size);
  return file;
}

describe("a manifest", () => {
  test("is read as it was written", async () => {
    await fc.assert(
      fc.asyncProperty(anyManifest, async (manifest) => {
        const file = await written(manifest);
        expect(file.syncs).toBe(1);
        expect(await readManifest(file, "manifest-1", manifest.generation)).toEqual(manifest);
        expect(file.readBytes).toBeLessThanOrEqual(file.size);
      }),
    );
  });

  test("does without a bitmap where nothing is deleted", async () => {
    const manifest = manifestOf();
    const [segment] = manifest.segments;
    if (segment === undefined) throw new Error("the fixture has segments");
    const file = await written({ ...manifest, segments: [{ ...segment, deleted: new Uint32Array(2) }] });
    const read = await readManifest(file, "manifest-7", 7);
    expect(read.segments[0]?.deleted).toBeUndefined();
  });

  const broken: [string, Partial<Record<keyof Manifest, unknown>>][] = [
    ["another generation", { generation: 8 }],
    ["a time before 1970", { atMs: -1 }],
    ["a time that is NaN", { atMs: Number.NaN }],
    ["no dimensions", { settings: { metric: "dot", precision: "f32" } }],
    ["half a dimension", { settings: { dimensions: 1.5, metric: "dot", precision: "f32" } }],
    ["too many dimensions", { settings: { dimensions: 65_536, metric: "dot", precision: "f32" } }],
    ["an unknown metric", { settings: { dimensions: 4, metric: "chebyshev", precision: "f32" } }],
    [
      "a metric that does not go with the precision",
      { settings: { dimensions: 4, metric: "hamming", precision: "f32" } },
    ],
    ["a model without a name", { settings: { dimensions: 4, metric: "dot", precision: "f32", model: {} } }],
    ["a model that is text", { settings: { dimensions: 4, metric: "dot", precision: "f32", model: "m" } }],
    [
      "a revision that is a number",
      { settings: { dimensions: 4, metric: "dot", precision: "f32", model: { name: "m", revision: 1 } } },
    ],
    ["settings that are a list", { settings: [4, "dot", "f32"] }],
    [
      "settings beyond their bound",
      { settings: { dimensions: 4, metric: "dot", precision: "f32", model: { name: "m".repeat(65_536) } } },
    ],
    ["a tag of a later version", { tags: new Map([["t", 21]]) }],
    ["a tag of a negative version", { tags: new Map([["t", -1]]) }],
    ["a tag without a name", { tags: new Map([["", 1]]) }],
    ["a tag with a long name", { tags: new Map([["é".repeat(129), 1]]) }],
    ["a tag of half a version", { tags: new Map([["t", 0.5]]) }],
    ["a tag that is no pair", { tags: new Map([["t", [1, 2]]]) }],
    ["a kept version twice", { history: [kept(3), kept(3)] }],
    ["kept versions out of order", { history: [kept(4), kept(3)] }],
    ["a kept version to come", { history: [kept(21)] }],
    ["a kept version of a manifest to come", { history: [{ ...kept(3), generation: 8 }] }],
    ["a kept version of no time", { history: [{ ...kept(3), atMs: Number.POSITIVE_INFINITY }] }],
    ["a segment twice", { segments: [segmentOf(1), segmentOf(1)] }],
    ["norms that are no range", { segments: [segmentOf(1, { minNorm: 2, maxNorm: 1 })] }],
    ["a negative norm", { segments: [segmentOf(1, { minNorm: -1, maxNorm: 1 })] }],
    ["an infinite norm", { segments: [segmentOf(1, { minNorm: 1, maxNorm: Number.POSITIVE_INFINITY })] }],
    ["a norm that is NaN", { segments: [segmentOf(1, { minNorm: Number.NaN, maxNorm: 1 })] }],
    ["a bitmap too short", { segments: [{ ...segmentOf(1), deleted: Uint32Array.of(1) }] }],
    ["a bitmap too long", { segments: [{ ...segmentOf(1), deleted: Uint32Array.of(1, 0, 0) }] }],
    ["a record deleted beyond the last", { segments: [{ ...segmentOf(1), deleted: Uint32Array.of(0, 1 << 8) }] }],
  ];
  test.each(broken)("with %s is CORRUPT", async (_, change) => {
    // What the writer's types forbid, under checksums that are right.
    const file = await written({ ...manifestOf(), ...change } as Manifest);
    await expect(readManifest(file, "manifest-7", 7)).rejects.toMatchObject({
      code: "CORRUPT",
      details: { file: "manifest-7" },
    });
  });

  test("is fine at the bounds of all those", async () => {
    const manifest = {
      ...manifestOf(),
      settings: { dimensions: 65_535, metric: "dot", precision: "f32", model: { name: "" } },
      tags: new Map([
        ["é".repeat(128), 20],
        ["t", 0],
      ]),
      history: [kept(3), kept(4), { ...kept(20), generation: 7 }],
      segments: [{ ...segmentOf(1), deleted: Uint32Array.of(0, 1 << 7) }],
    } satisfies Manifest;
    expect(await readManifest(await written(manifest), "manifest-7", 7)).toEqual(manifest);
  });

  test("takes nothing from a prototype that somebody added to", async () => {
    const { model: _, ...settings } = manifestOf().settings;
    const file = await written({ ...manifestOf(), settings });
    // oxlint-disable-next-line no-extend-native -- what is inherited must not be taken for a setting
    Object.defineProperty(Object.prototype, "model", { value: { name: "inherited" }, configurable: true });
    try {
      const read = await readManifest(file, "m", 7);
      expect(Object.hasOwn(read.settings, "model")).toBe(false);
    } finally {
      Reflect.deleteProperty(Object.prototype, "model");
    }
  });

  test("inherits no settings, and passes over those it does not know", async () => {
    const polluted = JSON.parse(
      '{"__proto__":{"dimensions":4,"metric":"dot","precision":"f32"}}',
    ) as Manifest["settings"];
    await expect(readManifest(await written({ ...manifestOf(), settings: polluted }), "m", 7)).rejects.toMatchObject({
      code: "CORRUPT",
    });
    const extended = { ...manifestOf().settings, later: { x: 1 } };
    const read = await readManifest(await written({ ...manifestOf(), settings: extended }), "m", 7);
    expect(read.settings).toEqual(manifestOf().settings);
  });
});

function kept(version: number): Manifest["history"][number] {
  return { version, generation: 1, atMs: 5, liveRows: 6 };
}

function segmentOf(
  id: number,
  facts: Partial<Manifest["segments"][number]["facts"]> = {},
): Manifest["segments"][number] {
  return {
    id,
    facts: { count: 40, sizeBytes: 999, checksum: 5, minNorm: 1, maxNorm: 2, ...facts },
    deleted: undefined,
  };
}
