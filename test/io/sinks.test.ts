/** What is written is read back value for value, and appears whole or not at all. */
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { tableFromIPC } from "apache-arrow";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { companionName } from "../../src/io/companion.ts";
import { DecoderProcess } from "../../src/io/decoder-process.ts";
import { MetadataColumns } from "../../src/io/metadata-columns.ts";
import { openSink, type SinkRows } from "../../src/io/vector-sink.ts";
import { readAll, scratchFolder } from "./files.ts";

const folder = await scratchFolder();
const decoder = await DecoderProcess.start();
afterAll(() => decoder.end());
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
  const columns = new MetadataColumns();
  for (const fields of METADATA) columns.note(fields);
  const sink = await openSink(path, { dimensions: D, columns });
  await sink.append(rowsOf(0, 2));
  await expect(stat(path)).rejects.toThrow("ENOENT");
  await sink.append(rowsOf(2, 5));
  await sink.finish();
  return path;
}

const FORMATS = [".jsonl", ".csv", ".parquet", ".arrow", ".npy", ".fvecs", ".fbin", ".safetensors"];

/** Keys and texts that formats trip over, beside any others. */
const ANY_KEY = fc.oneof(
  fc.constantFrom(
    "year",
    "tags",
    "a:json",
    "a",
    "vector_",
    "vector_x",
    "metadata",
    "",
    " ",
    "é",
    'k"e,y\n',
    "null",
    "0",
  ),
  fc.string({ unit: "grapheme" }).filter((key) => !/^(?:id|vector(?:[_.[ -]?\d+\]?)?|__proto__)$/.test(key)),
);
const ANY_TEXT = fc.oneof(
  fc.constantFrom("", "null", "true", "1", "007", '["a"]', '"', "\r\n", "\uFEFF", "\ud800", " x "),
  fc.string({ unit: "grapheme" }),
);
const ANY_NUMBER = fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => x + 0);
const ANY_RECORD = fc.record({
  id: ANY_TEXT.filter((id) => !/^$|\p{Surrogate}/u.test(id)),
  vector: fc.tuple(
    ANY_NUMBER.map((x) => Math.fround(x / 1e270)),
    fc.constant(-0),
  ),
  metadata: fc.dictionary(
    ANY_KEY,
    fc.oneof(ANY_TEXT, ANY_NUMBER, fc.boolean(), fc.constant(null), fc.array(fc.oneof(ANY_TEXT, ANY_NUMBER))),
    { maxKeys: 4, noNullPrototype: true },
  ),
});

