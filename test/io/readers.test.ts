/** Each format as its own tools write it. */
import * as arrow from "apache-arrow";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, test } from "vitest";
import { floatToHalf } from "../../src/core/half.ts";
import { readNeighbours } from "../../src/io/open-source.ts";
import { bytesOf, fileOf, npyBytes, readAll, scratchFolder } from "./files.ts";

const folder = await scratchFolder();

/** 5 rows of 3, all of them exact in every element type. */
const VALUES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const ROWS = 5;
const D = 3;
const TRANSPOSED = Array.from({ length: D }, (_, column) => VALUES.filter((_value, i) => i % D === column)).flat();

function elements(type: string, values: readonly number[]): Uint8Array {
  switch (type) {
    case "f2":
      return bytesOf(Uint16Array.from(values, floatToHalf));
    case "f4":
      return bytesOf(Float32Array.from(values));
    case "f8":
      return bytesOf(Float64Array.from(values));
    case "i1":
      return bytesOf(Int8Array.from(values));
    default:
      return bytesOf(Uint8Array.from(values));
  }
}

function swapped(bytes: Uint8Array, size: number): Uint8Array {
  const copy = bytes.slice();
  for (let at = 0; at < copy.length; at += size) copy.subarray(at, at + size).reverse();
  return copy;
}

describe("npy", () => {
  const cases = [1, 2, 3].flatMap((version) =>
    ["f2", "f4", "f8", "i1", "u1"].flatMap((type) => [false, true].map((isFortran) => ({ version, type, isFortran }))),
  );
  test.each(cases)("version $version of $type, Fortran order $isFortran", async ({ version, type, isFortran }) => {
    const body = elements(type, isFortran ? TRANSPOSED : VALUES);
    const path = await fileOf(folder, ".npy", npyBytes(`<${type}`, [ROWS, D], body, { version, isFortran }));
    const read = await readAll(path, { size: 2 });
    expect(read).toMatchObject({
      format: "npy",
      dimensions: D,
      rowCount: ROWS,
      rows: [0, 1, 2, 3, 4],
      vectors: VALUES,
    });
  });

  test("the other byte order, whatever the extension, from a row on", async () => {
    for (const [type, size] of [
      ["f4", 4],
      ["f8", 8],
      ["f2", 2],
    ] as const) {
      const path = await fileOf(folder, ".dat", npyBytes(`>${type}`, [ROWS, D], swapped(elements(type, VALUES), size)));
      expect(await readAll(path, { from: 3, size: 1 })).toMatchObject({ rows: [3, 4], vectors: VALUES.slice(9) });
    }
  });

  test("doubles round to the nearest float32, float32 bit for bit", async () => {
    const path = await fileOf(folder, ".npy", npyBytes("<f8", [1, 2], bytesOf(Float64Array.of(0.1, 1 / 3))));
    expect((await readAll(path)).vectors).toEqual([Math.fround(0.1), Math.fround(1 / 3)]);
    const exact = Float32Array.of(0.1, -1.5e-42, 3.4e38, -0);
    const same = await fileOf(folder, ".npy", npyBytes("<f4", [2, 2], bytesOf(exact)));
    expect((await readAll(same)).vectors).toEqual([...exact]);
  });

  test.each([
    ["<i8", BigInt64Array.of(1n, 2n, -1n, 4n)],
    ["<i4", Int32Array.of(1, 2, -1, 4)],
    ["<u4", Uint32Array.of(1, 2, 0xffffffff, 4)],
  ])("row numbers of %s; negative ones are none", async (descr, values) => {
    const path = await fileOf(folder, ".npy", npyBytes(descr, [2, 2], bytesOf(values)));
    expect(await readNeighbours(path)).toEqual({ count: 2, width: 2, rows: Uint32Array.of(1, 2, 0xffffffff, 4) });
  });
});

