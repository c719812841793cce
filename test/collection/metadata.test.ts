import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkMetadata, type Metadata } from "../../src/collection/metadata.ts";
import { MetadataTable } from "../../src/collection/metadata-table.ts";
import { GONE, slicesOf, textColumn } from "./tables.ts";

const text = fc.oneof(fc.string(), fc.string({ unit: "binary" }));
const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
export const metadata: fc.Arbitrary<Metadata> = fc
  .dictionary(
    text.filter((key) => !["__proto__", "constructor", "prototype"].includes(key)),
    fc.oneof(text, number, fc.boolean(), fc.constant(null), fc.array(fc.oneof(text, number), { maxLength: 4 })),
    { maxKeys: 5, noNullPrototype: true },
  )
  .map((value) => value as Metadata);

function jsonOf(value: unknown): string {
  const checked = checkMetadata(value);
  if (!checked.isValid) throw new Error(checked.reason);
  return checked.json;
}

const withGetter = (get: () => unknown): object => Object.defineProperty({}, "year", { enumerable: true, get });

describe("checkMetadata", () => {
  test("what it takes comes back as it was", () => {
    fc.assert(
      fc.property(metadata, (value) => {
        expect(JSON.parse(jsonOf(value))).toEqual(value);
      }),
    );
  });

  test.each<[string, unknown, RegExp]>([
    ["null", null, /metadata is null, not a plain object/],
    ["an array", [1], /metadata is an array of 1/],
    ["a string", "a", /metadata is "a"/],
    ["a Map", new Map(), /metadata is a Map/],
    [
      "an instance",
      new (class Film {
        a = 1;
      })(),
      /metadata is a Film/,
    ],
    ["an object that inherits", Object.create({ year: 1 }), /not a plain object/],
    ["NaN", { year: Number.NaN }, /metadata\.year is NaN/],
    ["infinity", { year: -Infinity }, /metadata\.year is -Infinity/],
    ["undefined", { year: undefined }, /metadata\.year is undefined; leave the key out/],
    ["a Date", { at: new Date(0) }, /metadata\.at is a Date; store toISOString/],
    ["a nested object", { a: { b: 1 } }, /metadata\.a is a Object/],
    ["a function", { a: () => 1 }, /metadata\.a is a function/],
    ["a bigint", { a: 1n }, /metadata\.a is 1,/],
    ["a symbol", { a: Symbol("s") }, /metadata\.a is a symbol/],
    ["a symbol as key", { [Symbol("s")]: 1 }, /the symbol Symbol\(s\)/],
    ["a typed array", { a: new Float32Array(2) }, /metadata\.a is a Float32Array of 2/],
    ["a boolean in an array", { a: [1, true] }, /metadata\.a\[1\] is true/],
    ["NaN in an array", { a: [Number.NaN] }, /metadata\.a\[0\] is NaN/],
    ["null in an array", { a: ["x", null] }, /metadata\.a\[1\] is null/],
    ["an array in an array", { a: [[1]] }, /metadata\.a\[0\] is an array/],
    ["an array with holes", { a: [1, , 2] }, /metadata\.a\[1\] is missing/], // oxlint-disable-line no-sparse-arrays
    ["a very long array with holes", { a: Array(1e9) }, /more than fits/], // oxlint-disable-line unicorn/no-new-array
    ["the key __proto__", JSON.parse('{"__proto__":1}'), /key __proto__/],
    ["the key constructor", { constructor: "x" }, /key constructor/],
    ["the key prototype", { prototype: "x" }, /key prototype/],
    ["a key that is no name", { "a b": Number.NaN }, /metadata\["a b"\] is NaN/],
    ["a getter that throws", withGetter(() => { throw new Error("no"); }), /metadata cannot be read: no/], // biome-ignore format: one line a case
  ])("%s is refused", (_, value, reason) => {
    const checked = checkMetadata(value);
    expect(checked).toEqual({ isValid: false, reason: expect.stringMatching(reason) });
  });

  test("up to 65,536 bytes of JSON are taken, and not one more", () => {
    const room = TABLE_BYTES - '{"a":""}'.length;
    for (const [unit, size] of [
      ["x", 1],
      ["é", 2],
      ["€", 3],
      ["🎉", 4],
      ["\n", 2],
      ["\ud800", 6],
    ] as const) {
      const fits = unit.repeat(Math.floor(room / size)) + "x".repeat(room % size);
      expect(Buffer.byteLength(jsonOf({ a: fits }))).toBe(TABLE_BYTES);
      expect(checkMetadata({ a: `${fits}x` })).toEqual({
        isValid: false,
        reason: expect.stringMatching(/larger than/),
      });
    }
    expect(checkMetadata({ a: "x".repeat(1e8) }).isValid).toBe(false);
  });

  test("a getter is asked once, and a prototype's properties not at all", () => {
    let asked = 0;
    expect(jsonOf(withGetter(() => ++asked))).toBe('{"year":1}');
    expect(asked).toBe(1);
    expect(jsonOf(Object.assign(Object.create(null), { a: 1 }))).toBe('{"a":1}');
  });
});

