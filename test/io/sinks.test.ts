/** What is written is read back value for value, and appears whole or not at all. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type ColumnKind, companionName, noteColumns, openSink, type SinkRows } from "../../src/io/vector-sink.ts";
import { readAll, scratchFolder } from "./files.ts";

const folder = await scratchFolder();
const D = 4;

const METADATA: readonly Readonly<Record<string, unknown>>[] = [
  { name: "plain", year: 1999, ok: true },
  { name: 'quotes " and, commas\nand lines', tags: ["a", "b"] },
  { name: "007", year: -0.1 },
  {},
  { name: "true", ok: false, tags: [1, 2] },
];
const VECTORS = Float32Array.of(
  0.1,
  -0,
  1e-45,
  3.4e38,
  1,
  2,
  3,
  4,
  ...[1 / 3, -1e-20, 5, 6],
  7,
  8,
  9,
  10,
  11,
  12,
  13,
  14,
);
const IDS = ["a", "b,c", 'd"e', "é", "0"];

function rowsOf(from: number, to: number): SinkRows {
  return {
    count: to - from,
    vectors: VECTORS.subarray(from * D, to * D),
    ids: IDS.slice(from, to),
    metadata: METADATA.slice(from, to),
  };
}

async function write(name: string): Promise<string> {
  const path = join(folder, name);
  const columns = new Map<string, ColumnKind>();
  for (const fields of METADATA) noteColumns(columns, fields);
  const sink = await openSink(path, { dimensions: D, columns });
  await sink.append(rowsOf(0, 2));
  await expect(stat(path)).rejects.toThrow("ENOENT");
  await sink.append(rowsOf(2, 5));
  await sink.finish();
  return path;
}

describe("round trips", () => {
  test.each(["a.npy", "a.fvecs", "a.fbin", "a.safetensors"])(
    "%s: bit for bit, ids and metadata beside it",
    async (name) => {
      const path = await write(name);
      const { vectors, rowCount } = await readAll(path);
      expect(rowCount).toBe(5);
      expect(vectors.map((x) => (Object.is(x, -0) ? "-0" : x))).toEqual(
        [...VECTORS].map((x) => (Object.is(x, -0) ? "-0" : x)),
      );
      const beside = (await readFile(companionName(path) ?? "", "utf8"))
        .trimEnd()
        .split("\n")
        .map((line): unknown => JSON.parse(line));
      expect(beside).toEqual(IDS.map((id, i) => ({ ...METADATA[i], id })));
    },
  );

  test.each(["b.jsonl", "b.csv", "b.parquet"])("%s: vectors, ids and metadata", async (name) => {
    const read = await readAll(await write(name));
    expect(read.vectors).toEqual([...VECTORS].map((x) => (name.endsWith("parquet") ? x : x + 0)));
    expect(read.ids).toEqual(IDS);
    const wanted = METADATA.map((fields) => {
      const { tags, ...rest } = fields;
      if (tags === undefined) return rest;
      return { ...rest, tags: name.endsWith("csv") ? JSON.stringify(tags) : tags };
    });
    expect(read.metadata).toEqual(wanted);
    expect(read.rejected).toEqual([]);
    expect(companionName(name)).toBeUndefined();
  });

  test("a sink that is aborted leaves nothing, and one of an unknown format is refused", async () => {
    const before = await readdir(folder);
    for (const name of ["c.npy", "c.jsonl", "c.parquet"]) {
      const sink = await openSink(join(folder, name), { dimensions: D, columns: new Map() });
      await sink.append({ ...rowsOf(0, 2), metadata: [undefined, undefined] });
      await sink.abort();
    }
    expect(await readdir(folder)).toEqual(before);
    const unknown = openSink(join(folder, "c.docx"), { dimensions: D, columns: new Map() });
    await expect(unknown).rejects.toMatchObject({ code: "UNSUPPORTED_FORMAT" });
    const nowhere = openSink(join(folder, "no", "c.npy"), { dimensions: D, columns: new Map() });
    await expect(nowhere).rejects.toMatchObject({ code: "INVALID_OPTION", message: expect.stringMatching(/ENOENT/) });
  });
});
