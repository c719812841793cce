/** Records in memory: what readers see while they change. */
import { afterEach, expect, it } from "vitest";
import { Extents } from "../../src/collection/extents.ts";
import { IdTable } from "../../src/collection/id-table.ts";
import { MetadataTable } from "../../src/collection/metadata-table.ts";
import { Records, type RowChange } from "../../src/collection/records.ts";
import { readColumn } from "../../src/core/stored-column-reader.ts";
import { StoredColumnWriter } from "../../src/core/stored-column-writer.ts";
import { createIndexOn, withInternals } from "../../src/engine/create-index.ts";
import { withStoredRows } from "../../src/engine/stored-index.ts";
import { platform } from "../../src/node-platform.ts";
import { column } from "../storage/records.ts";
import { vectorOf } from "./open.ts";

const opened: Records[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((records) => records.close()));
});

async function open(): Promise<Records> {
  const options = withInternals({ dimensions: 4, backend: "cpu" as const }, { usesWorkers: false });
  const index = withStoredRows(await createIndexOn(platform, options));
  const records = new Records({ index, ids: new IdTable(), metadata: new MetadataTable(), extents: new Extents() });
  opened.push(records);
  return records;
}

function rows(ids: readonly string[], removed: readonly number[] = []): RowChange {
  const writer = new StoredColumnWriter({ precision: "f32", metric: "cosine", dimensions: 4 });
  for (const [i] of ids.entries()) writer.push(vectorOf(i));
  const vectors = readColumn(writer.take());
  const texts = [{ ids: column(ids), metadata: column(ids.map(() => "")) }];
  return { appended: [{ count: ids.length, texts, vectors, segment: undefined }], removed };
}

it("looks again when a change came while something was prepared", async () => {
  const records = await open();
  await records.apply(rows(["a", "b"]));
  let calls = 0;
  const seen = await records.steady(
    async () => {
      const count = records.ids.count;
      if (++calls === 1) await records.apply(rows(["c"]));
      return count;
    },
    (count) => [count, records.index.rowCount],
  );
  expect(calls).toBe(2);
  expect(seen).toEqual([3, 3]);
});

it("keeps changes out after some tries, so that a busy writer starves nobody", async () => {
  const records = await open();
  await records.apply(rows(["a"]));
  const changes: Promise<void>[] = [];
  let calls = 0;
  const seen = await records.steady(
    async () => {
      calls++;
      const count = records.ids.count;
      const change = records.apply(rows([`id-${calls}`]));
      changes.push(change);
      // Kept out, it waits for us: then there is no waiting for it.
      await Promise.race([change, new Promise((resolve) => void setImmediate(resolve))]);
      return count;
    },
    (count) => [count, records.index.rowCount],
  );
  expect(calls).toBe(4);
  expect(seen[0]).toBe(seen[1]);
  await Promise.all(changes);
  expect(records.rowCount).toBe(5);
});

it("a change that fails leaves everything as it was", async () => {
  const records = await open();
  await records.apply(rows(["a", "b"]));
  const failing = rows(["c"]);
  const [appended] = failing.appended;
  if (appended === undefined) throw new Error("nothing is appended");
  const vectors = { ...appended.vectors, read: () => Promise.reject(new Error("the file is gone")) };
  await expect(records.apply({ appended: [{ ...appended, vectors }], removed: [0] })).rejects.toThrow(
    "the file is gone",
  );
  expect([records.rowCount, records.size, records.ids.count, records.metadata.count]).toEqual([2, 2, 2, 2]);
  await records.prepareIds();
  expect([records.ids.rowOf("a"), records.ids.rowOf("c")]).toEqual([0, undefined]);
});

it("lives until its last reader is done, and no longer", async () => {
  const records = await open();
  await records.apply(rows(["a"]));
  records.beginReading();
  let isGone = false;
  const retiring = records.retire().then(() => {
    isGone = true;
  });
  expect((await records.index.valuesAt([0])).length).toBe(4);
  expect(isGone).toBe(false);
  records.endReading();
  await retiring;
  await expect(records.index.valuesAt([0])).rejects.toMatchObject({ code: "CLOSED" });
});
