/**
 * What a GPU search will do, as pure arithmetic: which rows lie in which buffer, how a batch is
 * cut into tiles, what a dispatch covers, what a query's parameters are. No GPU object here.
 */
import type { FloatMetric } from "../core/metric.ts";
import { F32_MAX } from "../core/metric.ts";
import { COMFORT_MAX, ESTIMATE_MAX, isComfortable, scanMargin, toEstimateScale, unitExponent } from "../core/margin.ts";

/** The device limits that shape a plan; tests make them small. */
export interface PlanLimits {
  readonly maxBindingBytes: number;
  readonly maxWorkgroupsPerDimension: number;
  readonly workgroup: number;
  /** Bytes of scan copies to keep on the device. */
  readonly memoryBudgetBytes: number;
  readonly scoreBytes: number;
  readonly batchQueries: number;
}

export interface ShardPlan {
  /** Rows of one buffer, a multiple of 32. */
  readonly shardRows: number;
  /** Rows kept on the device, from row 0; the others are streamed. */
  readonly residentRows: number;
  /** Rows of one streamed piece, a multiple of 32; 0 when all rows are resident. */
  readonly streamRows: number;
}

/** Keys of one histogram dispatch stay well inside u32 and 65,535 workgroups × 1,024 keys. */
const MAX_SHARD_ROWS = 2 ** 25;
/** Keys that one workgroup counts, about: fewer workgroups share the cost of clearing and adding histograms. */
const KEYS_PER_GROUP = 1024;

const down32 = (rows: number): number => rows - (rows % 32);

export function planShards(rowCount: number, rowBytes: number, limits: PlanLimits): ShardPlan {
  const shardRows = Math.max(32, Math.min(MAX_SHARD_ROWS, down32(Math.floor(limits.maxBindingBytes / rowBytes))));
  const wanted = Math.ceil(rowCount / 32) * 32;
  if (wanted * rowBytes <= limits.memoryBudgetBytes) return { shardRows, residentRows: wanted, streamRows: 0 };
  // Half the budget for the piece in flight at most: a larger piece saves submits, more residents save uploads.
  const half = down32(Math.floor(limits.memoryBudgetBytes / 2 / rowBytes));
  const streamRows = Math.max(32, Math.min(shardRows, half));
  const residentRows = Math.max(0, down32(Math.floor(limits.memoryBudgetBytes / rowBytes)) - streamRows);
  return { shardRows, residentRows, streamRows };
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

/** Rows that a query may read back at once: k and the contract's margin. */
export function readBackCapacity(k: number, marginRows: number): number {
  return k + Math.max(marginRows, Math.ceil(k / 4));
}

/** Queries of one tile: as many as the score, survivor and histogram buffers allow, at least one. */
export function tileQueries(
  queries: number,
  ranges: readonly ShardRange[],
  capacity: number,
  bitmapWords: number,
  limits: PlanLimits,
): number {
  const rows = ranges.reduce((sum, range) => sum + range.count, 0);
  const widest = ranges.reduce((most, range) => Math.max(most, range.count), 1);
  const fitting = Math.min(
    Math.floor(limits.scoreBytes / (rows * 4)),
    Math.floor(limits.maxBindingBytes / (widest * 4)),
    Math.floor(limits.maxBindingBytes / (capacity * 4)),
    Math.floor(limits.maxBindingBytes / (bitmapWords * 4)),
    Math.floor(limits.maxBindingBytes / 1024),
    limits.batchQueries,
    limits.maxWorkgroupsPerDimension,
    queries,
  );
  return Math.max(1, fitting > 16 && fitting < queries ? fitting - (fitting % 16) : fitting);
}

/** Workgroups that count the keys of a shard by striding over them. */
export function countGroups(keys: number, maxPerDimension: number): number {
  return Math.min(maxPerDimension, Math.ceil(keys / KEYS_PER_GROUP));
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

/**
 * The exponent by which an index's rows are scaled for scanning: 0 unless their magnitude is
 * extreme. Cosine scales each row by itself instead (see `rowExponent`).
 */
export function indexExponent(metric: FloatMetric, maxNorm: number): number {
  return metric === "cosine" || isComfortable(maxNorm) ? 0 : unitExponent(maxNorm);
}

/** The exponent by which one row is scaled for scanning. */
export function rowExponent(metric: FloatMetric, norm: number, exponent: number): number {
  if (metric !== "cosine") return exponent;
  return isComfortable(norm) ? 0 : unitExponent(norm);
}

/** A query as the scan sees it. */
export interface ScanQuery {
  /** Multiplies the query's elements. */
  readonly factor: number;
  /** Eight 32-bit words of `QueryParams` (shaders/scan_f32.wgsl) but the last two, which are integers. */
  readonly params: readonly [
    relative: number,
    perNorm: number,
    absolute: number,
    floor: number,
    ceiling: number,
    limit: number,
  ];
}

/**
 * Prepares a query, or returns undefined where float32 cannot hold its distances beside the rows'
 * scale (a euclidean or manhattan query astronomically larger than the data): that query is for
 * the float64 scan. `norm`: of the query as given. `exponent`: the index's.
 */
export function scanQuery(
  metric: FloatMetric,
  dimensions: number,
  norm: number,
  exponent: number,
  maxDistance: number,
): ScanQuery | undefined {
  const isProduct = metric === "cosine" || metric === "dot";
  if (!isProduct && norm * 2 ** exponent > COMFORT_MAX * 2 ** 10) return undefined;
  const unit = unitExponent(norm);
  const factor = metric === "cosine" ? 1 / norm : metric === "dot" ? 2 ** unit : 2 ** exponent;
  const scale = metric === "cosine" ? 1 : metric === "dot" ? 2 ** (unit + exponent) : 2 ** exponent;
  const margin = scanMargin(metric, dimensions, norm * factor, scale);
  const clamp = metric === "cosine" ? Infinity : F32_MAX * scale * (1 - 2 ** -20);
  const ceiling = metric === "euclidean" ? clamp * clamp : clamp;
  const floor = metric === "cosine" ? 0 : metric === "dot" ? -clamp : -ESTIMATE_MAX;
  const limit = toEstimateScale(metric, maxDistance, scale);
  return {
    factor,
    params: [
      roundUp(margin.relative),
      bounded(roundUp(margin.perNorm)),
      bounded(roundUp(margin.absolute)),
      bounded(floor),
      bounded(ceiling),
      bounded(limit === Infinity || limit === -Infinity ? limit : roundUp(limit)),
    ],
  };
}

/** A float32 at least as large, and larger by enough to outlast a rounding. */
function roundUp(value: number): number {
  return Math.fround(value + Math.abs(value) * 2 ** -22);
}

/** WGSL has no infinities: ± a power of two that no estimate reaches. */
function bounded(value: number): number {
  return Math.max(-ESTIMATE_MAX, Math.min(ESTIMATE_MAX, value));
}
