/**
 * Collections that format version 1 wrote, in test/golden: they must open for ever, with what they
 * held then. `NEARFIELD_MAKE_GOLDEN=1 npx vitest run test/collection/golden.test.ts` makes those
 * that are not there; one that is there is never made again.
 */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Collection, CollectionOptions, VectorRecord } from "../../src/collection/contract.ts";
import { openCollection } from "../../src/node.ts";
import { contentOf, vectorOf } from "./open.ts";

const GOLDEN = fileURLToPath(new URL("../golden/", import.meta.url));
const DIMENSIONS = 12;

const FIXTURES: readonly { readonly name: string; readonly options: CollectionOptions }[] = [
  { name: "v1-f32-cosine", options: { precision: "f32", metric: "cosine", model: { name: "golden", revision: "1" } } },
  { name: "v1-f16-dot", options: { precision: "f16", metric: "dot" } },
  { name: "v1-i8-euclidean", options: { precision: "i8", metric: "euclidean" } },
  { name: "v1-b1-jaccard", options: { precision: "b1", metric: "jaccard" } },
];

function golden(first: number, count: number, label: string): VectorRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `ïd-${first + i}`,
    vector: vectorOf(first + i + label.length, DIMENSIONS),
    ...(i % 3 === 2 ? {} : { metadata: { label, i, tags: ["a", "ß", i % 2], none: null, odd: i % 2 === 1 } }),
  }));
}

/** Versions 1 to 7: in the end a manifest with segments, a bitmap, tags and history, and a journal with a record of each kind. */
async function writeHistory(collection: Collection): Promise<void> {
  await collection.upsert(golden(0, 20, "first"));
  await collection.upsert(golden(15, 10, "second"));
  await collection.tag("before the delete");
  await collection.delete(["ïd-3", "ïd-16", "ïd-24"]);
  await collection.compact(); // a checkpoint: all above in a segment
  await collection.delete({ filter: { odd: true, label: "first" } });
  await collection.restore("before the delete"); // another: version 5, its journal rows in segments
  await collection.upsert(golden(100, 2, "third"));
  await collection.tag("newest", 6);
  await collection.delete(["ïd-0"]);
}

async function make(location: string, options: CollectionOptions): Promise<void> {
  const collection = await openCollection(location, { backend: "cpu", threads: 1, dimensions: DIMENSIONS, ...options });
  await writeHistory(collection);
  await collection.close();
}

describe.each(FIXTURES)("$name", ({ name, options }) => {
  const location = join(GOLDEN, name);
  let scratch = "";
  let expected: Collection;

  beforeAll(async () => {
    if (process.env["NEARFIELD_MAKE_GOLDEN"] !== undefined && !existsSync(location)) await make(location, options);
    scratch = await mkdtemp(join(tmpdir(), "nearfield-golden-"));
    expected = await openCollection(":memory:", { backend: "cpu", threads: 1, dimensions: DIMENSIONS, ...options });
    await writeHistory(expected);
  });

  afterAll(async () => {
    await expected.close();
    await rm(scratch, { recursive: true, force: true });
  });

  it("opens with the records, tags and versions it was written with", async () => {
    const collection = await openCollection(location, { backend: "cpu", threads: 1, readOnly: true });
    try {
      expect(collection.recovered).toBeUndefined();
      expect(collection.version).toBe(7);
      expect({ ...options, dimensions: DIMENSIONS }).toEqual({
        dimensions: collection.dimensions,
        metric: collection.metric,
        precision: collection.precision,
        ...(collection.model === undefined ? {} : { model: collection.model }),
      });
      expect(await contentOf(collection)).toEqual(await contentOf(expected));
      expect(await collection.tags()).toEqual({ "before the delete": 2, newest: 6 });
      expect(await collection.verify()).toMatchObject({ ok: true, damages: [], unused: [] });
      const count = ({ version, count: records }: { version: number; count: number }): [number, number] => [
        version,
        records,
      ];
      expect((await collection.versions()).map(count)).toEqual((await expected.versions()).map(count));
    } finally {
      await collection.close();
    }
  });

  it("opens at each of its versions", async () => {
    const collection = await openCollection(location, { backend: "cpu", threads: 1, readOnly: true });
    try {
      for (const { version } of await collection.versions()) {
        const [then, thenExpected] = [await collection.checkout(version), await expected.checkout(version)];
        expect(await contentOf(then)).toEqual(await contentOf(thenExpected));
        await Promise.all([then.close(), thenExpected.close()]);
      }
    } finally {
      await collection.close();
    }
  });

  it("goes on being written, in a copy", async () => {
    const copy = join(scratch, name);
    await cp(location, copy, { recursive: true });
    const collection = await openCollection(copy, { backend: "cpu", threads: 1 });
    expect((await collection.upsert(golden(200, 1, "fourth"))).version).toBe(8);
    await collection.close();
    const again = await openCollection(copy, { backend: "cpu", threads: 1, readOnly: true });
    expect(again.size).toBe(expected.size + 1);
    await again.close();
  });
});