describe("rows behind their width, and matrices behind their shape", () => {
  const withWidths = (body: (row: number) => Uint8Array): Uint8Array =>
    Buffer.concat(Array.from({ length: ROWS }, (_, row) => Buffer.concat([bytesOf(Uint32Array.of(D)), body(row)])));
  const rowOf = (row: number): number[] => VALUES.slice(row * D, (row + 1) * D);
  const shape = bytesOf(Uint32Array.of(ROWS, D));

  test.each([
    [".fvecs", withWidths((row) => elements("f4", rowOf(row)))],
    [".bvecs", withWidths((row) => elements("u1", rowOf(row)))],
    [".fbin", Buffer.concat([shape, elements("f4", VALUES)])],
    [".u8bin", Buffer.concat([shape, elements("u1", VALUES)])],
    [".i8bin", Buffer.concat([shape, elements("i1", VALUES)])],
  ])("%s", async (extension, bytes) => {
    const read = await readAll(await fileOf(folder, extension, bytes), { size: 2 });
    expect(read).toMatchObject({ format: extension.slice(1), dimensions: D, rowCount: ROWS, vectors: VALUES });
  });

  test(".ivecs and .ibin are row numbers, and no vectors", async () => {
    const integers = bytesOf(Int32Array.from(VALUES));
    const ivecs = await fileOf(
      folder,
      ".ivecs",
      withWidths((row) => bytesOf(Int32Array.from(rowOf(row)))),
    );
    const ibin = await fileOf(folder, ".ibin", Buffer.concat([shape, integers]));
    for (const path of [ivecs, ibin]) {
      expect(await readNeighbours(path)).toEqual({ count: ROWS, width: D, rows: Uint32Array.from(VALUES) });
      await expect(readAll(path)).rejects.toMatchObject({ code: "UNSUPPORTED_FORMAT" });
    }
  });
});

describe("safetensors", () => {
  const fileOfTensors = (
    tensors: Readonly<Record<string, readonly [dtype: string, shape: readonly number[], body: Uint8Array]>>,
  ): Uint8Array => {
    let at = 0;
    const header = JSON.stringify({
      __metadata__: { format: "pt" },
      ...Object.fromEntries(
        Object.entries(tensors).map(([name, [dtype, shape, body]]) => [
          name,
          { dtype, shape, data_offsets: [at, (at += body.length)] },
        ]),
      ),
    });
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    return Buffer.concat([length, Buffer.from(header), ...Object.values(tensors).map(([, , body]) => body)]);
  };

  test("the one matrix, or the one that is named", async () => {
    const bytes = fileOfTensors({
      bias: ["F32", [D], elements("f4", [1, 1, 1])],
      weight: ["F16", [ROWS, D], elements("f2", VALUES)],
      other: ["F64", [1, D], elements("f8", [7, 7, 7])],
    });
    const path = await fileOf(folder, ".safetensors", bytes);
    expect(await readAll(path, { fields: { vector: "weight" } })).toMatchObject({
      format: "safetensors",
      vectors: VALUES,
    });
    expect((await readAll(path, { fields: { vector: "other" } })).vectors).toEqual([7, 7, 7]);
    await expect(readAll(path)).rejects.toThrow(/2 tensors of two dimensions \(weight, other\).*--vector-field/);
    await expect(readAll(path, { fields: { vector: "bias" } })).rejects.toMatchObject({ code: "UNSUPPORTED_FORMAT" });
    const alone = await fileOf(folder, ".bin", fileOfTensors({ only: ["F32", [ROWS, D], elements("f4", VALUES)] }));
    expect((await readAll(alone)).vectors).toEqual(VALUES);
  });
});

