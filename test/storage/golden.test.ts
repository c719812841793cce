/** The bytes of version 1, held: a change here is a change of the format, and needs what FORMAT.md says under Versioning. */
import { expect, test } from "vitest";
import type { StoredColumnShape } from "../../src/core/stored-column.ts";
import { crc32c } from "../../src/storage/crc32c.ts";
import { JournalWriter } from "../../src/storage/journal-writer.ts";
import { writeManifest } from "../../src/storage/manifest-writer.ts";
import { encodeRoot } from "../../src/storage/roots.ts";
import { SegmentWriter } from "../../src/storage/segment-writer.ts";
import { manifestOf } from "./manifests.ts";
import { MemoryFile } from "./memory-file.ts";
import { batchOf, column, SHAPES, someRecords } from "./records.ts";

const SHAPE = SHAPES[1] as StoredColumnShape;

function seal({ bytes }: MemoryFile): string {
  return `${bytes.length} bytes, CRC32C ${crc32c(bytes).toString(16)}`;
}

test("a root has the bytes it always had", () => {
  expect(Buffer.from(encodeRoot({ sequence: 2 ** 32 + 5, generation: 6 })).toString("hex")).toBe(
    [
      "894e464c440d0a1a01000400000000000000000000000000",
      "05000000010000000600000000000000",
      "0000000000000000000000000000000000000000",
      "39976bff",
    ].join(""),
  );
});

test("a segment has the bytes it always had", async () => {
  const file = new MemoryFile();
  const writer = await SegmentWriter.create(file, SHAPE);
  await writer.append(batchOf(someRecords(5), SHAPE));
  await writer.finish();
  expect(seal(file)).toBe("896 bytes, CRC32C dec801bf");
});

test("a journal has the bytes it always had", async () => {
  const file = new MemoryFile();
  const writer = await JournalWriter.create(file, { generation: 3, baseVersion: 10 }, SHAPE);
  const facts = { count: 5, sizeBytes: 999, checksum: 7, minNorm: 1, maxNorm: 2 };
  await writer.append([
    { kind: "upsert", version: 11, atMs: 1, batch: batchOf(someRecords(2), SHAPE) },
    { kind: "segment", version: 12, atMs: 2, segment: { id: 4, facts } },
    { kind: "tag", version: 12, atMs: 3, name: "tag", target: 11 },
    { kind: "delete", version: 13, atMs: 4, ids: column(["id-0", "id-1"]) },
  ]);
  expect(seal(file)).toBe("768 bytes, CRC32C 7df131de");
});

test("a manifest has the bytes it always had", async () => {
  const file = new MemoryFile();
  await writeManifest(file, manifestOf());
  expect(seal(file)).toBe("832 bytes, CRC32C 8244072a");
});
