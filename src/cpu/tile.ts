/**
 * A tile: the queries that pass over the rows together. Each has a heap of its exact nearest rows
 * so far, whose bound, carried into the scale of estimates, is the limit that a row must not
 * exceed: in full precision with the margin of core/margin.ts, by codes with the certificate of
 * core/certificate.ts. The bound is always that of true distances (KERNELS b.5: T from rows already
 * rescored), so every row that is ruled out is ruled out for good.
 */
import { scanBound } from "../core/certificate.ts";
import { COMFORT_MAX, isComfortable, unitExponent } from "../core/comfort.ts";
import { admissible, scanMargin, type ScanMargin, toEstimateScale } from "../core/margin.ts";
import { LIMITS } from "../core/limits.ts";
import type { FloatMetric } from "../core/metric.ts";
import { ceilF32, floorF32, roundUpF32 } from "../core/rounding.ts";
import { NearestHeap } from "../core/topk.ts";
import type { CodeBasis, Encoder } from "./encoder.ts";
import type { Kernels } from "./kernels.ts";
import { codeStride, COEFFICIENTS, coefficientPlane, type StoreShape } from "./layout.ts";
import { Shortlist } from "./shortlist.ts";
import type { Chunk } from "./store-view.ts";
import type { ScanTask, TaskBlock } from "./tasks.ts";

/** Of queries that are compared canonically. */
const NO_MARGIN: ScanMargin = { relative: 0, perNorm: 0, absolute: 0 };
/** What a fact n, a float32 norm rounded up, is off by when squared in float32, relatively (encoder.ts). */
const NORM2_ERROR = 4 * 2 ** -23;
/** Place of the limits among the arrays of coefficients. */
const LIMIT = 4;

export interface TileQuery {
  /** Number of the query in its task. */
  readonly index: number;
  readonly heap: NearestHeap;
  readonly maxDistance: number;
  readonly norm: number;
  /** What the scans multiply the query by: a power of two, not 1 only for dot. */
  readonly scale: number;
  readonly margin: ScanMargin;
  /** Rows it may find. */
  readonly bits: Uint32Array;
  /** Where many rows are wanted, and float32 estimates can be had; rows in it are not in the heap. */
  shortlist: Shortlist | undefined;
  /** What a float32 estimate must not exceed by now. */
  limit: number;
  /** The most that the true distance of a row of the answer can be, in estimate scale, by the shortlist or a guess. */
  truth: number;
  /** What was guessed of that; +∞: nothing. The answer holds only if its farthest row is within. */
  guess: number;
}

/** A tile's queries as codes. */
interface TileCodes {
  readonly stride: number;
  /** [queries × stride] */
  readonly codes: Int8Array;
  readonly levels: QueryLevels;
  /** [COEFFICIENTS × plane] as the kernel takes them; the last array, the limits, changes with the bounds. */
  readonly coefficients: Float32Array;
  /** [queries] what is the query's alone in its estimates, bound included: limit = T + offset. */
  readonly offsets: Float64Array;
  /** What the kernel multiplies n² by. */
  readonly weight: number;
}

/** Largest code of a query: 63 where kernels take 7 bits. */
export type QueryLevels = Kernels["queryLevels"];

export class QueryTile {
  readonly queries: readonly TileQuery[];
  /** Whether every query may find the same rows. */
  readonly sharesBits: boolean;
  /** Rows that the tile has to pass over. */
  readonly totalRows: number;
  /** Pairs of row and query that were judged by codes on trial, and those that survived. */
  pairs = 0;
  survivors = 0;
  /** Rows that the tile passed over. */
  rows = 0;
  readonly #shape: StoreShape;
  readonly #task: ScanTask;
  /** [queries] */
  readonly #limits: Float32Array;
  readonly #bounds: Float64Array;
  readonly #truths: Float64Array;
  readonly #loaded = new Set<Chunk>();
  #codes: TileCodes | undefined;

  /** `queries`: their numbers in the task. */
  constructor(shape: StoreShape, task: ScanTask, queries: readonly number[]) {
    const count = queries.length;
    this.#shape = shape;
    this.#task = task;
    this.queries = queries.map((index) => tileQuery(shape, task, index));
    this.totalRows = task.blocks.reduce((sum, block) => sum + block.rowCount, 0);
    const [one] = this.queries;
    this.sharesBits = this.queries.every((q) => q.bits === one?.bits);
    this.#limits = new Float32Array(count).fill(Infinity);
    this.#bounds = new Float64Array(count).fill(Number.NaN);
    this.#truths = new Float64Array(count).fill(Number.NaN);
  }