describe("JSON lines", () => {
  test("ids, vectors and the rest; what is no record is a rejected row", async () => {
    const lines = [
      '\uFEFF{"id":"a","vector":[1,2],"kind":"x","n":1}',
      "",
      '{"vector":[3,4],"tags":["p","q"]}\r',
      '{"id":7,"vector":[5,6]}',
      '{"id":"short","vector":[1]}',
      "not json",
      "[1,2]",
      '{"id":{},"vector":[1,2]}',
      '{"id":"b","vector":[7,"8"]}',
      '{"id":"c","vector":[9,10]}',
    ];
    const read = await readAll(await fileOf(folder, ".txt", lines.join("\n")), { size: 3 });
    expect(read).toMatchObject({
      format: "jsonl",
      dimensions: 2,
      rowCount: undefined,
      rows: [0, 1, 2, 8],
      vectors: [1, 2, 3, 4, 5, 6, 9, 10],
      ids: ["a", "row 1", "7", "c"],
      metadata: [{ kind: "x", n: 1 }, { tags: ["p", "q"] }, {}, {}],
    });
    expect(read.rejected.map(({ row }) => row)).toEqual([3, 4, 5, 6, 7]);
    expect(read.rejected[0]?.reason).toBe("vector has 1 elements, not 2");
    expect(read.rejected[3]?.reason).toMatch(/id is .*, not a string or a number/);
    expect(read.rejected[4]?.reason).toBe('vector has "8" as element 1, not a number');
  });

  test("metadata in a field of its own, as the API's records have it", async () => {
    const lines = [
      '{"id":"a","vector":[1],"metadata":{"year":1,"tags":["x"]}}',
      '{"id":"b","vector":[1],"metadata":{"year":1},"more":2}',
      '{"id":"c","vector":[1],"metadata":"text"}',
      '{"id":"d","vector":[1],"metadata":{"year":1},"year":2}',
    ];
    const read = await readAll(await fileOf(folder, ".jsonl", lines.join("\n")));
    expect(read.metadata).toEqual([{ year: 1, tags: ["x"] }, { year: 1, more: 2 }, { metadata: "text" }]);
    expect(read.rejected).toEqual([{ row: 3, id: "d", reason: "year is there twice: beside metadata and within it" }]);
  });

  test("integers of 64 bits keep their digits", async () => {
    const lines = [
      '{"id":1580661436132757506,"vector":[1580661436132757506],"n":9007199254740993,"t":"1580661436132757507","x":1e300}',
      '{"id":1580661436132757507,"vector":[2],"n":9007199254740992,"q":"\\"12345678901234567890"}',
      '{"id":"c","vector":[9007199254740993],"metadata":{"n":9007199254740993,"l":[9007199254740993,1]}}',
    ];
    const read = await readAll(await fileOf(folder, ".jsonl", lines.join("\n")));
    expect(read).toMatchObject({
      ids: ["1580661436132757506", "1580661436132757507", "c"],
      vectors: [Math.fround(Number("1580661436132757506")), 2, 2 ** 53],
      metadata: [
        { n: "9007199254740993", t: "1580661436132757507", x: 1e300 },
        { n: 9007199254740992, q: '"12345678901234567890' },
        { n: "9007199254740993", l: ["9007199254740993", 1] },
      ],
    });
    const csv = await readAll(
      await fileOf(folder, ".csv", "id,vector0,n,m\n1580661436132757506,.5,9007199254740993,7e999\n"),
    );
    expect(csv).toMatchObject({ ids: ["1580661436132757506"], metadata: [{ n: "9007199254740993", m: "7e999" }] });
  });

  test("an id field that was named and is not there is no reason to make ids up", async () => {
    const path = await fileOf(folder, ".jsonl", '{"key":"a","vector":[1]}\n');
    await expect(readAll(path, { fields: { id: "kye" } })).rejects.toMatchObject({
      code: "INVALID_OPTION",
      message: expect.stringMatching(/no field kye; .*fields: key, vector.*--id-field/),
    });
    expect((await readAll(path)).ids).toEqual(["row 0"]);
  });

  test("fields of other names; a key __proto__ stays a key", async () => {
    const path = await fileOf(folder, ".jsonl", '{"key":"a","emb":[1],"id":"mine","__proto__":1}\n');
    const read = await readAll(path, { fields: { id: "key", vector: "emb" } });
    expect(read).toMatchObject({ ids: ["a"], vectors: [1] });
    expect(Object.keys(read.metadata[0] ?? {}).sort()).toEqual(["__proto__", "id"]);
    await expect(readAll(path)).rejects.toMatchObject({
      code: "INVALID_OPTION",
      message: expect.stringMatching(/field vector; .*fields: key, emb, id.*--vector-field/),
    });
  });
});

