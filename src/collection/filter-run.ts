/**
 * Runs a filter over columns: first each condition is bound to its column (strings become codes,
 * numbers an interval or a set), then the tree is evaluated block by block, so that what it
 * touches stays in cache, a conjunction stops at the first block of zeros, and the work can pause
 * after any block. Rows that come while it runs are not looked at.
 */
import { abortedError } from "../core/errors.ts";
import { TABLE_LIMITS } from "../core/limits.ts";
import { inSlices, type WorkSlices } from "../core/slices.ts";
import type { InPredicate, Predicate, RangePredicate } from "./filter-predicate.ts";
import type { ColumnBlock, KeyColumn } from "./metadata-column.ts";
import { NONE } from "./hash-slots.ts";
import { BLOCK_ROWS, BLOCK_WORDS, type CodeEntries, type NumberEntries } from "./metadata-entries.ts";

/** A condition over its column. */
type Bound =
  | { readonly kind: "and" | "or"; readonly of: readonly Bound[] }
  | { readonly kind: "not"; readonly of: Bound }
  | { readonly kind: "exists"; readonly column: KeyColumn }
  | BoundValues;

interface BoundValues {
  readonly kind: "values";
  readonly column: KeyColumn;
  readonly numbers: NumberTest | undefined;
  /** By code: 1 where wanted. */
  readonly codes: Uint8Array | undefined;
  readonly wantsNull: boolean;
  readonly wantsTrue: boolean;
  readonly wantsFalse: boolean;
}

type NumberTest =
  | { readonly kind: "interval"; readonly low: number; readonly high: number }
  | {
      readonly kind: "set";
      readonly values: ReadonlySet<number>;
      /** Where these are whole and near each other, for blocks of whole numbers: from `first` on 1 where wanted. */
      readonly table: { readonly first: number; readonly isWanted: Uint8Array } | undefined;
    };

/** Most whole numbers, from the least to the greatest wanted, that a table is made for. */
const TABLE_SPAN = 1 << 20;
/** Values of `$in` that are bound between two yields, and the elements of a slice that one takes as long as: up to a µs. */
const STEP_VALUES = 512;
const VALUE_ELEMENTS = 64;
/** The same of an entry that is looked up in a set: 30 ns. */
const LOOKUP_ELEMENTS = 2;
/** Words of a bitmap that are combined in the time of an element. */
const WORDS_PER_ELEMENT = 4;

/** The rows of 0 … rowCount − 1 that match, as a bitmap. The columns reach at least that far. */
export async function matchRows(
  predicate: Predicate,
  columns: ReadonlyMap<string, KeyColumn>,
  rowCount: number,
  slices: WorkSlices,
  signal?: AbortSignal,
): Promise<Uint32Array> {
  const out = new Uint32Array(Math.ceil(rowCount / 32));
  const work = matching(predicate, columns, rowCount, out);
  const isDone = await inSlices(work, slices, () => signal?.aborted === true);
  if (isDone === undefined && signal?.aborted === true) throw abortedError(signal);
  return out;
}

function* matching(
  predicate: Predicate,
  columns: ReadonlyMap<string, KeyColumn>,
  rowCount: number,
  out: Uint32Array,
): Generator<number, true> {
  const bound = yield* bind(predicate, columns);
  const evaluation = new Evaluation();
  for (let block = 0; block * BLOCK_ROWS < rowCount; block++) {
    const bits = evaluation.take();
    yield* evaluation.run(bound, block, bits);
    const first = block * BLOCK_WORDS;
    out.set(bits.subarray(0, Math.min(BLOCK_WORDS, out.length - first)), first);
    evaluation.giveBack(bits);
  }
  const spare = rowCount & 31;
  const last = out.length - 1;
  if (spare !== 0) out[last] = (out[last] ?? 0) & (0xffffffff >>> (32 - spare));
  return true;
}

function* bind(predicate: Predicate, columns: ReadonlyMap<string, KeyColumn>): Generator<number, Bound> {
  switch (predicate.kind) {
    case "and":
    case "or": {
      const of: Bound[] = [];
      for (const part of predicate.of) of.push(yield* bind(part, columns));
      return { kind: predicate.kind, of };
    }
    case "not":
      return { kind: "not", of: yield* bind(predicate.of, columns) };
    case "exists":
      return { kind: "exists", column: columnOf(columns, predicate.key) };
    case "in":
      return yield* bindIn(predicate, columnOf(columns, predicate.key));
    case "range":
      return yield* bindRange(predicate, columnOf(columns, predicate.key));
    default:
      return predicate satisfies never;
  }
}

function columnOf(columns: ReadonlyMap<string, KeyColumn>, key: string): KeyColumn {
  const column = columns.get(key);
  if (column === undefined) throw new Error(`no column for ${key}`);
  return column;
}

