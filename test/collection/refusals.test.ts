/** What a collection refuses, and that nothing is written then. */
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Collection, CollectionOptions, VectorRecord } from "../../src/collection/contract.ts";
import { Records } from "../../src/collection/records.ts";
import { openCollection } from "../../src/node.ts";
import { contentOf, recordOf, recordsOf, vectorOf } from "./open.ts";

let folder = "";
const opened: Collection[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "nearfield-refusals-"));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((collection) => collection.close()));
  await rm(folder, { recursive: true, force: true });
});

async function open(location: string, options: CollectionOptions = {}): Promise<Collection> {
  const collection = await openCollection(location, { backend: "cpu", threads: 1, ...options });
  opened.push(collection);
  return collection;
}

const memory = (options: CollectionOptions = {}): Promise<Collection> =>
  open(":memory:", { dimensions: 4, ...options });

describe("opening", () => {
  it("makes no folder for a collection that cannot be made", async () => {
    const location = join(folder, "new.nf");
    await expect(open(location)).rejects.toMatchObject({ code: "INVALID_DIMENSIONS" });
    await expect(open(location, { dimensions: 0 })).rejects.toMatchObject({ code: "INVALID_DIMENSIONS" });
    await expect(open(location, { dimensions: 4, metric: "hamming" })).rejects.toMatchObject({
      code: "INVALID_OPTION",
    });
    await expect(open(location, { dimensions: 4, create: false })).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(open(location, { dimensions: 4, readOnly: true })).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await readdir(folder)).toEqual([]);
  });

  it("refuses a file, a folder of others, and places that are for other platforms", async () => {
    const file = join(folder, "file");
    await writeFile(file, "not a collection");
    await expect(open(file, { dimensions: 4 })).rejects.toMatchObject({ code: "INVALID_OPTION" });
    const project = join(folder, "project");
    await mkdir(project);
    await writeFile(join(project, "package.json"), "{}");
    await expect(open(project, { dimensions: 4 })).rejects.toMatchObject({
      code: "INVALID_OPTION",
      message: expect.stringContaining("package.json"),
    });
    expect(await readdir(project)).toEqual(["package.json"]);
    await expect(open("opfs:photos", { dimensions: 4 })).rejects.toMatchObject({ code: "UNSUPPORTED" });
    await expect(open("", { dimensions: 4 })).rejects.toMatchObject({ code: "INVALID_OPTION" });
  });

  it("lets one writer in, names it to the second, and any number of readers", async () => {
    const location = join(folder, "one.nf");
    const writer = await open(location, { dimensions: 4 });
    await writer.upsert(recordsOf(0, 3));
    await expect(open(location)).rejects.toMatchObject({
      code: "LOCKED",
      message: expect.stringContaining(String(process.pid)),
    });
    const readers = [await open(location, { readOnly: true }), await open(location, { readOnly: true })];
    await writer.upsert(recordsOf(3, 3));
    for (const reader of readers) {
      expect(reader.version).toBe(1);
      expect(reader.recovered).toBeUndefined();
      expect([...(await contentOf(reader)).keys()]).toEqual(["id-0", "id-1", "id-2"]);
      await expect(reader.upsert([recordOf(9)])).rejects.toMatchObject({ code: "READ_ONLY" });
      await expect(reader.delete(["id-0"])).rejects.toMatchObject({ code: "READ_ONLY" });
      await expect(reader.tag("a")).rejects.toMatchObject({ code: "READ_ONLY" });
      await expect(reader.compact()).rejects.toMatchObject({ code: "READ_ONLY" });
      await expect(reader.restore(0)).rejects.toMatchObject({ code: "READ_ONLY" });
    }
    await writer.close();
    expect((await open(location)).version).toBe(2);
  });

  it("refuses other settings than the collection's, and other models", async () => {
    const location = join(folder, "settings.nf");
    const model = { name: "minilm", revision: "2" };
    const first = await open(location, { dimensions: 4, model });
    expect(first.model).toEqual(model);
    await first.close();
    await expect(open(location, { dimensions: 5 })).rejects.toMatchObject({ code: "INVALID_DIMENSIONS" });
    await expect(open(location, { metric: "dot" })).rejects.toMatchObject({ code: "INVALID_OPTION" });
    await expect(open(location, { precision: "f16" })).rejects.toMatchObject({ code: "INVALID_OPTION" });
    await expect(open(location, { model: { name: "other" } })).rejects.toMatchObject({ code: "MODEL_MISMATCH" });
    await expect(open(location, { model: { name: "minilm", revision: "1" } })).rejects.toMatchObject({
      code: "MODEL_MISMATCH",
    });
    const again = await open(location, { dimensions: 4, metric: "cosine", model: { name: "minilm" } });
    await expect(again.upsert([recordOf(1)], { model: { name: "bge" } })).rejects.toMatchObject({
      code: "MODEL_MISMATCH",
    });
    await again.upsert([recordOf(1)], { model });
    const query = again.query({ vector: vectorOf(1), model: { name: "minilm", revision: "3" } });
    await expect(query).rejects.toMatchObject({ code: "MODEL_MISMATCH" });
    expect((await again.query({ vector: vectorOf(1), model })).matches).toHaveLength(1);
    const unnamed = await memory();
    await expect(unnamed.upsert([recordOf(1)], { model })).rejects.toMatchObject({ code: "MODEL_MISMATCH" });
  });
});