describe("CSV", () => {
  test("a column an element, texts, numbers and truths", async () => {
    const text =
      'id,vector_0,vector_1,name,year,ok,zip\r\n"01",1,2,"A, ""B""",1999,true,"007"\r\nb,3.5,-4e1,,,false,007\r\n';
    expect(await readAll(await fileOf(folder, ".csv", text))).toMatchObject({
      format: "csv",
      dimensions: 2,
      vectors: [1, 2, 3.5, -40],
      ids: ["01", "b"],
      metadata: [
        { name: 'A, "B"', year: 1999, ok: true, zip: "007" },
        { ok: false, zip: "007" },
      ],
    });
  });

  test.each(['"[1, 2]"', '"1,2"', "1 2", "1;2"])("a column of numbers written %s", async (cell) => {
    expect(
      await readAll(await fileOf(folder, ".csv", `word,emb\nx,${cell}\n`), { fields: { vector: "emb", id: "word" } }),
    ).toMatchObject({
      vectors: [1, 2],
      ids: ["x"],
    });
  });

  test("quoted numbers, ids as they stand, nulls, empty texts, and columns of JSON", async () => {
    const text = [
      '"id","vector_0","vector_1","a","b","tags:json"',
      '"x","1"," -2.5","",null,"[1,""p""]"',
      "007, 3,4e0,null,,null",
      "null,5,6,true,,7",
      ",7,8,,,",
    ];
    const read = await readAll(await fileOf(folder, ".csv", text.join("\n")));
    expect(read).toMatchObject({
      ids: ["x", "007", "null", "row 3"],
      vectors: [1, -2.5, 3, 4, 5, 6, 7, 8],
      rejected: [],
      metadata: [{ a: "", b: null, tags: [1, "p"] }, { a: null, tags: null }, { a: true, tags: 7 }, {}],
    });
    for (const [refused, message] of [
      ["id,vector0,id\na,1,b\n", /two columns named "id"/],
      ["id;vector0\na;1,5\n", /columns apart by commas/],
      ["id,vector0,tags,tags:json\na,1,x,\n", /two columns named "tags"/],
      [Buffer.from([0x69, 0x64, 0x2c, 0x76, 0x0a, 0xe9, 0x2c, 0x31, 0x0a]), /UTF-8/],
    ] as const) {
      await expect(readAll(await fileOf(folder, ".csv", refused), { fields: { vector: "v" } })).rejects.toThrow(
        message,
      );
    }
    // Commas at the end, as spreadsheets leave them.
    const trailing = await readAll(await fileOf(folder, ".csv", "id,vector_0,,\na,1,,\n"));
    expect(trailing).toMatchObject({ ids: ["a"], metadata: [{}] });
    const bad = await readAll(await fileOf(folder, ".csv", "vector_0,t:json\n1,{}\n2,{\n"));
    expect([bad.rows, bad.rejected]).toEqual([[0], [{ row: 1, reason: 't:json is "{", not JSON' }]]);
  });

  test("rows that do not fit are rejected one by one", async () => {
    const path = await fileOf(folder, ".csv", "id,v0,v1\na,1,2\nb,1,\nc,1,x\nd,1,2,3\ne,3,4\n");
    const read = await readAll(path, { fields: { vector: "v" } });
    expect(read).toMatchObject({ rows: [0, 4], ids: ["a", "e"], vectors: [1, 2, 3, 4] });
    expect(read.rejected.map(({ row }) => row)).toEqual([1, 2, 3]);
  });
});

