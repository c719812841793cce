/**
 * What a GPU search will do, as pure arithmetic: which rows lie in which buffer, how a batch is cut
 * into tiles, how a tile selects, what a dispatch covers. No GPU object here.
 *
 * Two ways to select (KERNELS b.3, b.4). *Score*: the lower end of every row's interval is written
 * as a key, 4 bytes a row and query, beside a delegate for each group of rows; for few queries,
 * where it costs little and no row order can hurt it. *Append*: a strided sample of the rows gives
 * each query a threshold, and the scan appends the rare rows within it; the score matrix is never
 * written. Both end in a list of candidates whose full-precision intervals decide.
 */
import { LIMITS } from "../core/limits.ts";

/** The device limits that shape a plan; tests make them small. */
export interface PlanLimits {
  readonly maxBindingBytes: number;
  readonly maxWorkgroupsPerDimension: number;
  readonly workgroup: number;
  /** Bytes of scan copies to keep on the device. */
  readonly memoryBudgetBytes: number;
  /** Bytes that the keys of one tile may take, and those that its candidates may. */
  readonly scoreBytes: number;
  readonly batchQueries: number;
  /** Queries from which a tile appends instead of writing scores. */
  readonly appendFrom: number;
  /** Fewest and most rows of a sample. */
  readonly sampleRows: readonly [least: number, most: number];
  /** Candidates of a query that a tile expects before it tightens the threshold. */
  readonly expectedCandidates: number;
  /** Candidates of one query beyond which it goes to the float64 scan. */
  readonly rescanRows: number;
  /** Forces the capacity of candidate lists, to reach overflow with few rows. */
  readonly candidateCapacity: number | undefined;
}

export interface ShardPlan {
  /** Rows of one buffer, a multiple of 32. */
  readonly shardRows: number;
  /** Rows kept on the device, from row 0; the others are streamed. */
  readonly residentRows: number;
  /** Rows of one streamed piece, a multiple of 32; 0 when all rows are resident. */
  readonly streamRows: number;
}

/** Rows of a shard stay well inside u32 and the grid of 65,535² workgroups. */
const MAX_SHARD_ROWS = 2 ** 25;
/** Buffers that streamed rows pass through in turn: one is filled while the other is scanned. */
export const STREAM_BUFFERS = 2;

const down32 = (rows: number): number => rows - (rows % 32);
const up32 = (rows: number): number => Math.ceil(rows / 32) * 32;

/** `rowBytes`: of the widest buffer; `allBytes`: of all buffers that a resident row has a place in. */
export function planShards(rowCount: number, rowBytes: number, allBytes: number, limits: PlanLimits): ShardPlan {
  const shardRows = Math.max(32, Math.min(MAX_SHARD_ROWS, down32(Math.floor(limits.maxBindingBytes / rowBytes))));
  const wanted = up32(rowCount);
  if (wanted * allBytes <= limits.memoryBudgetBytes) return { shardRows, residentRows: wanted, streamRows: 0 };
  // Half the budget for the pieces in flight at most: a larger piece saves submits, more residents save uploads.
  const piece = down32(Math.floor(limits.memoryBudgetBytes / 2 / STREAM_BUFFERS / allBytes));
  const streamRows = Math.max(32, Math.min(shardRows, piece));
  const kept = down32(Math.floor(limits.memoryBudgetBytes / allBytes)) - STREAM_BUFFERS * streamRows;
  return { shardRows, residentRows: Math.max(0, kept), streamRows };
}

/** A shard's rows: `count` of them from row `first`; a multiple of 32 except at the end. */
export interface ShardRange {
  readonly first: number;
  readonly count: number;
  readonly isResident: boolean;
}

export function shardRanges(rowCount: number, plan: ShardPlan): ShardRange[] {
  const ranges: ShardRange[] = [];
  for (let first = 0; first < rowCount; ) {
    const isResident = first < plan.residentRows;
    const size = isResident ? Math.min(plan.shardRows, plan.residentRows - first) : plan.streamRows;
    const count = Math.min(size, rowCount - first);
    ranges.push({ first, count, isResident });
    first += count;
  }
  return ranges;
}

/**
 * Rows of a query that are read back at once. The contract's budget is 8 bytes × (k + margin) a
 * query, margin ≤ max(16, k / 4); a row takes 4 and the counts 8, so twice as many fit, less one.
 */
