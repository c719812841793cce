/** Code of collections that is loaded when it is needed, and cannot be: the call rejects, nothing else changes, and the next call tries again. */
import { afterEach, expect, test, vi } from "vitest";
import { openFolder } from "../../src/storage/locations-node.ts";
import { openOrigin } from "../../src/storage/locations-web.ts";
import { MemoryFolder } from "../../src/storage/memory-driver.ts";
import { openIn, recordsOf, vectorOf } from "./open.ts";

const offline = (): never => {
  throw new TypeError("Failed to fetch dynamically imported module");
};
afterEach(() => {
  vi.doUnmock("../../src/collection/metadata-match.ts");
  vi.doUnmock("../../src/storage/memory-driver.ts");
});

test("filters: what needs none goes on, and what was refused can be asked again", async () => {
  const collection = await openIn(new MemoryFolder(), { dimensions: 4 });
  await collection.upsert(recordsOf(0, 20));
  const filter = { even: true };
  const vector = vectorOf(3);

  vi.doMock("../../src/collection/metadata-match.ts", offline);
  await expect(collection.query({ vector, filter })).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
  await expect(collection.count(filter)).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
  await expect(collection.delete({ filter })).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
  expect(collection.size).toBe(20);
  expect((await collection.query({ vector, k: 1 })).matches[0]).toMatchObject({ id: "id-3" });
  await collection.upsert(recordsOf(20, 1));
  expect(collection.size).toBe(21);

  vi.doUnmock("../../src/collection/metadata-match.ts");
  const { matches } = await collection.query({ vector, filter, k: 21 });
  expect(matches.map(({ id }) => Number(id.slice(3))).sort((a, b) => a - b)).toEqual([
    0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20,
  ]);
  expect(await collection.count(filter)).toBe(11);
  expect(await collection.delete({ filter })).toMatchObject({ deleted: 11 });
  expect(collection.size).toBe(10);
  await collection.close();
});

test.each([
  ["Node", openFolder],
  ["browsers", openOrigin],
])("memory in %s: opens at the next call", async (_, open) => {
  const options = { readOnly: false, create: true, workerUrl: undefined };
  vi.doMock("../../src/storage/memory-driver.ts", offline);
  await expect(open(":memory:", options)).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
  vi.doUnmock("../../src/storage/memory-driver.ts");
  const driver = await open(":memory:", options);
  expect(driver.location).toBe(":memory:");
  await driver.close();
});
