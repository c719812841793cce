/** How a batch is cut into parts for the worker slots, and the task that each part is; pure. */
import type { Batch, Proposal } from "../core/backend.ts";
import type { RowStore } from "./row-store.ts";
import type { ScanTask, SettleTask, TaskBlock, TaskQueries } from "./tasks.ts";

/** A piece of a batch for one slot: queries `first … first + count − 1` over `blocks`. */
export interface Part {
  readonly slot: number;
  readonly first: number;
  readonly count: number;
  readonly blocks: readonly number[];
}

/** Blocks that hold a row some query may find. */
export function blocksOf(store: RowStore, batch: Batch): number[] {
  const rows = batch.eligibilities.reduce((most, e) => Math.max(most, e.rowCount), 0);
  return Array.from({ length: Math.ceil(rows / store.blockRows) }, (_, block) => block);
}

/** Cuts by owner: slot b mod slots owns block b, and what a retired slot owned is spread over the others. */
export function byOwner(
  usable: readonly number[],
  slots: number,
  first: number,
  count: number,
  blocks: readonly number[],
): Part[] {
  const owned = new Map<number, number[]>();
  for (const block of blocks) {
    const natural = block % slots;
    const slot = usable.includes(natural) ? natural : (usable[block % usable.length] ?? 0);
    const list = owned.get(slot);
    if (list === undefined) owned.set(slot, [block]);
    else list.push(block);
  }
  return [...owned].map(([slot, list]) => ({ slot, first, count, blocks: list }));
}

function taskQueries(store: RowStore, batch: Batch, { first, count }: Part): TaskQueries {
  return {
    store: store.id,
    count,
    queries: batch.queries.slice(first * store.stride, (first + count) * store.stride),
    norms: batch.norms.slice(first, first + count),
    wanted: batch.wanted.slice(first, first + count),
    maxDistances: batch.maxDistances.slice(first, first + count),
  };
}

export function scanTask(store: RowStore, batch: Batch, part: Part): ScanTask {
  const rowCount = batch.eligibilities.reduce((most, e) => Math.max(most, e.rowCount), 0);
  const blocks = part.blocks.map((index): TaskBlock => {
    const block = store.blocks[index];
    if (block === undefined) throw new Error(`no block ${index}`);
    const rows = Math.min(store.blockRows, rowCount - block.firstRow);
    const { version, minNorm, maxNorm } = block;
    return { block: index, version, rowCount: rows, minNorm, maxNorm };
  });
  return {
    ...taskQueries(store, batch, part),
    blocks,
    ...ownEligibilities(batch, part),
  };
}

export function settleTask(
  store: RowStore,
  batch: Batch,
  part: Part,
  proposal: Proposal,
  seesAllRows: boolean,
): SettleTask {
  const mine = new Set(part.blocks);
  const starts = new Uint32Array(part.count + 1);
  const lists: Uint32Array[] = [];
  for (let q = 0; q < part.count; q++) {
    const all = proposal.candidates[part.first + q];
    if (all === null || all === undefined) throw new Error("a query without candidates cannot be settled");
    const list = seesAllRows ? all : all.filter((row) => mine.has(Math.floor(row / store.blockRows)));
    lists.push(list);
    starts[q + 1] = (starts[q] ?? 0) + list.length;
  }
  const rows = new Uint32Array(starts[part.count] ?? 0);
  lists.forEach((list, q) => rows.set(list, starts[q]));
  return { ...taskQueries(store, batch, part), starts, rows };
}

/** The bitmaps that the part's queries have, and no others: they are copied to the worker. */
function ownEligibilities(batch: Batch, { first, count }: Part): Pick<ScanTask, "eligibilities" | "eligibilityOf"> {
  const places = new Map<number, number>();
  const eligibilityOf = batch.eligibilityOf.slice(first, first + count).map((index) => {
    let place = places.get(index);
    if (place === undefined) places.set(index, (place = places.size));
    return place;
  });
  const eligibilities = [...places.keys()].map((index) => {
    const eligibility = batch.eligibilities[index];
    if (eligibility === undefined) throw new Error(`no eligibility ${index}`);
    return { bits: eligibility.bits, rowCount: eligibility.rowCount };
  });
  return { eligibilities, eligibilityOf };
}