/** What Arrow files cannot hold is refused. */
function fitsArrow({ id, metadata }: { id: string; metadata: object }): boolean {
  return !id.startsWith("\uFEFF") && !Object.hasOwn(metadata, "");
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

  test.each(["b.jsonl", "b.csv", "b.parquet", "b.arrow"])("%s: vectors, ids and metadata", async (name) => {
    const read = await readAll(await write(name));
    expect(read.vectors).toEqual([...VECTORS]);
    expect(read.ids).toEqual(IDS);
    expect(read.metadata).toEqual(METADATA);
    expect(read.rejected).toEqual([]);
    expect(companionName(name)).toBeUndefined();
  });

  test("mixed values, JSON within JSON and nulls come back from Parquet and Arrow", async () => {
    const metadata = [
      { mixed: 1, text: "null", day: '"2020"' },
      { mixed: "1", text: null, list: [] },
      { mixed: true, day: "plain", list: ["é", "\ud83d\ude00"] },
      { mixed: ["[1]", 2], n: -0 },
      undefined,
    ];
    for (const name of ["m.parquet", "m.arrow"]) {
      const columns = new MetadataColumns();
      for (const fields of metadata) columns.note(fields ?? {});
      const path = join(folder, name);
      const sink = await openSink(path, { dimensions: D, columns, idField: "key", vectorField: "v" });
      await sink.append({ ...rowsOf(0, 5), metadata });
      await sink.finish();
      const read = await readAll(path, { fields: { id: "key", vector: "v" } });
      expect(read.ids).toEqual(IDS);
      expect(read.metadata).toEqual([
        metadata[0],
        { mixed: "1", text: null, list: [] },
        { mixed: true, day: "plain", list: ["é", "\ud83d\ude00"] },
        { mixed: ["[1]", 2], n: -0 },
        {},
      ]);
    }
  });

  test.each(FORMATS)("any metadata comes back from %s as it was", async (extension) => {
    const path = join(folder, `any${extension}`);
    await fc.assert(
      fc.asyncProperty(fc.array(ANY_RECORD, { minLength: 1, maxLength: 8 }), async (records) => {
        fc.pre(extension !== ".arrow" || records.every(fitsArrow));
        const columns = new MetadataColumns();
        for (const { metadata } of records) columns.note(metadata);
        const sink = await openSink(path, { dimensions: 2, columns });
        await sink.append({
          count: records.length,
          vectors: Float32Array.from(records.flatMap(({ vector }) => vector)),
          ids: records.map(({ id }) => id),
          metadata: records.map(({ metadata }) => metadata),
        });
        await sink.finish();
        const read = await readAll(path, { decoder, takesCompanion: true });
        expect(read.rejected).toEqual([]);
        expect(read.ids).toEqual(records.map(({ id }) => id));
        expect(read.vectors).toEqual(records.flatMap(({ vector }) => vector.map(Math.fround)));
        expect(read.metadata).toEqual(records.map(({ metadata }) => ({ ...metadata })));
      }),
      { numRuns: 150 },
    );
  });

  test.each([
    [".jsonl", "vector", "id"],
    [".csv", "vector_1", "id"],
    [".csv", "vector[7]", "id", "id:json", "\ud800", "\uFEFFk"],
    [".parquet", "vector", "nearfield:nulls", "\ud800", "\uFEFFk"],
    [".arrow", "id", "nearfield:nulls", "", "\ud800", "\uFEFFk"],
    [".npy", "id", "id"],
  ])("%s: metadata whose key is another column's name is refused, not lost", async (extension, ...keys) => {
    const before = await readdir(folder);
    for (const key of keys) {
      const columns = new MetadataColumns();
      columns.note({ year: 1, [key]: 2 });
      await expect(openSink(join(folder, `taken${extension}`), { dimensions: D, columns })).rejects.toMatchObject({
        code: "INVALID_OPTION",
        message: expect.stringContaining(`metadata with the key "${key}"`),
      });
    }
    expect(await readdir(folder)).toEqual(before);
  });

  test("a matrix with its companion is read from any row on; a bad line is a rejected row", async () => {
    const path = await write("beside.fbin");
    const companion = companionName(path) ?? "";
    const lines = (await readFile(companion, "utf8")).trimEnd().split("\n");
    await writeFile(companion, [lines[0], "nonsense", ...lines.slice(2, 4), '{"id":{}}', ""].join("\n"));
    const read = await readAll(path, { takesCompanion: true, from: 1, size: 2 });
    expect(read).toMatchObject({ rows: [2, 3], ids: IDS.slice(2, 4), rowCount: 5, metadata: METADATA.slice(2, 4) });
    expect(read.vectors).toEqual([...VECTORS.subarray(2 * D, 4 * D)]);
    expect(read.rejected.map(({ row }) => row)).toEqual([1, 4]);
    expect((await readAll(path)).ids).toEqual([]);
    await writeFile(companion, `${lines.join("\n")}\n{"id":"more"}\n`);
    await expect(readAll(path, { takesCompanion: true })).rejects.toMatchObject({
      code: "CORRUPT",
      message: expect.stringMatching(/of 6 lines; expected ids and metadata of the 5 rows/),
    });
  });

  test("an id that Arrow's readers would change is refused", async () => {
    const sink = await openSink(join(folder, "bom.arrow"), { dimensions: D, columns: new MetadataColumns() });
    const marked = { ...rowsOf(0, 2), ids: ["a", "\uFEFFb"], metadata: [undefined, undefined] };
    await expect(sink.append(marked)).rejects.toThrow(/byte order mark.*JSON lines or Parquet/);
    await sink.abort();
  });

  test("an Arrow file is what apache-arrow's own reader takes, a batch an append, without dictionaries", async () => {
    const table = tableFromIPC(await readFile(await write("own.arrow")));
    expect(table.batches.map(({ numRows }) => numRows)).toEqual([2, 3]);
    expect(table.schema.fields.map(({ name, nullable, type }) => `${name} ${nullable} ${type}`)).toEqual([
      "id false Utf8",
      "vector false FixedSizeList[4]<Float32>",
      "name true Utf8",
      "year true Float64",
      "ok true Bool",
      "tags true Utf8",
    ]);
    expect(table.schema.fields[5]?.metadata).toEqual(new Map([["nearfield:text", "json"]]));
    const column = (name: string): unknown[] =>
      Array.from({ length: 5 }, (_, i): unknown => table.getChild(name)?.get(i));
    expect(column("id")).toEqual(IDS);
    expect(column("year")).toEqual([1999, null, -0.1, null, null]);
    expect(column("ok")).toEqual([true, null, null, null, false]);
    expect(column("tags")).toEqual([null, '["a","b"]', null, null, "[1,2]"]);
    const vectors = column("vector").flatMap((list) => [...(list as Iterable<number>)]);
    expect(vectors).toEqual([...VECTORS]);
    const empty = await openSink(join(folder, "none.arrow"), { dimensions: D, columns: new MetadataColumns() });
    await empty.finish();
    const none = tableFromIPC(await readFile(join(folder, "none.arrow")));
    expect([none.numRows, none.schema.names]).toEqual([0, ["id", "vector"]]);
  });

  test.each<[name: string, values: number[], refused: number[]]>([
    ["w.bvecs", [0, 255, 1, 128], [256, -1, 0.5, Number.NaN, 1e-45]],
    ["w.u8bin", [255, 0, 3, 2], [255.5, -1, Infinity]],
    ["w.i8bin", [-128, 127, 0, -1], [-129, 128, -0.5, -Infinity]],
  ])("%s holds whole numbers of its range, and refuses others", async (name, values, refused) => {
    const path = join(folder, name);
    const options = { dimensions: D, columns: new MetadataColumns() };
    const rows = (...vectors: number[]): SinkRows => ({
      count: vectors.length / D,
      vectors: Float32Array.from(vectors),
      ids: IDS.slice(0, vectors.length / D),
      metadata: [undefined, undefined],
    });
    const sink = await openSink(path, options);
    await sink.append(rows(...values, ...values));
    await sink.append(rows(...values));
    await sink.finish();
    const read = await readAll(path);
    expect([read.rowCount, read.vectors]).toEqual([3, [...values, ...values, ...values]]);
    const beside = (await readFile(`${path}.ids.jsonl`, "utf8")).trimEnd().split("\n");
    expect(beside).toEqual(['{"id":"a"}', '{"id":"b,c"}', '{"id":"a"}']);

    const before = await readdir(folder);
    for (const value of refused) {
      const refusing = await openSink(join(folder, `no-${name}`), options);
      await refusing.append(rows(...values));
      await expect(refusing.append(rows(...values, values[0] ?? 0, value, 1, 1))).rejects.toMatchObject({
        code: "INVALID_VECTOR",
        message: expect.stringContaining(`got ${Math.fround(value)} as element 1 of row 2 (id "b,c"); expected whole`),
        details: { position: 2, element: 1 },
      });
      await refusing.abort();
      expect(await readdir(folder)).toEqual(before);
    }
  });

  test("a sink that is aborted leaves nothing, and one of an unknown format is refused", async () => {
    const before = await readdir(folder);
    for (const name of ["c.npy", "c.jsonl", "c.parquet", "c.arrow", "c.bvecs"]) {
      const sink = await openSink(join(folder, name), { dimensions: D, columns: new MetadataColumns() });
      await sink.append({ ...rowsOf(0, 2), vectors: new Float32Array(2 * D), metadata: [undefined, undefined] });
      await sink.abort();
    }
    expect(await readdir(folder)).toEqual(before);
    const unknown = openSink(join(folder, "c.docx"), { dimensions: D, columns: new MetadataColumns() });
    await expect(unknown).rejects.toMatchObject({ code: "INVALID_OPTION" });
    for (const name of ["c.npy", "c.parquet", "c.arrow"]) {
      const nowhere = openSink(join(folder, "no", name), { dimensions: D, columns: new MetadataColumns() });
      await expect(nowhere).rejects.toMatchObject({ code: "NOT_FOUND", message: expect.stringMatching(/ENOENT/) });
    }
  });
});
