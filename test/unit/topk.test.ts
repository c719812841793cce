import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { emptyTopK, isNearer, NearestHeap, type TopK, TopKMerge } from "../../src/core/topk.ts";

interface Entry {
  readonly distance: number;
  readonly row: number;
}

// Few distinct distances, so that ties are the rule.
const entries = fc
  .array(fc.integer({ min: 0, max: 8 }), { maxLength: 300 })
  .map((distances): Entry[] => distances.map((d, row) => ({ distance: Math.fround(d / 3), row })));

function nearest(list: readonly Entry[], k: number): Entry[] {
  return [...list].sort((a, b) => a.distance - b.distance || a.row - b.row).slice(0, k);
}

function drained(list: readonly Entry[], k: number): TopK {
  const heap = new NearestHeap(k);
  for (const { distance, row } of list) heap.offer(distance, row);
  const out = emptyTopK(1, k);
  out.counts[0] = heap.drainInto(out, 0);
  return out;
}

function entriesOf(topK: TopK): Entry[] {
  return Array.from({ length: topK.counts[0] ?? 0 }, (_, i) => ({
    distance: topK.distances[i] ?? Number.NaN,
    row: topK.rows[i] ?? Number.NaN,
  }));
}

describe("top-k", () => {
  test("a heap keeps the k first by (distance, row), whatever the order of offers", () => {
    fc.assert(
      fc.property(entries, fc.integer({ min: 0, max: 40 }), fc.integer(), (list, k, seed) => {
        const shuffled = [...list].sort((a, b) => ((a.row * 7919 + seed) % 101) - ((b.row * 7919 + seed) % 101));
        expect(entriesOf(drained(shuffled, k))).toEqual(nearest(list, k));
      }),
    );
  });

  test("the merge of partial top-ks is the top-k of the whole", () => {
    fc.assert(
      fc.property(entries, fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 5 }), (list, k, parts) => {
        const partial = Array.from({ length: parts }, (_, p) =>
          drained(
            list.filter(({ row }) => row % parts === p),
            k,
          ),
        );
        const out = emptyTopK(1, k);
        const merge = new TopKMerge(partial);
        const first = merge.take(out, 0, Math.min(k, 7));
        merge.take(out, first, k - first);
        out.counts[0] = merge.taken;
        expect(entriesOf(out)).toEqual(nearest(list, k));
      }),
    );
  });

  test("a heap's bound is +Infinity until it is full, then the farthest distance it holds", () => {
    const heap = new NearestHeap(2);
    expect(heap.bound).toBe(Infinity);
    heap.offer(3, 0);
    expect(heap.bound).toBe(Infinity);
    heap.offer(1, 1);
    expect(heap.bound).toBe(3);
    heap.offer(2, 2);
    expect(heap.bound).toBe(2);
    expect(new NearestHeap(0).bound).toBe(-Infinity);
  });

  test("a tie goes to the lower row, and only to it", () => {
    expect(isNearer(1, 4, 1, 5)).toBe(true);
    expect(isNearer(1, 5, 1, 5)).toBe(false);
    expect(isNearer(1, 6, 1, 5)).toBe(false);
    const heap = new NearestHeap(1);
    heap.offer(1, 5);
    expect(heap.offer(1, 6)).toBe(false);
    expect(heap.offer(1, 4)).toBe(true);
  });
});