describe("Parquet and Arrow, as other tools write them", () => {
  const vectors = Array.from({ length: ROWS }, (_, row) => VALUES.slice(row * D, (row + 1) * D));

  test("hyparquet-writer: lists, ids, texts, 64-bit integers, dates and nothing, in several groups", async () => {
    const buffer = parquetWriteBuffer({
      columnData: [
        { name: "id", data: ["a", "b", "c", "d", "e"] },
        { name: "vector", data: vectors },
        { name: "year", data: [1n, 2n, 3n, 4n, 2n ** 60n], type: "INT64" },
        { name: "at", data: Array.from({ length: ROWS }, () => new Date(0)), type: "TIMESTAMP" },
        { name: "note", data: ["x", null, "y", null, "z"] },
      ],
      rowGroupSize: 2,
    });
    const path = await fileOf(folder, ".parquet", new Uint8Array(buffer));
    const read = await readAll(path, { size: 2 });
    expect(read).toMatchObject({
      format: "parquet",
      dimensions: D,
      rowCount: ROWS,
      vectors: VALUES,
      ids: ["a", "b", "c", "d", "e"],
    });
    expect(read.metadata[0]).toEqual({ year: 1, at: "1970-01-01T00:00:00.000Z", note: "x" });
    expect(read.metadata[4]).toEqual({ year: "1152921504606846976", at: "1970-01-01T00:00:00.000Z", note: "z" });
    // An id that looks like a row's number within its group stays what it is.
    const numbered = parquetWriteBuffer({
      columnData: [
        { name: "id", data: ["9", "8", "0", null, "1"] },
        { name: "vector", data: vectors },
      ],
      rowGroupSize: 2,
    });
    const other = await fileOf(folder, ".parquet", new Uint8Array(numbered));
    expect(await readAll(other, { from: 2, size: 2 })).toMatchObject({ rows: [2, 3, 4], ids: ["0", "row 3", "1"] });
    expect(await readAll(path, { from: 3, size: 4 })).toMatchObject({
      rows: [3, 4],
      ids: ["d", "e"],
      vectors: VALUES.slice(9),
    });
  });

  test.each(["file", "stream"] as const)("apache-arrow: a %s of fixed-size lists, in two batches", async (kind) => {
    const type = new arrow.FixedSizeList(D, new arrow.Field("item", new arrow.Float32(), false));
    const batchOf = (first: number, count: number): arrow.RecordBatch => {
      const item = arrow.makeData({
        type: new arrow.Float32(),
        data: Float32Array.from(VALUES.slice(first * D, (first + count) * D)),
      });
      const list = arrow.makeData({ type, length: count, nullCount: 0, child: item });
      const texts = (textOf: (row: number) => string): arrow.Data[] => [
        ...arrow.vectorFromArray(
          Array.from({ length: count }, (_, i) => textOf(first + i)),
          new arrow.Utf8(),
        ).data,
      ];
      const children = [...texts((row) => `r${row}`), list, ...texts((row) => `[${row}]`), ...texts(() => "[0]")];
      const schema = new arrow.Schema([
        new arrow.Field("id", new arrow.Utf8()),
        new arrow.Field("vector", type),
        new arrow.Field("json", new arrow.Utf8(), true, new Map([["ARROW:extension:name", "arrow.json"]])),
        new arrow.Field("text", new arrow.Utf8()),
      ]);
      return new arrow.RecordBatch(
        schema,
        arrow.makeData({ type: new arrow.Struct(schema.fields), length: count, nullCount: 0, children }),
      );
    };
    const bytes = arrow.tableToIPC(new arrow.Table([batchOf(0, 2), batchOf(2, 3)]), kind);
    const path = await fileOf(folder, ".arrow", bytes);
    expect(await readAll(path, { size: 4 })).toMatchObject({
      format: "arrow",
      dimensions: D,
      vectors: VALUES,
      ids: ["r0", "r1", "r2", "r3", "r4"],
      metadata: [0, 1, 2, 3, 4].map((row) => ({ json: [row], text: "[0]" })),
    });
  });

  test("halves, nulls within vectors, structs, times and bytes say what they mean, or are rejected", async () => {
    const { makeVector, vectorFromArray, Table, Field, List, Struct, TimestampMillisecond } = arrow;
    const floats = [
      [0.5, 2],
      [1, null],
      [3, 4],
    ];
    const columns: Record<string, arrow.Vector> = {
      id: vectorFromArray(["a", "b", "c"], new arrow.Utf8()),
      vector: vectorFromArray(floats, new List(new Field("item", new arrow.Float16(), true))),
      at: makeVector({ type: new arrow.TimestampMillisecond(), data: BigInt64Array.of(0n, 1n, 1500n) }),
      metadata: vectorFromArray(
        [
          { n: 1, t: null, when: 0 },
          { n: 2, t: "x", when: 1 },
          { n: 3, t: "y", when: 1500 },
        ],
        new Struct([
          new Field("n", new arrow.Float64(), true),
          new Field("t", new arrow.Utf8(), true),
          new Field("when", new TimestampMillisecond(), true),
        ]),
      ),
      sizes: vectorFromArray([[1n, 2n], [], [2n ** 60n]], new List(new Field("item", new arrow.Int64(), true))),
      words: vectorFromArray([[7], [], [8, 9]], new List(new Field("item", new arrow.Uint32(), true))),
      small: vectorFromArray([[7], [], [8, 9]], new List(new Field("item", new arrow.Uint8(), true))),
    };
    const table = new Table(columns);
    const read = await readAll(await fileOf(folder, ".arrow", arrow.tableToIPC(table, "file")));
    expect(read).toMatchObject({ ids: ["a", "c"], vectors: [0.5, 2, 3, 4] });
    expect(read.metadata).toEqual([
      { at: "1970-01-01T00:00:00.000Z", n: 1, when: "1970-01-01T00:00:00.000Z", sizes: [1, 2], words: [7], small: [7] },
      {
        at: "1970-01-01T00:00:01.500Z",
        n: 3,
        t: "y",
        when: "1970-01-01T00:00:01.500Z",
        sizes: ["1152921504606846976"],
        words: [8, 9],
        small: [8, 9],
      },
    ]);
    expect(read.rejected).toEqual([{ row: 1, id: "b", reason: "vector has null as element 1, not a number" }]);

    const bytes = parquetWriteBuffer({
      columnData: [
        { name: "id", data: [Uint8Array.of(0x80, 1), Uint8Array.of(0x61, 0x62)], type: "BYTE_ARRAY" },
        { name: "vector", data: [[1], [2]] },
      ],
    });
    const mixed = await readAll(await fileOf(folder, ".parquet", new Uint8Array(bytes)));
    expect(mixed).toMatchObject({
      ids: ["ab"],
      rejected: [{ row: 0, reason: expect.stringMatching(/^id is a Uint8Array of 2/) }],
    });
  });
});
