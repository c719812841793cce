import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hashBytes, HashSlots, NONE } from "../../src/collection/hash-slots.ts";
import { idProblem, IdTable } from "../../src/collection/id-table.ts";
import { TABLE_LIMITS } from "../../src/core/limits.ts";
import { bitsOf, GONE, slicesOf, textColumn } from "./tables.ts";

describe("an id", () => {
  test.each([
    ["a", undefined],
    ["é€🎉", undefined],
    ["a".repeat(512), undefined],
    ["é".repeat(256), undefined],
    ["", /empty/],
    ["a".repeat(513), /longer than 512 bytes/],
    ["é".repeat(257), /longer than 512 bytes/],
    ["🎉".repeat(129), /longer than 512 bytes/],
    ["\ud800", /lone surrogate/],
    ["a\udc00b", /lone surrogate/],
    ["\ud83d\ud83d\ude00", /lone surrogate/],
    [7, /is 7, not a string/],
    [null, /is null, not a string/],
  ])("%j is judged", (id, problem) => {
    if (problem === undefined) expect(idProblem(id)).toBeUndefined();
    else expect(idProblem(id)).toMatch(problem);
  });
});

/** What the table is: the last row of each id that is not retired. */
class Model {
  readonly ids: string[] = [];
  readonly retired = new Set<number>();

  rowOf(id: string): number | undefined {
    const row = this.ids.findLastIndex((other, i) => other === id && !this.retired.has(i));
    return row < 0 ? undefined : row;
  }

  /** Of equal ids only the last stays. */
  settle(): void {
    this.ids.forEach((id, row) => {
      if (this.rowOf(id) !== row) this.retired.add(row);
    });
  }
}

const NAMES = ["a", "b", "c", "dd", "é", "🎉", "a longer id that takes several steps of the hash"];
const name = fc.constantFrom(...NAMES);
const step = fc.oneof(
  fc.record({ do: fc.constant("append" as const), ids: fc.array(name, { maxLength: 5 }), dead: fc.nat({ max: 31 }) }),
  fc.record({ do: fc.constant("ids" as const), ids: fc.array(name, { maxLength: 3 }) }),
  fc.record({ do: fc.constant("set" as const), at: fc.nat() }),
  fc.record({ do: fc.constant("retire" as const), at: fc.nat() }),
  fc.record({ do: fc.constant("look" as const) }),
  fc.record({ do: fc.constant("prepare" as const) }),
  fc.record({ do: fc.constant("compact" as const), keep: fc.infiniteStream(fc.boolean()), reverses: fc.boolean() }),
);