describe("an upsert", () => {
  const bad: readonly [string, unknown, string][] = [
    ["an id that is no string", { id: 5, vector: vectorOf(1) }, "INVALID_OPTION"],
    ["an empty id", { id: "", vector: vectorOf(1) }, "INVALID_OPTION"],
    ["an id of 513 bytes", { id: `${"é".repeat(256)}a`, vector: vectorOf(1) }, "INVALID_OPTION"],
    ["an id with a lone surrogate", { id: "a\ud800", vector: vectorOf(1) }, "INVALID_OPTION"],
    ["a vector that is too short", { id: "x", vector: [1, 2, 3] }, "INVALID_DIMENSIONS"],
    ["no vector", { id: "x" }, "INVALID_VECTOR"],
    ["a vector with NaN", { id: "x", vector: [1, Number.NaN, 3, 4] }, "INVALID_VECTOR"],
    ["a zero vector under cosine", { id: "x", vector: [0, 0, 0, 0] }, "INVALID_VECTOR"],
    ["metadata that is nested", { id: "x", vector: vectorOf(1), metadata: { a: { b: 1 } } }, "INVALID_OPTION"],
    ["metadata beyond 64 kB", { id: "x", vector: vectorOf(1), metadata: { a: "x".repeat(65_536) } }, "INVALID_OPTION"],
    ["a record that is null", null, "INVALID_OPTION"],
  ];

  it.each(bad)("refuses %s, and writes nothing of the call", async (_name, record, code) => {
    const collection = await memory();
    await collection.upsert(recordsOf(0, 2));
    const records: unknown[] = recordsOf(2, 5);
    records.splice(3, 0, record);
    await expect(collection.upsert(records as VectorRecord[])).rejects.toMatchObject({
      code,
      details: { position: 3 },
    });
    expect([...(await contentOf(collection)).keys()]).toEqual(["id-0", "id-1"]);
    expect(collection.version).toBe(1);
    const skipped = await collection.upsert(records as VectorRecord[], { onInvalid: "skip" });
    expect(skipped).toMatchObject({ written: 5, version: 2 });
    expect(skipped.rejected).toEqual([{ id: expect.any(String), reason: expect.stringMatching(/^(is|has) /) }]);
    expect(collection.size).toBe(7);
  });

  it("tells of each record that is left out while it takes them in, and writes nothing where that throws", async () => {
    const collection = await memory();
    async function* stream(): AsyncGenerator<VectorRecord> {
      yield recordOf(0);
      yield { id: "a", vector: [Number.NaN, 0, 0, 0] };
      yield recordOf(1);
      yield { id: "b", vector: [1] };
    }
    const told: unknown[] = [];
    const taken = collection.upsert(stream(), { onInvalid: "skip", onReject: (rejection) => told.push(rejection) });
    expect(await taken).toMatchObject({ written: 2, rejected: [{ id: "a" }, { id: "b" }] });
    expect(told).toEqual([
      { position: 1, id: "a", reason: expect.stringMatching(/NaN/) },
      { position: 3, id: "b", reason: expect.stringMatching(/1/) },
    ]);
    const thrown = new Error("enough");
    const refused = collection.upsert([recordOf(7), { id: "c", vector: [1] }], {
      onInvalid: "skip",
      onReject: () => {
        throw thrown;
      },
    });
    await expect(refused).rejects.toBe(thrown);
    expect([collection.size, collection.version]).toEqual([2, 1]);
    const wrong = { onReject: 5 as unknown as () => void };
    await expect(collection.upsert([], wrong)).rejects.toMatchObject({ code: "INVALID_OPTION" });
  });

  it("takes ids and metadata that just fit", async () => {
    const collection = await memory();
    const id = "é".repeat(256);
    const metadata = { a: "x".repeat(65_536 - '{"a":""}'.length) };
    await collection.upsert([{ id, vector: vectorOf(1), metadata }]);
    expect(await collection.get([id])).toEqual([{ id, vector: Float32Array.from(vectorOf(1)), metadata }]);
  });

  it("makes no version of nothing", async () => {
    const collection = await memory();
    expect(await collection.upsert([])).toEqual({ written: 0, version: 0, duplicates: 0, rejected: [] });
    expect(await collection.delete(["nobody"])).toEqual({ deleted: 0, version: 0 });
    expect(await collection.delete({ filter: { a: 1 } })).toEqual({ deleted: 0, version: 0 });
    expect((await collection.versions()).map(({ version }) => version)).toEqual([0]);
  });

  it("refuses what is no list of records, and options that are none", async () => {
    const collection = await memory();
    for (const records of [undefined, recordOf(1), "records", 5]) {
      await expect(collection.upsert(records as unknown as VectorRecord[])).rejects.toMatchObject({
        code: "INVALID_OPTION",
      });
    }
    await expect(collection.upsert([], { mode: "replace" as "upsert" })).rejects.toMatchObject({
      code: "INVALID_OPTION",
    });
    await expect(collection.upsert([], { onInvalid: "ignore" as "skip" })).rejects.toMatchObject({
      code: "INVALID_OPTION",
    });
  });

  it("is given up by its signal, and by an iterable that throws", async () => {
    const collection = await memory();
    const controller = new AbortController();
    async function* endless(): AsyncGenerator<VectorRecord> {
      for (let i = 0; ; i++) {
        if (i === 100) controller.abort(new Error("enough"));
        yield recordOf(i);
      }
    }
    await expect(collection.upsert(endless(), { signal: controller.signal })).rejects.toMatchObject({
      code: "ABORTED",
      cause: new Error("enough"),
    });
    function* broken(): Generator<VectorRecord> {
      yield recordOf(1);
      throw new TypeError("the source failed");
    }
    await expect(collection.upsert(broken())).rejects.toThrow("the source failed");
    expect(collection.version).toBe(0);
    expect(await collection.upsert([recordOf(1)])).toMatchObject({ version: 1 });
  });
});