  get codeStride(): number {
    return this.#codes?.stride ?? 0;
  }

  get weight(): number {
    return this.#codes?.weight ?? 0;
  }

  get isCoded(): boolean {
    return this.#codes !== undefined;
  }

  get hasShortlists(): boolean {
    return this.queries.some((q) => q.shortlist !== undefined);
  }

  /** Gives up the codes: the rest of the rows is scanned in full. */
  dropCodes(): void {
    this.#codes = undefined;
  }

  /** Makes codes of the queries; rows coded by the same basis can then be judged by them. */
  encode(encoder: Encoder, basis: CodeBasis, levels: QueryLevels): void {
    const { coded: metric, dimensions, stride } = this.#shape;
    if (metric === undefined) return;
    const count = this.queries.length;
    const length = codeStride(basis.length);
    const plane = coefficientPlane(this.#shape.scratch.tileQueries) / 4;
    const codes = new Int8Array(count * length);
    const coefficients = new Float32Array(COEFFICIENTS * plane);
    const offsets = new Float64Array(count);
    let weight = 0;
    this.queries.forEach((q, i) => {
      const vector = this.#task.queries.subarray(q.index * stride, (q.index + 1) * stride);
      if (vector instanceof Uint32Array) throw new Error("bits have no codes");
      const query = encoder.encodeQuery(basis, vector, q.scale, levels, codes, i * length);
      const bound = scanBound({ metric, dimensions, query, defect: basis.defect, norm2Error: NORM2_ERROR });
      // ‖ŷ‖ ≤ (1 + δ)·n + E stands for C.
      const facts = [
        (metric === "euclidean" ? 2 : 1) * query.scale,
        roundUpF32(bound.perError + bound.perCode),
        bound.perResidual,
        roundUpF32(bound.perCode * (1 + basis.defect) * (1 + 2 ** -40)),
      ];
      facts.forEach((value, at) => {
        coefficients[at * plane + i] = value;
      });
      offsets[i] = bound.absolute - (metric === "cosine" ? 1 : metric === "euclidean" ? query.norm2 : 0);
      if (metric === "euclidean") weight = floorF32(1 - bound.perNorm2);
    });
    // Beyond float32 the bound says nothing: these queries do without codes.
    if (!coefficients.every(Number.isFinite) || !offsets.every(Number.isFinite)) return;
    this.#codes = { stride: length, codes, levels, coefficients, offsets, weight };
  }

  /** Whether float32 scans of this block mean anything for every query (core/margin.ts). */
  canEstimate(block: TaskBlock): boolean {
    const { metric } = this.#shape;
    if (!isComfortable(block.maxNorm)) return false;
    if (metric === "cosine") return isComfortable(block.minNorm);
    return metric === "dot" || this.queries.every((q) => q.norm <= COMFORT_MAX);
  }

  /** Copies the queries into the chunk's scratch, once. */
  load(chunk: Chunk): void {
    if (this.#loaded.has(chunk)) return;
    this.#loaded.add(chunk);
    const { stride, estimated } = this.#shape;
    const { views } = chunk.scratch;
    this.queries.forEach((q, i) => {
      const vector = this.#task.queries.subarray(q.index * stride, (q.index + 1) * stride);
      views.givenQueries.set(new Uint32Array(vector.buffer, vector.byteOffset, stride), i * stride);
      if (estimated === undefined || vector instanceof Uint32Array) return;
      const factor = estimated === "cosine" ? 1 / q.norm : q.scale;
      for (let d = 0; d < stride; d++) views.scanQueries[i * stride + d] = (vector[d] ?? 0) * factor;
      views.perNorms[i] = q.margin.perNorm * (1 + 2 ** -20);
    });
    const codes = this.#codes;
    if (codes === undefined) return;
    if (codes.levels === 127) views.wideCodes.set(codes.codes);
    else for (let i = 0; i < codes.codes.length; i++) views.sevenCodes[i] = (codes.codes[i] ?? 0) + 64;
    views.coefficients.set(codes.coefficients);
  }

  /** Brings the limits in the chunk's scratch up to the heaps' bounds. */
  refresh(chunk: Chunk): void {
    const { estimated, coded } = this.#shape;
    const codes = this.#codes;
    const limits = this.#limits;
    const plane = coefficientPlane(this.#shape.scratch.tileQueries) / 4;
    for (let i = 0; i < this.queries.length; i++) {
      const q = this.queries[i];
      if (q === undefined) continue;
      const bound = Math.min(q.heap.bound, q.maxDistance);
      if (bound === this.#bounds[i] && q.truth === this.#truths[i]) continue;
      this.#bounds[i] = bound;
      this.#truths[i] = q.truth;
      q.limit = estimated === undefined ? bound : currentLimit(q, estimated);
      limits[i] = q.limit;
      if (codes === undefined || coded === undefined) continue;
      const nearest = Math.min(toEstimateScale(coded, bound, q.scale), q.truth);
      codes.coefficients[LIMIT * plane + i] = ceilF32(nearest + (codes.offsets[i] ?? 0));
    }
    const { views } = chunk.scratch;
    views.limits.set(limits);
    if (codes !== undefined) views.coefficients.set(codes.coefficients.subarray(LIMIT * plane), LIMIT * plane);
  }

  /**
   * Copies the eligibility of rows `firstRow … firstRow + rowCount − 1` to the chunk's scratch.
   * Returns the words that a query takes there, 0 where all share them; undefined when no query may
   * find any of the rows.
   */
  loadEligible(chunk: Chunk, firstRow: number, rowCount: number): number | undefined {
    const { eligible } = chunk.scratch.views;
    const words = Math.ceil(rowCount / 32);
    const last = 0xffffffff >>> (-rowCount & 31);
    const from = firstRow >>> 5;
    const shift = firstRow & 31;
    const copies = this.sharesBits ? 1 : this.queries.length;
    let any = 0;
    for (let i = 0; i < copies; i++) {
      const bits = this.queries[i]?.bits;
      for (let w = 0; w < words; w++) {
        let word = bits?.[from + w] ?? 0;
        if (shift > 0) word = (word >>> shift) | ((bits?.[from + w + 1] ?? 0) << (32 - shift));
        if (w === words - 1) word &= last;
        eligible[i * words + w] = word;
        any |= word;
      }
    }
    return any === 0 ? undefined : this.sharesBits ? 0 : words;
  }
}

function tileQuery(shape: StoreShape, task: ScanTask, index: number): TileQuery {
  const norm = task.norms[index] ?? 0;
  const wanted = task.wanted[index] ?? 0;
  const scale = shape.metric === "dot" ? 2 ** unitExponent(norm) : 1;
  return {
    index,
    heap: new NearestHeap(wanted),
    maxDistance: task.maxDistances[index] ?? Infinity,
    norm,
    scale,
    margin: marginOf(shape, task, norm * scale, scale),
    shortlist: wanted >= LIMITS.shortlistFrom && hasShortlist(shape) ? new Shortlist(wanted) : undefined,
    limit: Infinity,
    truth: Infinity,
    guess: Infinity,
    bits: task.eligibilities[task.eligibilityOf[index] ?? 0]?.bits ?? new Uint32Array(0),
  };
}

/** Whether pairs have float32 estimates (assembly/refine.ts). */
function hasShortlist({ precision, estimated }: StoreShape): boolean {
  return precision !== "i8" && estimated !== undefined && estimated !== "manhattan";
}

/** What an estimate may be at most of a row that may still belong to the query's answer. */
export function currentLimit(query: TileQuery, metric: FloatMetric): number {
  const bound = Math.min(query.heap.bound, query.maxDistance);
  return estimateLimit(query, Math.min(toEstimateScale(metric, bound, query.scale), query.truth));
}

/** What an estimate may be at most, as float32 sees it, of a row whose true distance is at most `truth` in that scale. */
export function estimateLimit(query: TileQuery, truth: number): number {
  const limit = admissible(truth, query.margin);
  return Number.isFinite(limit) ? limit + Math.abs(limit) * 2 ** -22 : limit;
}

function marginOf(shape: StoreShape, task: ScanTask, norm: number, scale: number): ScanMargin {
  const { estimated, dimensions, precision } = shape;
  if (estimated === undefined) return NO_MARGIN;
  const margin = scanMargin(estimated, dimensions, norm, scale);
  if (precision !== "i8") return margin;
  // An element of a decoded row is off by 2⁻²⁴ of itself, Σ|x| ≤ √d·‖x‖ (assembly/decode_i8.ts).
  const longest = task.blocks.reduce((most, block) => Math.max(most, block.maxNorm), 0);
  return { ...margin, absolute: margin.absolute + 2 ** -23 * Math.sqrt(dimensions) * longest };
}