const TABLE_BYTES = 65_536;

describe("MetadataTable", () => {
  test("gives back what was put in, through any mixture of ways, and after rows were renumbered", async () => {
    const batch = fc.record({
      asColumn: fc.boolean(),
      rows: fc.array(fc.option(metadata, { nil: undefined }), { maxLength: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(batch, { maxLength: 6 }), fc.infiniteStream(fc.boolean()), async (batches, keeps) => {
        const table = new MetadataTable();
        for (const { asColumn, rows } of batches) {
          const texts = rows.map((row) => (row === undefined ? "" : jsonOf(row)));
          if (asColumn) table.append(textColumn(texts));
          else for (const json of texts) table.appendJson(json);
        }
        const model = batches.flatMap(({ rows }) => rows);
        expect(table.count).toBe(model.length);
        for (const [row, value] of model.entries()) expect(table.get(row)).toEqual(value);
        let kept = 0;
        const mapping = Uint32Array.from(model, () => (keeps.next().value ? kept++ : GONE));
        const compacted = await table.compact(mapping, slicesOf());
        expect(compacted.count).toBe(kept);
        for (const [row, value] of model.entries()) {
          const to = mapping[row] ?? GONE;
          if (to !== GONE) expect(compacted.get(to)).toEqual(value);
          expect(table.get(row)).toEqual(value);
        }
      }),
    );
  });

  test("a large column is adopted, a small one copied", () => {
    const table = new MetadataTable();
    const large = textColumn(Array.from({ length: 10_000 }, (_, i) => `{"title":"number ${i} of many"}`));
    table.append(large);
    expect(table.jsonOf(0).buffer).toBe(large.bytes.buffer);
    const small = textColumn(['{"a":1}']);
    table.append(small);
    expect(table.jsonOf(10_000).buffer).not.toBe(small.bytes.buffer);
    expect(table.get(10_000)).toEqual({ a: 1 });
    expect(table.get(9999)).toEqual({ title: "number 9999 of many" });
  });

  test("many small batches share their memory", () => {
    const table = new MetadataTable();
    for (let i = 0; i < 3000; i++) table.append(textColumn([`{"i":${i}}`]));
    expect(table.sizeBytes).toBeLessThan(4 * (table.jsonBytes + 4 * 3000));
    for (let i = 0; i < 3000; i++) expect(table.get(i)).toEqual({ i });
  });

  test.each(["{", "[1]", "7", '{"a":{}}', '{"a":[[1]]}', '{"a":[true]}'])("the text %s is CORRUPT", (json) => {
    const table = new MetadataTable();
    table.appendJson(json);
    expect(() => table.get(0)).toThrow(expect.objectContaining({ code: "CORRUPT" }));
  });

  test("a column whose offsets reach beyond its bytes is not taken", () => {
    const table = new MetadataTable();
    expect(() => table.append({ offsets: new Uint32Array([0, 9]), bytes: new Uint8Array(8) })).toThrow(/8 bytes/);
    expect(() => table.append({ offsets: new Uint32Array([1, 8]), bytes: new Uint8Array(8) })).toThrow(/column/);
    expect(() => table.append({ offsets: new Uint32Array(0), bytes: new Uint8Array(8) })).toThrow(/column/);
  });
});