export function readBackRoom(k: number, marginRows: number): number {
  return Math.max(k, 2 * (k + Math.min(marginRows, Math.max(16, Math.ceil(k / 4)))) - 2);
}

/** How one tile of queries selects. */
export type TilePlan = ScorePlan | AppendPlan;

interface TileBase {
  /** Queries of the tile. */
  readonly queries: number;
  /** Candidates that a query has room for. */
  readonly capacity: number;
}

export interface ScorePlan extends TileBase {
  readonly strategy: "score";
  /** Keys of a query, a multiple of 64. */
  readonly keyStride: number;
  /** A delegate stands for 2^delegateShift keys; 0: there are none, the keys themselves are searched. */
  readonly delegateShift: number;
  /** Rank, in multiples of the rows wanted, of the key that says which rows to look at first. */
  readonly multiple: number;
}

export interface AppendPlan extends TileBase {
  readonly strategy: "append";
  /** Blocks of 32 rows between two that are sampled. */
  readonly step: number;
  /** Keys of a query's sample, a multiple of 64. */
  readonly keyStride: number;
  readonly multiple: number;
  /** Rows after which the threshold is tightened, ascending; the last is the row count. */
  readonly ends: readonly number[];
}

export interface TileQuestion {
  readonly queries: number;
  /** The most rows that any of the queries wants. */
  readonly wanted: number;
  readonly shards: readonly ShardRange[];
  /** Words of a query's bitmap. */
  readonly bitmapWords: number;
  /** Rows that codes leave a query, where codes are scanned: many more than are nearer than the threshold, and hardly fewer for a tighter one. */
  readonly codedCandidates?: number | undefined;
  /** Scores for certain: a query whose candidates overflowed is scanned again so that nothing can. */
  readonly mustScore: boolean;
}

const CANDIDATE_BYTES = 12;
/** A delegate for 1,024 keys: 10 million rows have 10,000, and a sorted index lets 1,024 × the rank through at most. */
const MOST_DELEGATE_SHIFT = 10;

export function planTile(question: TileQuestion, limits: PlanLimits): TilePlan {
  const { queries, shards, mustScore } = question;
  const rowCount = shards.reduce((sum, shard) => sum + shard.count, 0);
  const isStreamed = shards.some((shard) => !shard.isResident);
  const isSmall = queries < limits.appendFrom || rowCount <= 2 * limits.sampleRows[0];
  // Streamed rows are gone when their scores are known, and one query's scores lie in one binding.
  const mayScore = !isStreamed && keysOf(shards) * 4 <= limits.maxBindingBytes;
  if (mayScore && (mustScore || isSmall)) return planScores(question, rowCount, limits);
  // A second try without scores gets lists as long as lists may be.
  const capacity = mustScore ? limits.rescanRows : limits.candidateCapacity;
  return planAppending(question, rowCount, { ...limits, candidateCapacity: capacity });
}

/** Keys of a query: each shard's rows, up to the next multiple of 64. */
function keysOf(shards: readonly ShardRange[]): number {
  return shards.reduce((sum, shard) => sum + Math.ceil(shard.count / 64) * 64, 0);
}

/** Queries of a tile whose buffers take these bytes a query. */
function fittingQueries(question: TileQuestion, limits: PlanLimits, bytes: readonly number[]): number {
  const widest = Math.max(...bytes, question.bitmapWords * 4);
  const all = bytes.reduce((sum, b) => sum + b, 0);
  const fitting = Math.min(
    Math.floor(limits.scoreBytes / all),
    Math.floor(limits.maxBindingBytes / widest),
    limits.batchQueries,
    limits.maxWorkgroupsPerDimension,
    question.queries,
  );
  return Math.max(1, fitting > 16 && fitting < question.queries ? fitting - (fitting % 16) : fitting);
}

function planScores(question: TileQuestion, rowCount: number, limits: PlanLimits): ScorePlan {
  const { wanted } = question;
  const keyStride = keysOf(question.shards);
  const multiple = wanted <= 256 ? 4 : 2;
  // Few delegates are soon searched; with four times the rank asked of them the bound is hardly looser.
  let delegateShift = MOST_DELEGATE_SHIFT;
  while (delegateShift > 0 && keyStride >> delegateShift < 4 * multiple * wanted) delegateShift--;
  const most = Math.max(limits.rescanRows, 2 * wanted);
  // Nothing overflows a second try but what is hopeless: a forced capacity is for the first.
  const forced = question.mustScore ? undefined : limits.candidateCapacity;
  const capacity = forced ?? Math.min(up32(rowCount), most, longestList(limits));
  const queries = fittingQueries(question, limits, [keyStride * 4, capacity * CANDIDATE_BYTES]);
  return { strategy: "score", queries, capacity, keyStride, delegateShift, multiple };
}