describe("IdTable", () => {
  test("is the last row of each id that is not retired, whatever happened and whenever it was indexed", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        let table = new IdTable();
        let model = new Model();
        for (const action of steps) {
          const row = "at" in action && model.ids.length > 0 ? action.at % model.ids.length : undefined;
          switch (action.do) {
            case "append": {
              const dead = action.ids.flatMap((_, i) => ((action.dead >>> i) & 1 ? [i] : []));
              for (const i of dead) model.retired.add(model.ids.length + i);
              model.ids.push(...action.ids);
              table.append(textColumn(action.ids), bitsOf(dead, 32));
              break;
            }
            case "ids":
              model.ids.push(...action.ids);
              table.appendIds(action.ids);
              break;
            case "set": {
              if (row === undefined) break;
              model.settle();
              const before = model.rowOf(model.ids[row] ?? "");
              model.retired.delete(row);
              if (before !== undefined && before !== row) model.retired.add(before);
              expect(table.set(row)).toBe(before === row ? undefined : before);
              break;
            }
            case "retire":
              if (row === undefined) break;
              table.rowOf("");
              model.settle();
              expect(table.retire(row)).toBe(!model.retired.has(row));
              model.retired.add(row);
              break;
            case "look":
              expect(table.rowOf("a")).toBe(model.rowOf("a"));
              model.settle();
              break;
            case "prepare":
              await table.prepare(slicesOf());
              model.settle();
              break;
            case "compact": {
              const kept = model.ids.map((_, i) => i).filter(() => action.keep.next().value);
              if (action.reverses) kept.reverse();
              const after = new Model();
              const mapping = new Uint32Array(model.ids.length).fill(GONE);
              for (const [to, from] of kept.entries()) {
                mapping[from] = to;
                after.ids.push(model.ids[from] ?? "");
                if (model.retired.has(from)) after.retired.add(to);
              }
              const old = table;
              table = await table.compact(mapping, slicesOf());
              for (const id of NAMES) expect(old.rowOf(id)).toBe(model.rowOf(id));
              model = after;
              break;
            }
            default:
              action satisfies never;
          }
        }
        for (const id of NAMES) expect(table.rowOf(id), id).toBe(model.rowOf(id));
        model.settle();
        expect(table.count).toBe(model.ids.length);
        for (const [row, id] of model.ids.entries()) {
          expect(table.idOf(row)).toBe(id);
          expect(table.isLive(row)).toBe(!model.retired.has(row));
        }
      }),
    );
  });

  test("an old row that was retired before its id came again does not take the id back", () => {
    const table = new IdTable();
    table.append(textColumn(["x", "y", "x", "x"]), bitsOf([2], 4));
    expect(table.rowOf("x")).toBe(3);
    expect(table.retire(3)).toBe(true);
    expect(table.rowOf("x")).toBeUndefined();
    expect(table.retire(3)).toBe(false);
    expect(table.set(0)).toBeUndefined();
    expect(table.rowOf("x")).toBe(0);
    expect(table.set(2)).toBe(0);
    expect(table.rowOf("x")).toBe(2);
    expect(table.rowOf("y")).toBe(1);
  });

  test("what cannot be an id names no row, not even that of its replacement character", () => {
    const table = new IdTable();
    table.appendIds(["\ufffd", "a".repeat(512)]);
    expect(table.rowOf("\ufffd")).toBe(0);
    expect(table.rowOf("\ud800")).toBeUndefined();
    expect(table.rowOf("")).toBeUndefined();
    expect(table.rowOf("a".repeat(512))).toBe(1);
    expect(table.rowOf("a".repeat(513))).toBeUndefined();
    expect(table.rowOf("é".repeat(300))).toBeUndefined();
  });

  test("a large column is adopted: nothing is copied, and nothing indexed before the first question", () => {
    const column = textColumn(Array.from({ length: 60_000 }, (_, i) => `id-${i}`));
    const table = new IdTable();
    table.append(column);
    const held = column.bytes.byteLength + column.offsets.byteLength;
    expect(table.sizeBytes - held).toBeLessThan(60_000 / 8 + 128);
    expect(table.rowOf("id-59999")).toBe(59_999);
    expect(table.sizeBytes - held).toBeGreaterThan(60_000 * 8);
  });

  test("indexing many rows is cut into slices, and finds every one of them", async () => {
    const ids = Array.from({ length: 50_000 }, (_, i) => `${i * 7919}`);
    const table = new IdTable();
    table.append(textColumn(ids.slice(0, 30_000)));
    for (let i = 30_000; i < ids.length; i += 100) table.append(textColumn(ids.slice(i, i + 100)));
    const slices = slicesOf(1 << 14);
    await table.prepare(slices);
    expect(slices.stats.largest).toBeLessThanOrEqual(1 << 14);
    expect(slices.stats.count).toBeGreaterThan(20);
    for (const [row, id] of ids.entries()) expect(table.rowOf(id)).toBe(row);
    for (const [row, id] of ids.entries()) expect(table.idOf(row)).toBe(id);
    expect(table.rowOf("no such id")).toBeUndefined();
  });

  test("rows that come while it is prepared are found too", async () => {
    const table = new IdTable();
    table.append(textColumn(Array.from({ length: 5000 }, (_, i) => `${i}`)));
    const ready = table.prepare(slicesOf(1 << 13));
    table.appendIds(["17", "new"]);
    table.retire(18);
    await ready;
    expect(table.rowOf("17")).toBe(5000);
    expect(table.rowOf("new")).toBe(5001);
    expect(table.rowOf("18")).toBeUndefined();
    expect(table.isLive(17)).toBe(false);
  });

  test("rows that are none are bugs", () => {
    const table = new IdTable();
    table.appendIds(["a"]);
    for (const row of [1, -1, 0.5, Number.NaN]) {
      expect(() => table.retire(row)).toThrow(/row/);
      expect(() => table.set(row)).toThrow(/row/);
    }
    expect(() => table.idOf(1)).toThrow(/row/);
  });

  test("compaction carries tens of megabytes over, in slices", async () => {
    const ids = Array.from({ length: 40_000 }, (_, i) => `${i}`.padEnd(500, "x"));
    const table = new IdTable();
    table.append(textColumn(ids.slice(0, 20_000)));
    table.append(textColumn(ids.slice(20_000)));
    let next = 0;
    const mapping = Uint32Array.from(ids, (_, row) => (row % 5 === 0 ? GONE : next++));
    const slices = slicesOf(TABLE_LIMITS.adoptedTextBytes);
    const compacted = await table.compact(mapping, slices);
    expect(slices.stats.largest).toBeLessThanOrEqual(TABLE_LIMITS.adoptedTextBytes);
    expect(compacted.count).toBe(next);
    for (let row = 0; row < ids.length; row += 37) {
      const to = mapping[row] ?? GONE;
      expect(compacted.rowOf(ids[row] ?? "")).toBe(to === GONE ? undefined : to);
    }
    await expect(table.compact(new Uint32Array(3), slicesOf())).rejects.toThrow(/mapping/);
    await expect(table.compact(new Uint32Array(ids.length), slicesOf())).rejects.toThrow(/becomes 0/);
  });
});