describe("reading", () => {
  it("refuses filters, ids, tags and versions that are none", async () => {
    const collection = await memory();
    await collection.upsert(recordsOf(0, 3));
    const filter = JSON.parse('{"__proto__": 1}');
    await expect(collection.query({ vector: vectorOf(1), filter })).rejects.toMatchObject({ code: "INVALID_FILTER" });
    await expect(collection.count({ a: { $regex: "x" } as never })).rejects.toMatchObject({
      code: "INVALID_FILTER",
      message: expect.stringContaining("a.$regex"),
    });
    await expect(collection.delete({ filter: { a: { $near: 1 } as never } })).rejects.toMatchObject({
      code: "INVALID_FILTER",
    });
    expect(() => collection.scan({ filter: { a: undefined } })).toThrow(/expected/);
    await expect(collection.get(["id-0", 5 as unknown as string])).rejects.toMatchObject({ code: "INVALID_OPTION" });
    await expect(collection.delete("id-0" as unknown as string[])).rejects.toMatchObject({ code: "INVALID_OPTION" });
    await expect(collection.query({ like: "nobody" })).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(collection.query({} as never)).rejects.toMatchObject({ code: "INVALID_OPTION" });
    await expect(collection.query({ vector: vectorOf(1), k: 0 })).rejects.toMatchObject({ code: "INVALID_K" });
    await expect(collection.query({ vector: [1, 2] })).rejects.toMatchObject({ code: "INVALID_DIMENSIONS" });
    await expect(collection.query({ vector: [...vectorOf(1), ...vectorOf(2)] })).rejects.toMatchObject({
      code: "INVALID_OPTION",
    });
    await expect(collection.tag("")).rejects.toMatchObject({ code: "INVALID_OPTION" });
    await expect(collection.tag("é".repeat(129))).rejects.toMatchObject({ code: "INVALID_OPTION" });
    await expect(collection.tag("a", 7)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(collection.checkout("nothing")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(collection.restore(1.5)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(collection.compact({ keepVersions: 0 })).rejects.toMatchObject({ code: "INVALID_OPTION" });
    expect(collection.version).toBe(1);
  });

  it("ends with CLOSED, also for changes that wait", async () => {
    const collection = await memory();
    await collection.upsert(recordsOf(0, 3));
    const changes = Array.from({ length: 5 }, (_, i) =>
      collection.upsert([recordOf(i)]).then(
        () => "done",
        ({ code }) => code,
      ),
    );
    await Promise.all([collection.close(), collection.close()]);
    for (const outcome of await Promise.all(changes)) expect(["done", "CLOSED"]).toContain(outcome);
    await expect(collection.get(["id-0"])).rejects.toMatchObject({ code: "CLOSED" });
    await expect(collection.upsert([recordOf(1)])).rejects.toMatchObject({ code: "CLOSED" });
    await expect(collection.stats()).rejects.toMatchObject({ code: "CLOSED" });
  });
});

describe("a change that is stored and cannot be shown", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("is read from the files again", async () => {
    const collection = await open(join(folder, "one.nf"), { dimensions: 4 });
    await collection.upsert([recordOf(1)]);
    vi.spyOn(Records.prototype, "apply").mockRejectedValueOnce(new Error("no memory"));
    await collection.upsert([recordOf(2)]);
    expect([...(await contentOf(collection)).keys()].sort()).toEqual(["id-1", "id-2"]);
    await collection.upsert([recordOf(3)]);
    expect(collection.size).toBe(3);
  });

  it("makes the collection refuse further changes, with both reasons, where the files cannot be read either", async () => {
    const location = join(folder, "one.nf");
    const collection = await open(location, { dimensions: 4 });
    await collection.upsert([recordOf(1)]);
    const elsewhere = join(folder, "elsewhere");
    vi.spyOn(Records.prototype, "apply").mockImplementationOnce(async () => {
      await mkdir(elsewhere);
      const manifests = (await readdir(location)).filter((name) => name.includes("manifest"));
      expect(manifests).not.toEqual([]);
      for (const name of manifests) await rename(join(location, name), join(elsewhere, name));
      throw new Error("no memory");
    });
    await expect(collection.upsert([recordOf(2)])).rejects.toThrow("no memory");
    await expect(collection.upsert([recordOf(3)])).rejects.toMatchObject({
      code: "READ_ONLY",
      cause: expect.objectContaining({
        message: expect.stringMatching(/no memory; reading it again: .*manifest/),
      }),
    });
    expect((await collection.query({ vector: vectorOf(1) })).matches.map(({ id }) => id)).toEqual(["id-1"]);
    await collection.close();
    // Nothing that was stored is lost.
    for (const name of await readdir(elsewhere)) await rename(join(elsewhere, name), join(location, name));
    const again = await open(location);
    expect([...(await contentOf(again)).keys()].sort()).toEqual(["id-1", "id-2"]);
  });
});