function planAppending(question: TileQuestion, rowCount: number, limits: PlanLimits): AppendPlan {
  const { wanted, shards } = question;
  const [least, most] = limits.sampleRows;
  // A streamed index samples what is at hand first: its resident rows, or else its first piece.
  const first = shards[0];
  const resident = shards.filter((shard) => shard.isResident);
  const pool = resident.length > 0 ? resident : first === undefined ? [] : [first];
  const poolRows = pool.reduce((sum, shard) => sum + shard.count, 0);
  const { codedCandidates } = question;
  // Codes let through a multiple of what the threshold does: let it be tight from the start.
  const wish = codedCandidates === undefined ? Math.ceil((wanted * rowCount) / limits.expectedCandidates) : most;
  const sample = Math.min(poolRows, Math.max(least, Math.min(most, wish, Math.floor(rowCount / 8))));
  const step = Math.max(1, Math.floor(poolRows / 32 / Math.max(1, Math.ceil(sample / 32))));
  const sampled = pool.reduce((sum, shard) => sum + sampledRows(shard.count, step), 0);
  const keyStride = pool.reduce((sum, shard) => sum + Math.ceil(sampledRows(shard.count, step) / 64) * 64, 0);
  const { ends, candidates } = tighteningEnds(sampled, rowCount, wanted, limits.expectedCandidates);
  const roomy = Math.max(1024, up32(4 * candidates), 2 * up32(wanted), 2 * up32(codedCandidates ?? 0));
  const capacity = limits.candidateCapacity ?? Math.min(up32(rowCount), roomy, longestList(limits));
  const queries = fittingQueries(question, limits, [keyStride * 4, capacity * CANDIDATE_BYTES]);
  return { strategy: "append", queries, capacity, step, keyStride, multiple: wanted <= 256 ? 4 : 2, ends };
}

/** Candidates that one query's lists can hold in one binding each. */
function longestList(limits: PlanLimits): number {
  return Math.floor(limits.maxBindingBytes / 128) * 32;
}

/** Rows of a sample that takes every step-th block of 32 of `rows`. */
export function sampledRows(rows: number, step: number): number {
  const blocks = Math.ceil(rows / 32);
  const taken = Math.ceil(blocks / step);
  const lastBlock = (taken - 1) * step;
  return (taken - 1) * 32 + Math.min(32, rows - lastBlock * 32);
}

/**
 * Where to tighten the threshold: a bound from the k-th of S rows lets about k·(rows / S) rows
 * through, so each round may look at a multiple of what the round before it looked at.
 */
function tighteningEnds(
  sampled: number,
  rowCount: number,
  wanted: number,
  expected: number,
): { ends: number[]; candidates: number } {
  const ends: number[] = [];
  let seen = Math.max(32, sampled);
  let candidates = 0;
  let at = 0;
  while (at < rowCount) {
    const room = up32(Math.max(seen, Math.floor((expected * seen) / wanted)));
    const end = Math.min(rowCount, at + room);
    candidates += Math.ceil((wanted * (end - at)) / seen);
    ends.push(end);
    at = end;
    seen = Math.max(seen, end);
  }
  return { ends, candidates };
}

/** Queries that share one pass over a row's registers. */
export function registerQueries(queries: number, most: number): number {
  let qb = 1;
  while (qb < queries && qb < most) qb *= 2;
  return qb;
}

/** Workgroups that cover `invocations` on a grid of lines, and the invocations of a line. */
export interface Grid {
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

export function grid(invocations: number, workgroup: number, maxPerDimension: number): Grid {
  const groups = Math.max(1, Math.ceil(invocations / workgroup));
  const x = Math.min(groups, maxPerDimension);
  return { x, y: Math.ceil(groups / x), width: x * workgroup };
}

/** Workgroups that walk over a query's candidates: enough to fill a device, few enough to cost nothing when idle. */
export function candidateGroups(capacity: number, workgroup: number, queries: number, maxPerDimension: number): number {
  const all = Math.ceil(capacity / workgroup);
  const share = Math.max(1, Math.floor(LIMITS.candidateWorkgroups / queries));
  return Math.min(all, share, maxPerDimension);
}