describe("HashSlots", () => {
  test("is a map from bytes to numbers when all hashes collide and when none does", () => {
    const key = fc.nat({ max: 40 });
    const change = fc.record({ key, number: fc.nat({ max: 99 }), removes: fc.boolean() });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 120 }), fc.constantFrom(0, 7, 0xffffffff), (changes, mask) => {
        // Number n is of key `owners[n]`; a key is one byte.
        const owners = new Map<number, number>();
        const slots = new HashSlots({ isSame: (number, bytes, start) => owners.get(number) === bytes[start] });
        const bytes = Uint8Array.from({ length: 41 }, (_, i) => i);
        // Hashes of neighbouring homes, within one shard unless the mask is off.
        const hashOf = (k: number): number => (hashBytes(bytes, k, k + 1) & mask) >>> 0;
        const model = new Map<number, number>();
        let fresh = 0;
        for (const { key: k, removes } of changes) {
          if (removes) {
            const number = model.get(k);
            expect(slots.remove(hashOf(k), number ?? 999_999)).toBe(number !== undefined);
            model.delete(k);
          } else {
            const number = fresh++;
            owners.set(number, k);
            expect(slots.put(hashOf(k), bytes, k, k + 1, number)).toBe(model.get(k) ?? NONE);
            model.set(k, number);
          }
          for (let other = 0; other <= 40; other++) {
            expect(slots.find(hashOf(other), bytes, other, other + 1)).toBe(model.get(other) ?? NONE);
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  test("what comes and goes leaves nothing behind that would make it grow", () => {
    const slots = new HashSlots({ isSame: () => false });
    const bytes = new Uint8Array(4);
    for (let number = 0; number < 10_000; number++) {
      const hash = Math.imul(number, 0x9e3779b1) >>> 0;
      slots.put(hash, bytes, 0, 4, number);
      expect(slots.remove(hash, number)).toBe(true);
    }
    expect(slots.sizeBytes).toBe(new HashSlots({ isSame: () => false }).sizeBytes);
  });

  test("hashes as MurmurHash3 does", () => {
    // From the reference implementation, seed 0x9747b28c.
    const of = (text: string): number => hashBytes(Buffer.from(text), 0, Buffer.byteLength(text));
    expect(of("")).toBe(0xebb6c228);
    expect(of("a")).toBe(0x7fa09ea6);
    expect(of("abcd")).toBe(0xf0478627);
    expect(of("Hello, world!")).toBe(0x24884cba);
    expect(of("The quick brown fox jumps over the lazy dog")).toBe(0x2fa826cd);
  });
});
