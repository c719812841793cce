import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileFilter, type Filter } from "../../src/collection/filter.ts";
import { nextAbove } from "../../src/collection/filter-run.ts";
import { checkMetadata, type Metadata } from "../../src/collection/metadata.ts";
import { KeyColumn } from "../../src/collection/metadata-column.ts";
import { MetadataColumns } from "../../src/collection/metadata-columns.ts";
import { BLOCK_ROWS } from "../../src/collection/metadata-entries.ts";
import { MetadataTable } from "../../src/collection/metadata-table.ts";
import { TextRows } from "../../src/collection/text-rows.ts";
import { NearfieldError } from "../../src/core/errors.ts";
import { matchesRecord } from "./filter-reference.ts";
import { rowsOf, slicesOf, textColumn } from "./tables.ts";

const cyclic: Record<string, unknown> = {};
cyclic["$not"] = cyclic;
const nested = (levels: number, inner: unknown): unknown =>
  Array.from({ length: levels - 1 }).reduce((filter) => ({ $not: filter }), inner);

describe("compileFilter", () => {
  test.each<[string, unknown, string, RegExp]>([
    ["null", null, "", /null as the filter; expected a plain object/],
    ["undefined", undefined, "", /undefined as the filter/],
    ["an array", [{ a: 1 }], "", /an array of 1 as the filter/],
    ["a string", "a = 1", "", /"a = 1" as the filter/],
    [
      "an instance",
      new (class Filter {
        a = 1;
      })(),
      "",
      /a Filter as the filter/,
    ],
    ["an object that inherits its conditions", Object.create({ year: 1 }), "", /plain object/],
    ["an unknown operator", { year: { $near: 1 } }, "year.$near", /unknown operator "\$near" at year\.\$near/],
    ["an unknown operator around keys", { $nor: [] }, "$nor", /unknown operator "\$nor" at \$nor/],
    ["an operator without a key", { $gt: 5 }, "$gt", /unknown operator "\$gt"/],
    ["$where", { $where: "1" }, "$where", /unknown operator/],
    ["$and inside a key", { year: { $and: [] } }, "year.$and", /operators of a key stand inside it/],
    ["nested metadata", { a: { b: 1 } }, "a.b", /"b" within a key at a\.b.*metadata is flat/],
    ["a Date", { at: { $gte: new Date(0) } }, "at.$gte", /a Date at at\.\$gte.*toISOString/],
    ["a Date as a value", { at: new Date(0) }, "at", /a Date at at.*toISOString/],
    ["a Date for the filter", new Date(0), "", /a Date as the filter/],
    ["a regular expression", { a: /x/ }, "a", /a RegExp at a.*no regular expressions/],
    ["a regular expression in $in", { a: { $in: ["x", /x/] } }, "a.$in[1]", /a RegExp at a\.\$in\[1\]/],
    ["a function", { a: () => true }, "a", /a function at a.*no code/],
    ["a symbol", { a: Symbol("s") }, "a", /a symbol at a/],
    ["a symbol as a key", { [Symbol("s")]: 1 }, "", /symbol as a key/],
    ["a bigint", { a: 1n }, "a", /1 at a.*use a number or a string/],
    ["NaN", { $or: [{ a: 1 }, { year: { $gte: Number.NaN } }] }, "$or[1].year.$gte", /NaN at \$or\[1\]\.year\.\$gte/],
    ["NaN in $nin", { a: { $nin: [Number.NaN] } }, "a.$nin[0]", /NaN/],
    ["undefined as a value", { user: undefined }, "user", /undefined at user.*\$exists: false/],
    ["undefined in an operator", { a: { $eq: undefined } }, "a.$eq", /undefined at a\.\$eq/],
    ["an array as a value", { tags: ["a"] }, "tags", /an array of 1 at tags.*use \$in/],
    ["an array in $eq", { tags: { $eq: ["a"] } }, "tags.$eq", /an array of 1/],
    ["an array in $in", { tags: { $in: [["a"]] } }, "tags.$in[0]", /an array of 1/],
    ["an object in $eq", { a: { $eq: { b: 1 } } }, "a.$eq", /a Object/],
    ["$in of a single value", { a: { $in: "a" } }, "a.$in", /"a" at a\.\$in; expected a list of values/],
    ["a list with holes", { a: { $in: [1, , 2] } }, "a.$in[1]", /undefined at a\.\$in\[1\]/], // oxlint-disable-line no-sparse-arrays
    ["a boolean to compare with", { a: { $gt: true } }, "a.$gt", /true at a\.\$gt; expected a number or a string/],
    ["null to compare with", { a: { $lte: null } }, "a.$lte", /null at a\.\$lte/],
    ["$exists of a number", { a: { $exists: 1 } }, "a.$exists", /1 at a\.\$exists; expected true or false/],
    ["$not of a value", { a: { $not: 5 } }, "a.$not", /5 at a\.\$not.*\$ne/],
    ["$not of a list", { $not: [{ a: 1 }] }, "$not", /an array of 1 at \$not/],
    ["no operators", { a: {} }, "a", /an empty object at a/],
    ["$not of no operators", { a: { $not: {} } }, "a.$not", /an empty object/],
    ["an empty $and", { $and: [] }, "$and", /an empty list at \$and/],
    ["an empty $or", { a: 1, $or: [] }, "$or", /an empty list at \$or/],
    ["$or of an object", { $or: { a: 1 } }, "$or", /expected a list of filters/],
    ["$and of values", { $and: [{ a: 1 }, 5] }, "$and[1]", /5 at \$and\[1\]/],
    ["the key __proto__", JSON.parse('{"__proto__":1}'), "", /the key __proto__/],
    ["the key constructor", { $not: { constructor: "x" } }, "$not", /the key constructor at \$not/],
    ["the operator __proto__", { a: JSON.parse('{"__proto__":1}') }, "a", /the key __proto__ at a/],
    ["a filter in itself", cyclic, Array(16).fill("$not").join("."), /more than 16 levels/], // oxlint-disable-line unicorn/no-new-array
    ["a getter that throws", Object.defineProperty({}, "a", { enumerable: true, get: () => { throw new Error("x"); } }), "", /cannot be read/], // biome-ignore format: one line a case
    ["a key that is no name", { "a b": { $gt: null } }, '["a b"].$gt', /null at \["a b"\]\.\$gt/],
  ])("%s is refused, with its place", (_, filter, path, message) => {
    expect(() => compileFilter(filter)).toThrow(NearfieldError);
    expect(() => compileFilter(filter)).toThrow(
      expect.objectContaining({ code: "INVALID_FILTER", message: expect.stringMatching(message), details: { path } }),
    );
  });

  test("16 levels are taken and 17 are not, of filters and of operators", () => {
    expect(() => compileFilter(nested(16, { a: 1 }))).not.toThrow();
    expect(() => compileFilter(nested(17, { a: 1 }))).toThrow(/16 levels/);
    expect(() => compileFilter({ a: nested(16, { $gt: 1 }) })).not.toThrow();
    expect(() => compileFilter({ a: nested(17, { $gt: 1 }) })).toThrow(/16 levels/);
    expect(() => compileFilter(nested(9, { a: nested(8, { $gt: 1 }) }))).not.toThrow();
    expect(() => compileFilter(nested(9, { a: nested(9, { $gt: 1 }) }))).toThrow(/16 levels/);
  });

  test("1,000 conditions are taken and 1,001 are not, empty filters among them", () => {
    const list = (count: number, of: unknown): unknown => ({ $or: Array.from({ length: count }, () => of) });
    const keys = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 1]));
    expect(() => compileFilter(list(1000, { a: 1 }))).not.toThrow();
    expect(() => compileFilter(list(1001, { a: 1 }))).toThrow(/1000 conditions/);
    expect(() => compileFilter(list(1000, {}))).not.toThrow();
    expect(() => compileFilter({ a: 1, ...(list(1000, {}) as object) })).toThrow(/1000 conditions/);
    expect(() => compileFilter(list(500, { a: { $gt: 1, $lt: 2 } }))).not.toThrow();
    expect(() => compileFilter(list(501, { a: { $gt: 1, $lt: 2 } }))).toThrow(/1000 conditions/);
    expect(() => compileFilter(keys(1000))).not.toThrow();
    expect(() => compileFilter(keys(1001))).toThrow(/1000 conditions/);
    expect(() => compileFilter({ $or: Array(1e9) })).toThrow(/1000 conditions/); // oxlint-disable-line unicorn/no-new-array
    // One list, shared at every level: seen as often as it is reached.
    let shared: unknown = { a: 1 };
    for (let level = 1; level < 16; level++) shared = { $or: [shared, shared] };
    expect(() => compileFilter(shared)).toThrow(/1000 conditions/);
  });

  test("100,000 values are taken and 100,001 are not, in all", () => {
    const values = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
    expect(() => compileFilter({ a: { $in: values(60_000) }, b: { $nin: values(40_000) } })).not.toThrow();
    expect(() => compileFilter({ a: { $in: values(60_000) }, b: { $nin: values(40_001) } })).toThrow(/100001 values/);
    expect(() => compileFilter({ a: { $in: Array(1e9) } })).toThrow(/1000000000 values/); // oxlint-disable-line unicorn/no-new-array
  });

  test("keeps nothing of the caller's objects, and names each key once", () => {
    const values = ["x"];
    const filter = { a: { $in: values }, $or: [{ b: 1 }, { a: 2 }] };
    const compiled = compileFilter(filter);
    const before = structuredClone(compiled);
    values.push("y");
    filter.$or.length = 0;
    expect(compiled).toEqual(before);
    expect(compiled.keys).toEqual(["a", "b"]);
  });

  test("takes plain objects of other realms and without prototype, and nothing that is inherited", () => {
    const foreign: unknown = runInNewContext('({ a: { $in: ["x"] } })');
    expect(compileFilter(foreign)).toEqual(compileFilter({ a: { $in: ["x"] } }));
    expect(compileFilter(Object.assign(Object.create(null), { a: 1 }))).toEqual(compileFilter({ a: 1 }));
  });
});

