import fc from "fast-check";
import { expect, test } from "vitest";
import { rowsIn, sampledRanges } from "../../src/cpu/ranges.ts";

const blocks = (counts: readonly number[]): Parameters<typeof sampledRanges>[0] =>
  counts.map((rowCount, block) => ({ block, version: 0, rowCount, minNorm: 1, maxNorm: 1 }));

test("sample and rest hold every row once, in order, within their blocks", () => {
  const shape = { stretches: fc.integer({ min: 1, max: 20 }), rows: fc.integer({ min: 1, max: 40 }) };
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 12 }), fc.record(shape), (counts, sampling) => {
      const { sample, rest } = sampledRanges(blocks(counts), sampling);
      const seen = counts.map((rowCount) => new Uint8Array(rowCount));
      for (const { block, first, end } of [...sample, ...rest]) {
        expect(first).toBeLessThan(end);
        expect(end).toBeLessThanOrEqual(block.rowCount);
        for (let row = first; row < end; row++) seen[block.block]![row]!++; // a block of the test
      }
      expect(seen.every((rows) => rows.every((times) => times === 1))).toBe(true);
      for (const ranges of [sample, rest]) {
        const starts = ranges.map(({ block, first }) => block.block * 1000 + first);
        expect(starts).toEqual([...starts].sort((a, b) => a - b));
      }
      const total = counts.reduce((sum, rows) => sum + rows, 0);
      expect(rowsIn(sample)).toBeLessThanOrEqual(total / 8 + sampling.rows);
    }),
  );
});

test("a sample comes from everywhere, and from few rows there is none", () => {
  const { sample } = sampledRanges(blocks([400, 400, 224]), { stretches: 4, rows: 32 });
  expect(sample.map(({ block, first, end }) => [block.block, first, end])).toEqual([
    [0, 0, 32],
    [0, 256, 288],
    [1, 112, 144],
    [1, 368, 400],
  ]);
  expect(sampledRanges(blocks([400, 400, 223]), { stretches: 4, rows: 32 }).sample).toEqual([]);
});
