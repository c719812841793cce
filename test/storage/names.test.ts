import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { journalName, manifestName, parseFileName, rootName, segmentName } from "../../src/storage/names.ts";

describe("file names", () => {
  test("are read back as what they were made of", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (n) => {
        expect(parseFileName(manifestName(n))).toEqual({ kind: "manifest", generation: n });
        expect(parseFileName(journalName(n))).toEqual({ kind: "journal", generation: n });
        expect(parseFileName(segmentName(n))).toEqual({ kind: "segment", id: n });
      }),
    );
    expect(parseFileName(rootName(0))).toEqual({ kind: "root", slot: 0 });
    expect(parseFileName(rootName(1))).toEqual({ kind: "root", slot: 1 });
    expect(parseFileName("LOCK")).toEqual({ kind: "lock" });
  });

  test.each([
    "",
    "root-2",
    "root-00",
    "root",
    "segment-",
    "segment-01",
    "segment--1",
    "segment-1.5",
    "segment-1e3",
    "Segment-1",
    "segment-9007199254740992",
    "segment-1 ",
    "segment-1\n",
    "../segment-1",
    "lock",
    "manifest-0x1",
    "readme.md",
  ])("leave %j to somebody else", (name) => {
    expect(parseFileName(name)).toBeUndefined();
  });
});