/** Values that meet often, of every type, and of every kind that compares differently. */
const scalar = fc.oneof(
  fc.constantFrom("a", "b", "", "1", "null", "true", "é", "\ue000", "🎉", "\ud83d", 'q"\\', "2024-05-01"),
  fc.constantFrom(0, 1, -1, 2, 0.5, 1e300, -0, 2 ** 31, -(2 ** 31), 2 ** 53, 300, 70_000),
);
const single = fc.oneof(scalar, fc.boolean(), fc.constant(null));
const stored = fc.oneof(single, fc.array(scalar, { maxLength: 3 }));
const key = fc.constantFrom("a", "b", "c", 'd"', "toString");
const record = fc.option(fc.dictionary(key, stored, { maxKeys: 4, noNullPrototype: true }), { nil: undefined });
const bound = fc.oneof(scalar, fc.constantFrom(Infinity, -Infinity));
const condition = fc.oneof(
  fc.record({ $eq: single }),
  fc.record({ $ne: single }),
  fc.record({ $gt: bound }),
  fc.record({ $gte: bound }),
  fc.record({ $lt: bound }),
  fc.record({ $lte: bound }),
  fc.record({ $in: fc.array(single, { maxLength: 4 }) }),
  fc.record({ $nin: fc.array(single, { maxLength: 4 }) }),
  fc.record({ $exists: fc.boolean() }),
  fc.record({ $gte: bound, $lt: bound }),
);
const operators = fc.oneof(
  { weight: 4, arbitrary: condition },
  { weight: 1, arbitrary: fc.record({ $not: condition }) },
);
const { filter } = fc.letrec<{ filter: Filter }>((tie) => ({
  filter: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    { weight: 3, arbitrary: fc.dictionary(key, fc.oneof(single, operators), { maxKeys: 2, noNullPrototype: true }) },
    { weight: 1, arbitrary: fc.record({ $or: fc.array(tie("filter"), { minLength: 1, maxLength: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ $and: fc.array(tie("filter"), { minLength: 1, maxLength: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ $not: tie("filter") }) },
    { weight: 1, arbitrary: fc.record({ a: operators, $or: fc.array(tie("filter"), { minLength: 1, maxLength: 2 }) }) },
  ),
}));

function jsonOf(value: Metadata | undefined): string {
  if (value === undefined) return "";
  const checked = checkMetadata(value);
  if (!checked.isValid) throw new Error(checked.reason);
  return checked.json;
}

function tableOf(records: readonly (Metadata | undefined)[]): MetadataTable {
  const table = new MetadataTable();
  table.append(textColumn(records.map(jsonOf)));
  return table;
}

function expected(wanted: Filter, records: readonly (Metadata | undefined)[]): number[] {
  return records.flatMap((one, row) => (matchesRecord(wanted, one) ? [row] : []));
}

describe("a filter", () => {
  test("matches exactly the records that it says, and still does when more have come", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(record, { maxLength: 40 }), { minLength: 1, maxLength: 3 }),
        fc.array(filter, { minLength: 1, maxLength: 4 }),
        async (batches, filters) => {
          const table = new MetadataTable();
          const records: (Metadata | undefined)[] = [];
          for (const batch of batches) {
            records.push(...batch);
            table.append(textColumn(batch.map(jsonOf)));
            for (const wanted of filters) {
              const bits = await table.match(compileFilter(wanted), slicesOf());
              expect(bits.length).toBe(Math.ceil(records.length / 32));
              expect(rowsOf(bits)).toEqual(expected(wanted, records));
            }
          }
        },
      ),
      { numRuns: 600 },
    );
  });

  /** The documented table, one line a case: which of these records match. */
  const films: Metadata[] = [
    { year: 1999, tags: ["a", "b"], lang: "en" },
    { year: "1999", tags: "a", lang: null },
    { year: [1990, 2010], tags: [], seen: true },
    { tags: ["c"], seen: false },
    {},
  ];
  test.each<[Filter, number[]]>([
    [{}, [0, 1, 2, 3, 4]],
    [{ year: 1999 }, [0]],
    [{ year: "1999" }, [1]],
    [{ year: { $ne: 1999 } }, [1, 2, 3, 4]],
    [{ year: { $gt: 1998 } }, [0, 2]],
    [{ year: { $gt: 1999 } }, [2]],
    [{ year: { $gte: 2010 } }, [2]],
    [{ year: { $lt: 1990 } }, []],
    [{ year: { $lte: 1990 } }, [2]],
    [{ year: { $gte: "1999" } }, [1]],
    [{ year: { $gt: 1995, $lt: 2005 } }, [0, 2]],
    [{ year: { $not: { $gt: 1995, $lt: 2005 } } }, [1, 3, 4]],
    [{ tags: "a" }, [0, 1]],
    [{ tags: { $in: ["b", "c"] } }, [0, 3]],
    [{ tags: { $nin: ["b", "c"] } }, [1, 2, 4]],
    [{ tags: { $in: [] } }, []],
    [{ tags: { $nin: [] } }, [0, 1, 2, 3, 4]],
    [{ tags: { $exists: true } }, [0, 1, 2, 3]],
    [{ tags: { $exists: false } }, [4]],
    [{ lang: null }, [1]],
    [{ lang: { $ne: null } }, [0, 2, 3, 4]],
    [{ lang: { $exists: true } }, [0, 1]],
    [{ seen: true }, [2]],
    [{ seen: { $in: [false, "x"] } }, [3]],
    [{ seen: { $ne: true } }, [0, 1, 3, 4]],
    [{ $not: { lang: "en" } }, [1, 2, 3, 4]],
    [{ $and: [{ tags: "a" }, { year: 1999 }] }, [0]],
    [{ tags: "a", $or: [{ lang: "en" }, { lang: null }] }, [0, 1]],
    [{ nowhere: "x" }, []],
    [{ nowhere: { $ne: "x" } }, [0, 1, 2, 3, 4]],
  ])("%j matches as documented", async (wanted, rows) => {
    expect(expected(wanted, films)).toEqual(rows);
    expect(rowsOf(await tableOf(films).match(compileFilter(wanted), slicesOf()))).toEqual(rows);
  });

  test("is the same over blocks, wide values and gaps: 150,000 rows", async () => {
    const value = (i: number): Metadata | undefined =>
      i % 1000 === 7
        ? undefined
        : {
            n: i % 70_000 === 69_999 ? i + 0.5 : i,
            id: `key ${i}`,
            group: `g${i % 300}`,
            ...(i % 3 === 0 ? { tags: [`t${i % 5}`, `t${i % 7}`, i % 11] } : {}),
            ...(i > 140_000 ? { late: i % 2 === 0 } : {}),
          };
    const records = Array.from({ length: 150_000 }, (_, i) => value(i));
    const table = tableOf(records);
    const filters: Filter[] = [
      { n: { $gte: 65_530, $lt: 131_080 } },
      { n: { $in: [0, 65_535, 65_536, 69_999.5, 149_999] } },
      { n: { $in: [3, 1e12, -5] } },
      { n: { $in: [100, 102, 200] } },
      { id: { $in: ["key 0", "key 66000", "key 149999", "key x"] } },
      { id: { $gt: "key 9" }, group: "g299" },
      { group: { $nin: ["g1", "g2"] }, tags: { $in: ["t4", 10] } },
      { late: { $exists: false }, tags: { $gt: 5 } },
      { $or: [{ late: true }, { n: { $lt: 40 } }] },
    ];
    for (const wanted of filters) {
      const slices = slicesOf();
      const bits = await table.match(compileFilter(wanted), slices);
      expect(rowsOf(bits), JSON.stringify(wanted)).toEqual(expected(wanted, records));
      expect(slices.stats.largest).toBeLessThanOrEqual(1 << 18);
    }
  });

  test("looks at the rows there were when it was called, while others come and other filters run", async () => {
    const records: Metadata[] = Array.from({ length: 3000 }, (_, i) => ({ n: i, s: `${i % 50}` }));
    const table = tableOf(records);
    const wanted: Filter = { s: "7", n: { $gte: 100 } };
    const running = [wanted, { n: 5 }, wanted].map((one) => table.match(compileFilter(one), slicesOf(500)));
    const more: Metadata[] = Array.from({ length: 3000 }, (_, i) => ({ n: i, s: `${i % 60}` }));
    table.append(textColumn(more.map(jsonOf)));
    const after = table.match(compileFilter(wanted), slicesOf(500));
    const [first, second, third] = await Promise.all(running);
    expect(rowsOf(first ?? new Uint32Array())).toEqual(expected(wanted, records));
    expect(rowsOf(second ?? new Uint32Array())).toEqual([5]);
    expect(third).toEqual(first);
    expect(rowsOf(await after)).toEqual(expected(wanted, [...records, ...more]));
  });

  test("stops when its signal aborts, and what was built so far is gone on with", async () => {
    const records: Metadata[] = Array.from({ length: 4000 }, (_, i) => ({ n: i }));
    const table = tableOf(records);
    const controller = new AbortController();
    const stopped = table.match(compileFilter({ n: { $lt: 9 } }), slicesOf(1000), controller.signal);
    setImmediate(() => controller.abort("enough"));
    await expect(stopped).rejects.toThrow(expect.objectContaining({ code: "ABORTED", cause: "enough" }));
    expect(rowsOf(await table.match(compileFilter({ n: { $lt: 3 } }), slicesOf()))).toEqual([0, 1, 2]);
    await expect(table.match(compileFilter({ n: 1 }), slicesOf(), AbortSignal.abort())).rejects.toThrow(
      expect.objectContaining({ code: "ABORTED" }),
    );
  });

  test("says which row is damaged, and answers again for keys that do not need it", async () => {
    const table = new MetadataTable();
    table.append(textColumn(['{"a":1}', '{"a":1-2}', '{"a":3}']));
    await expect(table.match(compileFilter({ a: 1 }), slicesOf())).rejects.toThrow(
      expect.objectContaining({ code: "CORRUPT", details: { row: 1 } }),
    );
    expect(rowsOf(await table.match(compileFilter({ b: { $exists: false } }), slicesOf()))).toEqual([0, 1, 2]);
  });

  test("reads JSON that others wrote: blanks, escaped keys, a key that comes twice", async () => {
    const table = new MetadataTable();
    table.append(
      textColumn(['{ "a" : 1 }', '{"\\u0061":[1,"x"]}', '{"a":1,"a":2}', '{"a":2,"a":1}', '{"b":"\\""}', ""]),
    );
    expect(rowsOf(await table.match(compileFilter({ a: 1 }), slicesOf()))).toEqual([0, 1, 3]);
    expect(rowsOf(await table.match(compileFilter({ b: '"' }), slicesOf()))).toEqual([4]);
  });

  test("on an empty table matches nothing, and so does no row beyond the last", async () => {
    expect(await new MetadataTable().match(compileFilter({ a: 1 }), slicesOf())).toEqual(new Uint32Array(0));
    expect(await tableOf(Array.from({ length: 33 }, () => ({}))).match(compileFilter({}), slicesOf())).toEqual(
      new Uint32Array([0xffffffff, 1]),
    );
  });
});

