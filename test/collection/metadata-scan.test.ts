import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkMetadata, type Metadata } from "../../src/collection/metadata.ts";
import { compareUnits, encodeText, TextDictionary } from "../../src/collection/metadata-dictionary.ts";
import { findValues, readNumber, WantedKeys } from "../../src/collection/metadata-scan.ts";
import { NONE } from "../../src/collection/hash-slots.ts";
import { runToEnd } from "../../src/core/slices.ts";

const key = fc.oneof(fc.constantFrom("", "a", "b", "ab", "ba", "é", "__proto_", "long key ".repeat(8)), fc.string());
const text = fc.oneof(
  fc.string({ maxLength: 80 }),
  fc.string({ unit: "binary", maxLength: 80 }),
  fc.string({ unit: fc.constantFrom('"', "\\", "a", ",", "}", "]", "é"), maxLength: 90 }),
);
const number = fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }));
const value = fc.oneof(
  text,
  number,
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.oneof(text, number), { maxLength: 4 }),
);

/** The value of each wanted key as JSON.parse sees the bytes that were found. */
function found(json: string, keys: readonly string[], padding = ""): unknown[] | false {
  const bytes = Buffer.from(padding + json + padding);
  const start = Buffer.byteLength(padding);
  const wanted = new WantedKeys(keys);
  if (!findValues(bytes, start, bytes.length - start, wanted)) return false;
  return keys.map((_, i) => {
    const span = bytes.subarray(wanted.starts[i], wanted.ends[i]);
    return span.length === 0 ? undefined : (JSON.parse(span.toString()) as unknown);
  });
}

describe("findValues", () => {
  test("finds what JSON.parse finds in all that is written here, or says that it cannot", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(key, { maxLength: 6 }),
        fc.array(value, { minLength: 6, maxLength: 6 }),
        fc.uniqueArray(key),
        (keys, values, others) => {
          const record = Object.fromEntries(keys.map((name, i) => [name, values[i]])) as Metadata;
          const checked = checkMetadata(record);
          if (!checked.isValid) return;
          const asked = [...new Set([...keys.slice(0, 3), ...others])];
          const parsed = JSON.parse(checked.json) as Metadata;
          const answer = found(checked.json, asked, '"}{x');
          const isPlain = keys.every((name) => !JSON.stringify(name).includes("\\"));
          if (answer === false) expect(isPlain).toBe(false);
          else expect(answer).toEqual(asked.map((name) => (Object.hasOwn(parsed, name) ? parsed[name] : undefined)));
        },
      ),
      { numRuns: 500 },
    );
  });

  test("never finds in other texts what JSON.parse does not find", () => {
    const piece = fc.constantFrom(
      "{",
      "}",
      '"',
      "a",
      "b",
      ":",
      ",",
      "[",
      "]",
      "1",
      "-",
      ".5",
      "e",
      "true",
      "null",
      "\\",
      " ",
      '"a"',
      '"a":',
      '"b":1',
    );
    const broken = fc.array(piece, { maxLength: 10 }).map((pieces) => `{"a":${pieces.join("")}}`);
    fc.assert(
      fc.property(broken, (json) => {
        let parsed: Record<string, unknown> | undefined;
        try {
          parsed = JSON.parse(json) as Record<string, unknown>;
        } catch {
          return; // Damage is found by checksums; all that matters here is that it ends.
        } finally {
          findValues(Buffer.from(json), 0, json.length, new WantedKeys(["a", "b"]));
        }
        const answer = found(json, ["a", "b"]);
        if (answer !== false) expect(answer).toEqual([parsed["a"], parsed["b"]]);
      }),
      { numRuns: 3000 },
    );
  });

  test.each(["{}", '{"b":1}', '{"a":1,"a":[2,"x"]}', '{"x":"\\\\","a":"\\"}"}', '{"a":[]}', '{"a":-0.5e-7}'])(
    "%s is read without JSON.parse",
    (json) => expect(found(json, ["a"])).toEqual([(JSON.parse(json) as Metadata)["a"]]),
  );

  test.each([
    "",
    "{",
    "}",
    '{"a"}',
    '{"a":}',
    '{"a": 1}',
    '{ "a":1}',
    '{"a":1,}',
    '{"a":{"b":1}}',
    '{"a":[1,]}',
    '{"a":[1',
    '{"a":[true]}',
    '{"a":tru}',
    '{"a":"x}',
    '{"\\u0061":1}',
    '{"a":1"b":2}',
    `{"a":"${"x".repeat(60)}}`,
    `{"a":"${"x".repeat(60)}\\"}`,
  ])("%s is left to JSON.parse", (json) => expect(found(json, ["a"])).toBe(false));

  test("escapes are skipped wherever they lie in a long string", () => {
    for (let length = 0; length < 80; length++) {
      for (const tail of ["\\", "\\\\", '"', '\\"', '"\\', ""]) {
        const long = "x".repeat(length) + tail;
        expect(found(JSON.stringify({ long, a: 7 }), ["long", "a"])).toEqual([long, 7]);
      }
    }
  });
});

