import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { countBits, heldBits, resizedBits, RowSet, setBitRange } from "../../src/core/rowset.ts";

const sized = fc
  .integer({ min: 0, max: 200 })
  .chain((size) =>
    fc.tuple(
      fc.constant(size),
      size === 0 ? fc.constant<number[]>([]) : fc.array(fc.integer({ min: 0, max: size - 1 })),
    ),
  );

describe("RowSet", () => {
  test("is the set of its rows", () => {
    fc.assert(
      fc.property(sized, ([size, rows]) => {
        const set = RowSet.of(rows, size);
        const model = new Set(rows);
        expect(set.count).toBe(model.size);
        for (let row = -1; row <= size; row++) expect(set.has(row)).toBe(model.has(row));
        expect(RowSet.fromBits(set.bits(), size).bits()).toEqual(set.bits());
        expect(set.not().count).toBe(size - model.size);
        expect(set.and(set.not()).count).toBe(0);
        expect(set.or(set.not()).count).toBe(size);
      }),
    );
  });

  test("fromBits ignores bits beyond the size and copies the words", () => {
    const bits = new Uint32Array([0xffffffff, 0xffffffff]);
    const set = RowSet.fromBits(bits, 33);
    expect(set.count).toBe(33);
    bits.fill(0);
    expect(set.count).toBe(33);
    set.bits().fill(0);
    expect(set.count).toBe(33);
  });

  test("a bitmap that was held does not follow later changes", () => {
    const set = RowSet.of([1, 2], 40);
    const held = heldBits(set);
    set.add(39).delete(1);
    expect(countBits(held)).toBe(2);
    expect([...held]).toEqual([6, 0]);
    expect(set.has(39)).toBe(true);
    expect(set.has(1)).toBe(false);
  });

  test.each([
    ["a row beyond the size", () => RowSet.of([5], 5), "INVALID_ROW"],
    ["a negative row", () => RowSet.of([-1], 5), "INVALID_ROW"],
    ["half a row", () => RowSet.of([1.5], 5), "INVALID_ROW"],
    ["adding a row beyond the size", () => RowSet.of([], 5).add(5), "INVALID_ROW"],
    ["deleting a row beyond the size", () => RowSet.of([], 5).delete(7), "INVALID_ROW"],
    ["a negative size", () => RowSet.of([], -1), "INVALID_FILTER_SIZE"],
    ["too few words", () => RowSet.fromBits(new Uint32Array(1), 33), "INVALID_FILTER_SIZE"],
    ["bits of another type", () => RowSet.fromBits([1] as unknown as Uint32Array, 3), "INVALID_FILTER"],
    ["rows that are no list", () => RowSet.of(null as never, 5), "INVALID_ROW"],
    ["a set that is none", () => RowSet.of([], 5).or({} as never), "INVALID_FILTER"],
    ["sets of different sizes", () => RowSet.of([], 5).and(RowSet.of([], 6)), "INVALID_FILTER_SIZE"],
  ])("%s is refused", (_, act, code) => {
    expect(act).toThrow(expect.objectContaining({ code }));
  });

  test("setBitRange sets exactly the range, resizedBits keeps exactly the rows that fit", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 130 }),
        fc.integer({ min: 0, max: 130 }),
        fc.integer({ min: 0, max: 130 }),
        (a, b, size) => {
          const bits = new Uint32Array(5);
          setBitRange(bits, Math.min(a, b), Math.max(a, b));
          expect(countBits(bits)).toBe(Math.abs(a - b));
          expect(countBits(resizedBits(bits, size))).toBe(
            Math.max(0, Math.min(size, Math.max(a, b)) - Math.min(size, Math.min(a, b))),
          );
        },
      ),
    );
  });
});