describe("columns", () => {
  test("are dropped, longest unused first, when they outgrow the metadata; not those in use", async () => {
    const texts = new TextRows();
    for (let i = 0; i < 2000; i++) texts.appendText(jsonOf({ a: `a${i}`, b: `b${i}`, c: `c${i}`, d: i }));
    const columns = new MetadataColumns(texts, 0);
    const use = async (...keys: string[]): Promise<void> => {
      const found = await columns.columnsOf(keys, 2000, slicesOf());
      for (const name of keys) expect(found.get(name)?.rowCount).toBe(2000);
    };
    await use("a");
    await use("d");
    expect(columns.keys).toEqual(["a", "d"]);
    await use("a");
    expect(columns.keys).toEqual(["d", "a"]);
    await use("b");
    expect(columns.sizeBytes).toBeLessThanOrEqual(texts.textBytes);
    expect(columns.keys).toEqual(["b"]);
    await use("a", "b", "c");
    expect(columns.sizeBytes).toBeGreaterThan(texts.textBytes);
    expect(columns.keys).toEqual(["a", "b", "c"]);
    await use("d");
    expect(columns.keys).toEqual(["c", "d"]);
    const kept = new MetadataColumns(texts, 1 << 20);
    for (const name of ["a", "b", "c", "d"]) await kept.columnsOf([name], 2000, slicesOf());
    expect(kept.keys).toEqual(["a", "b", "c", "d"]);
  });

  test("give back their spare room with every full block", () => {
    const column = new KeyColumn();
    for (let row = 0; row < BLOCK_ROWS - 1; row++) column.addValue([row, row + 1, row + 2, "x", "y", "z"]);
    const before = column.sizeBytes;
    column.addValue([7, 8, 9, "x", "y", "z"]);
    // Numbers take 4 bytes and their row's 2, codes 1 and 2; then `present`, and a dictionary of three texts.
    expect(column.sizeBytes).toBeLessThan(BLOCK_ROWS * 3 * (6 + 3) + BLOCK_ROWS / 8 + 2048);
    expect(column.sizeBytes).toBeLessThan(before);
  });
});

test("nextAbove is the next float64, which nothing lies between", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true }), (x) => {
      const above = nextAbove(x);
      if (x === Infinity) expect(above).toBeNaN();
      else {
        expect(above).toBeGreaterThan(x);
        const middle = x / 2 + above / 2;
        expect(middle === above || middle === x || !Number.isFinite(middle) || Math.abs(x) < 1e-300).toBe(true);
      }
    }),
  );
});