function* bindIn({ values }: InPredicate, column: KeyColumn): Generator<number, Bound> {
  const numbers = new Set<number>();
  const codes = new Uint8Array(column.dictionary.count);
  let hasCode = false;
  for (const [i, value] of values.entries()) {
    if (typeof value === "number") numbers.add(value);
    else if (typeof value === "string") {
      const code = column.dictionary.find(value);
      // One that came since the array was made belongs to rows that are not asked for.
      if (code !== NONE && code < codes.length) {
        codes[code] = 1;
        hasCode = true;
      }
    }
    if (i % STEP_VALUES === STEP_VALUES - 1) yield STEP_VALUES * VALUE_ELEMENTS;
  }
  return {
    kind: "values",
    column,
    numbers: numbers.size === 0 ? undefined : yield* numberTest(numbers),
    codes: hasCode ? codes : undefined,
    wantsNull: values.includes(null),
    wantsTrue: values.includes(true),
    wantsFalse: values.includes(false),
  };
}

function* numberTest(values: ReadonlySet<number>): Generator<number, NumberTest> {
  let low = Infinity;
  let high = -Infinity;
  let areWhole = true;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
    areWhole &&= Number.isSafeInteger(value);
  }
  yield values.size;
  if (low === high) return { kind: "interval", low, high };
  if (!areWhole || high - low >= TABLE_SPAN) return { kind: "set", values, table: undefined };
  const isWanted = new Uint8Array(high - low + 1);
  for (const value of values) isWanted[value - low] = 1;
  yield values.size;
  return { kind: "set", values, table: { first: low, isWanted } };
}

function* bindRange({ bound, isAbove, isEqual }: RangePredicate, column: KeyColumn): Generator<number, Bound> {
  const none = { kind: "values", column, wantsNull: false, wantsTrue: false, wantsFalse: false } as const;
  if (typeof bound === "string") {
    const codes = new Uint8Array(column.dictionary.count);
    yield* column.dictionary.between({ text: bound, isAbove, isEqual }, codes);
    return { ...none, numbers: undefined, codes };
  }
  const numbers: NumberTest = isAbove
    ? { kind: "interval", low: isEqual ? bound : nextAbove(bound), high: Infinity }
    : { kind: "interval", low: -Infinity, high: isEqual ? bound : -nextAbove(-bound) };
  return { ...none, numbers, codes: undefined };
}

/** The least number greater than `value`; NaN, which nothing compares with, where there is none. */
export function nextAbove(value: number): number {
  if (value === Infinity) return Number.NaN;
  if (value === 0) return Number.MIN_VALUE;
  if (value === -Infinity) return -Number.MAX_VALUE;
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  view.setBigInt64(0, view.getBigInt64(0) + (value > 0 ? 1n : -1n));
  return view.getFloat64(0);
}

/** Evaluates blocks; keeps the bitmaps it needs on the way, one for each level of nesting. */
class Evaluation {
  readonly #spare: Uint32Array[] = [];

  /** A bitmap of zeros. */
  take(): Uint32Array {
    return this.#spare.pop()?.fill(0) ?? new Uint32Array(BLOCK_WORDS);
  }

  giveBack(bits: Uint32Array): void {
    this.#spare.push(bits);
  }

  /** Writes the block's matches into `out`, which is all zeros. Yields its work. Bits beyond the rows may be anything. */
  *run(bound: Bound, block: number, out: Uint32Array): Generator<number, void> {
    switch (bound.kind) {
      case "values": {
        const values = bound.column.block(block);
        if (values !== undefined) yield matchValues(bound, values, out);
        return;
      }
      case "exists": {
        const present = bound.column.block(block)?.present;
        if (present !== undefined) out.set(present);
        yield BLOCK_WORDS / WORDS_PER_ELEMENT;
        return;
      }
      case "not":
        yield* this.run(bound.of, block, out);
        for (let i = 0; i < BLOCK_WORDS; i++) out[i] = ~(out[i] ?? 0);
        yield BLOCK_WORDS / WORDS_PER_ELEMENT;
        return;
      case "and":
        yield* this.#and(bound.of, block, out);
        return;
      case "or":
        for (const [i, part] of bound.of.entries()) {
          const bits = i === 0 ? out : this.take();
          yield* this.run(part, block, bits);
          if (i === 0) continue;
          for (let word = 0; word < BLOCK_WORDS; word++) out[word] = (out[word] ?? 0) | (bits[word] ?? 0);
          this.giveBack(bits);
          yield BLOCK_WORDS / WORDS_PER_ELEMENT;
        }
        return;
      default:
        bound satisfies never;
    }
  }