describe("readNumber", () => {
  const read = (digits: string): number => readNumber(Buffer.from(`x${digits}y`), 1, 1 + digits.length);

  test("reads every number as JSON.parse does, to the bit", () => {
    const written = fc.oneof(
      number.map((n) => JSON.stringify(n)),
      fc.tuple(fc.maxSafeNat(), fc.nat({ max: 30 })).map(([n, places]) =>
        n
          .toString()
          .padStart(places + 1, "0")
          .replace(new RegExp(`(\\d{${places}})$`), ".$1")
          .replace(/\.$/, ""),
      ),
    );
    fc.assert(
      fc.property(written, fc.constantFrom("", "-"), (digits, sign) => {
        const json = digits.startsWith("-") ? digits : sign + digits;
        expect(Object.is(read(json), JSON.parse(json))).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    "9007199254740993",
    "9007199254740992",
    "0.1",
    "123456789012345678901234567890",
    "1e400",
    "5e-324",
    "-0",
    "0.00000000000000000000001",
    "1.7976931348623157e308",
  ])("%s is read to the bit", (digits) => expect(Object.is(read(digits), Number(digits))).toBe(true));

  test("what is no number is NaN", () => {
    for (const digits of ["1-2", "1.2.3", "1e", "--1"]) expect(read(digits)).toBeNaN();
  });
});

const wild = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      "a",
      "b",
      "\ud7ff",
      "\ue000",
      "\uffff",
      "\ud800",
      "\udbff",
      "\udc00",
      "\udfff",
      "\u{10000}",
      "\u{10ffff}",
      "\ud83d",
      "🎉",
    ),
    fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
  ),
  maxLength: 6,
});
const sign = (order: number): number => Math.sign(order) + 0;

describe("the dictionary", () => {
  test("compares bytes as JavaScript compares strings, lone surrogates included", () => {
    fc.assert(
      fc.property(wild, wild, (a, b) => {
        const [x, y] = [encodeText(a), encodeText(b)];
        expect(sign(compareUnits(x, 0, x.length, y, 0, y.length))).toBe(a < b ? -1 : a > b ? 1 : 0);
      }),
      { numRuns: 3000 },
    );
  });

  test("numbers distinct texts in the order they come, and finds each again", () => {
    fc.assert(
      fc.property(fc.array(wild), wild, (texts, other) => {
        const dictionary = new TextDictionary();
        const model: string[] = [];
        for (const one of texts) {
          if (!model.includes(one)) model.push(one);
          const bytes = encodeText(one);
          expect(dictionary.codeOf(bytes, 0, bytes.length)).toBe(model.indexOf(one));
        }
        expect(dictionary.count).toBe(model.length);
        expect(dictionary.find(other)).toBe(model.includes(other) ? model.indexOf(other) : NONE);
      }),
    );
  });

  test("pages hold texts of any length up to the largest", () => {
    const dictionary = new TextDictionary();
    const texts = Array.from({ length: 200 }, (_, i) => `${i}`.padEnd((i * 7919) % 65_536, "é").slice(0, 32_000) + i);
    texts.push("x".repeat(65_535), "");
    for (const one of texts) {
      const bytes = encodeText(one);
      dictionary.codeOf(bytes, 0, bytes.length);
    }
    for (const [code, one] of texts.entries()) expect(dictionary.find(one)).toBe(code);
    const tooLong = new Uint8Array(65_536).fill(120);
    expect(() => dictionary.codeOf(tooLong, 0, tooLong.length)).toThrow(expect.objectContaining({ code: "TOO_LARGE" }));
  });

  test("ranges are the same before strings are sorted, when they are, and when more came since", () => {
    const op = fc.record({ text: wild, isAbove: fc.boolean(), isEqual: fc.boolean() });
    fc.assert(
      fc.property(
        fc.uniqueArray(wild, { minLength: 1, maxLength: 30 }),
        fc.uniqueArray(wild, { maxLength: 5 }),
        fc.array(op, { minLength: 1, maxLength: 3 }),
        (first, more, ranges) => {
          const dictionary = new TextDictionary();
          const texts: string[] = [];
          const addAll = (added: readonly string[]): void => {
            for (const one of added) {
              const bytes = encodeText(one);
              if (dictionary.codeOf(bytes, 0, bytes.length) === texts.length) texts.push(one);
            }
          };
          const check = (): void => {
            for (const range of ranges) {
              const into = new Uint8Array(texts.length);
              runToEnd(dictionary.between(range, into));
              const expected = texts.map((one) =>
                Number(one === range.text ? range.isEqual : one > range.text === range.isAbove),
              );
              expect([...into]).toEqual(expected);
            }
          };
          addAll(first);
          expect(dictionary.isSorted).toBe(false);
          for (let i = 0; i < 12; i++) check();
          expect(dictionary.isSorted).toBe(true);
          addAll(more);
          for (let i = 0; i < 2; i++) check();
        },
      ),
    );
  });
});