  *#and(of: readonly Bound[], block: number, out: Uint32Array): Generator<number, void> {
    out.fill(0xffffffff);
    for (const part of of) {
      const bits = this.take();
      yield* this.run(part, block, bits);
      let rest = 0;
      for (let word = 0; word < BLOCK_WORDS; word++) rest |= out[word] = (out[word] ?? 0) & (bits[word] ?? 0);
      this.giveBack(bits);
      yield BLOCK_WORDS / WORDS_PER_ELEMENT;
      if (rest === 0) return;
    }
  }
}

/** Sets the bits of the rows with a wanted value; returns the work. */
function matchValues(bound: BoundValues, block: ColumnBlock, out: Uint32Array): number {
  let work = BLOCK_WORDS / WORDS_PER_ELEMENT;
  if (bound.numbers !== undefined && block.numbers !== undefined) {
    const { count } = block.numbers;
    work += bound.numbers.kind === "set" ? count * LOOKUP_ELEMENTS : count / TABLE_LIMITS.columnEntries;
    matchNumbers(bound.numbers, block.numbers, out);
  }
  if (bound.codes !== undefined && block.strings !== undefined) {
    work += block.strings.count / TABLE_LIMITS.columnEntries;
    matchCodes(bound.codes, block.strings, out);
  }
  if (bound.wantsNull) addBits(block.nulls, out);
  if (bound.wantsTrue) addBits(block.trues, out);
  if (bound.wantsFalse) addBits(block.falses, out);
  return Math.ceil(work);
}

function addBits(bits: Uint32Array | undefined, out: Uint32Array): void {
  if (bits === undefined) return;
  for (let i = 0; i < BLOCK_WORDS; i++) out[i] = (out[i] ?? 0) | (bits[i] ?? 0);
}

/*
 * The loops over entries gather a word of the bitmap before they write it, and no branch depends on
 * a value, half of which would be guessed wrong: 1.2–2 ns an entry (Node 20, one Zen 5 thread),
 * where `if (isIn) set the bit` takes 5–9. Entries are in the order of their rows.
 */

function matchCodes(isWanted: Uint8Array, { rows, values, count }: CodeEntries, out: Uint32Array): void {
  if (rows === undefined) {
    for (let i = 0, at = 0; i < count; at++) {
      const end = Math.min(i + 32, count);
      let word = 0;
      for (let bit = 0; i < end; i++, bit++) word |= (isWanted[values[i] ?? 0] ?? 0) << bit;
      out[at] = (out[at] ?? 0) | word;
    }
    return;
  }
  let at = 0;
  let word = 0;
  for (let i = 0; i < count; i++) {
    const row = rows[i] ?? 0;
    if (row >>> 5 !== at) {
      out[at] = (out[at] ?? 0) | word;
      at = row >>> 5;
      word = 0;
    }
    word |= (isWanted[values[i] ?? 0] ?? 0) << (row & 31);
  }
  out[at] = (out[at] ?? 0) | word;
}

function matchNumbers(test: NumberTest, entries: NumberEntries, out: Uint32Array): void {
  if (test.kind === "interval") {
    matchInterval(test.low, test.high, entries, out);
    return;
  }
  const { rows, values, count } = entries;
  const table = values instanceof Int32Array ? test.table : undefined;
  for (let i = 0; i < count; i++) {
    const value = values[i] ?? 0;
    const row = rows === undefined ? i : (rows[i] ?? 0);
    const isIn = table === undefined ? test.values.has(value) : isInTable(table.isWanted, value - table.first);
    out[row >>> 5] = (out[row >>> 5] ?? 0) | (Number(isIn) << (row & 31));
  }
}

function isInTable(isWanted: Uint8Array, at: number): boolean {
  return at >= 0 && at < isWanted.length && isWanted[at] === 1;
}

function matchInterval(low: number, high: number, { rows, values, count }: NumberEntries, out: Uint32Array): void {
  if (rows === undefined) {
    for (let i = 0, at = 0; i < count; at++) {
      const end = Math.min(i + 32, count);
      let word = 0;
      for (let bit = 0; i < end; i++, bit++) {
        const value = values[i] ?? 0;
        word |= (Number(value >= low) & Number(value <= high)) << bit;
      }
      out[at] = (out[at] ?? 0) | word;
    }
    return;
  }
  let at = 0;
  let word = 0;
  for (let i = 0; i < count; i++) {
    const row = rows[i] ?? 0;
    if (row >>> 5 !== at) {
      out[at] = (out[at] ?? 0) | word;
      at = row >>> 5;
      word = 0;
    }
    const value = values[i] ?? 0;
    word |= (Number(value >= low) & Number(value <= high)) << (row & 31);
  }
  out[at] = (out[at] ?? 0) | word;
}
