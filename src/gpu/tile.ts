/**
 * A tile of queries as the device gets it: its vectors, parameters and bitmaps written, its states
 * at their beginnings, its other buffers large enough. Buffers are kept from tile to tile and grow.
 */
import type { Batch, RowSource } from "../core/backend.ts";
import { isBitMetric } from "../core/metric.ts";
import type { Certificate } from "./certificate-copy.ts";
import type { Commands } from "./commands.ts";
import { USAGE } from "./flags.ts";
import { type DeviceMemory, GrowingBuffer } from "./memory.ts";
import type { Pipelines } from "./pipelines.ts";
import type { PlanLimits, ScorePlan, TilePlan } from "./plan.ts";
import type { Gemm } from "./probe.ts";
import { QUERY_PARAM_WORDS, queryHalves, type ScanQuery } from "./query.ts";
import type { ReadBackRing } from "./read-back.ts";
import type { Residency, Shard } from "./residency.ts";

export interface TileDeps {
  readonly memory: DeviceMemory;
  readonly pipelines: Pipelines;
  readonly commands: Commands;
  readonly readBack: ReadBackRing;
  readonly limits: PlanLimits;
  /** Most queries that share one pass over a row's registers. */
  readonly mostRegisterQueries: number;
  /** Multiply-adds after which a dispatch is cut. */
  readonly workPerSubmit: () => number;
}

/** What the scan is asked: queries of a batch by number, each with its parameters. */
export interface TileRequest {
  readonly source: RowSource;
  readonly residency: Residency;
  readonly shards: readonly Shard[];
  readonly batch: Batch;
  readonly queries: readonly { readonly number: number; readonly scan: ScanQuery }[];
  readonly plan: TilePlan;
  /** Survivors of a query that are read back. */
  readonly room: number;
  /** With which codes to scan; undefined: the rows in full precision. */
  readonly certificate: Certificate | undefined;
  /** What scans so many queries; undefined: the barrier-free kernels. */
  readonly gemm: Gemm | undefined;
}

/** Words of `QueryState`: threshold, pick, count, refined. */
const STATE_WORDS = 4;
/** Words of `QueryFacts`. */
export const QUERY_FACT_WORDS = 8;
/** ADMITS_ALL of shaders/parts/keys.wgsl. */
const ADMITS_ALL = 2 ** 126;
/** A query's histogram has at most this many bins: select_bin walks over them alone. */
const MOST_BINS = 4097;

const BUFFER_NAMES = [
  "queries",
  "queryHalves",
  "queryParams",
  "queryCodes",
  "queryFacts",
  "eligible",
  "states",
  "keys",
  "delegates",
  "histograms",
  "candidates",
  "highs",
  "lows",
  "results",
] as const;
type BufferName = (typeof BUFFER_NAMES)[number];

/** A tile under way: its request and the buffers that are its own while it is recorded. */
export interface Tile extends TileRequest {
  readonly count: number;
  readonly buffers: Readonly<Record<BufferName, GPUBuffer>>;
  /** Words of one bitmap in `eligible`. */
  readonly words: number;
}

/** Rows of a shard to look at. */
export interface Range {
  readonly shard: Shard;
  /** Counted within the shard; a multiple of 32. */
  readonly first: number;
  /** Rows looked at. */
  readonly rows: number;
  readonly step: number;
  readonly keyOffset: number;
}

export class TileBuffers {
  readonly #memory: DeviceMemory;
  readonly #commands: Commands;
  readonly #buffers: Readonly<Record<BufferName, GrowingBuffer>>;

  constructor(memory: DeviceMemory, commands: Commands) {
    this.#memory = memory;
    this.#commands = commands;
    const usage = USAGE.storage | USAGE.copyDst | USAGE.copySrc;
    const entries = BUFFER_NAMES.map((name) => [name, new GrowingBuffer(memory, name, usage)] as const);
    // Object.fromEntries forgets the names.
    this.#buffers = Object.fromEntries(entries) as Record<BufferName, GrowingBuffer>;
  }

  /** Lets go of all buffers: the next tile may be smaller, and memory was short. */
  dispose(): void {
    for (const buffer of Object.values(this.#buffers)) buffer.destroy();
  }

  /** Writes the tile's queries, parameters and bitmaps, and sets its states to their beginnings. */
  prepare(request: TileRequest): Tile {
    const { source, batch, queries, plan, room, certificate } = request;
    const { stride } = source;
    const usesHalves = request.gemm?.kernel === "gemm_f16_matrix";
    const count = queries.length;
    const vectors = new Uint32Array(count * stride);
    const halves = new Uint16Array(usesHalves ? (count * source.rowBytes) / 2 : 0);
    const params = new Uint32Array(count * QUERY_PARAM_WORDS);
    const floats = new Float32Array(params.buffer);
    const states = new Uint32Array(count * STATE_WORDS);
    const thresholds = new Float32Array(states.buffer);
    const bitmaps = new Map<number, number>();
    const isBits = isBitMetric(source.metric);
    const elements = new Float32Array(vectors.buffer);
    queries.forEach(({ number, scan }, i) => {
      const given = batch.queries.subarray(number * stride, (number + 1) * stride);
      if (isBits) vectors.set(given, i * stride);
      else for (let d = 0; d < stride; d++) elements[i * stride + d] = (given[d] ?? 0) * scan.factor;
      const eligibility = batch.eligibilityOf[number] ?? 0;
      let bitmap = bitmaps.get(eligibility);
      if (bitmap === undefined) bitmaps.set(eligibility, (bitmap = bitmaps.size));
      floats.set(scan.params, i * QUERY_PARAM_WORDS);
      params.set([batch.wanted[number] ?? 0, bitmap], i * QUERY_PARAM_WORDS + 6);
      floats[i * QUERY_PARAM_WORDS + 8] = scan.norm;
      if (usesHalves) {
        const query = elements.subarray(i * stride, (i + 1) * stride);
        floats[i * QUERY_PARAM_WORDS + 9] = queryHalves(query, halves.subarray((i * source.rowBytes) / 2));
      }
      thresholds[i * STATE_WORDS] = Math.min(ADMITS_ALL, scan.params[5]);
    });
    const words = bitmapWords(batch);
    const eligible = new Uint32Array(bitmaps.size * words);
    for (const [index, bitmap] of bitmaps) eligible.set(batch.eligibilities[index]?.bits ?? [], bitmap * words);
    const delegateStride = plan.strategy === "score" ? delegatesOf(plan) : 0;
    const bins = usesHistogram(request) ? source.dimensions + 1 : 0;
    const sizes: Readonly<Record<BufferName, number>> = {
      queries: vectors.byteLength,
      queryHalves: halves.byteLength,
      queryParams: params.byteLength,
      queryCodes: certificate === undefined ? 0 : count * certificate.codeChunks * 16,
      queryFacts: certificate === undefined ? 0 : count * QUERY_FACT_WORDS * 4,
      eligible: eligible.byteLength,
      states: states.byteLength,
      keys: bins > 0 ? 0 : count * plan.keyStride * 4,
      delegates: count * delegateStride * 4,
      histograms: count * bins * 4,
      candidates: count * plan.capacity * 4,
      highs: count * plan.capacity * 4,
      lows: count * plan.capacity * 4,
      results: count * (2 + room) * 4,
    };
    const made = BUFFER_NAMES.map((name) => [name, this.#buffers[name].atLeast(sizes[name])] as const);
    const buffers = Object.fromEntries(made) as Record<BufferName, GPUBuffer>;
    const memory = this.#memory;
    memory.write(buffers.queries, 0, vectors);
    if (usesHalves) memory.write(buffers.queryHalves, 0, halves);
    memory.write(buffers.queryParams, 0, params);
    memory.write(buffers.eligible, 0, eligible);
    memory.write(buffers.states, 0, states);
    memory.write(buffers.results, 0, new Uint32Array(2 * count));
    if (delegateStride > 0) this.#commands.clear(buffers.delegates, sizes.delegates);
    if (bins > 0) this.#commands.clear(buffers.histograms, sizes.histograms);
    return { ...request, count, buffers, words };
  }
}

/** Whether the sample is counted instead of keyed. */
export function usesHistogram({ source, plan }: TileRequest): boolean {
  return plan.strategy === "append" && source.metric === "hamming" && source.dimensions < MOST_BINS;
}

/** Delegates of a query; 0 where the keys themselves are searched. */
export function delegatesOf(plan: ScorePlan): number {
  return plan.delegateShift === 0 ? 0 : Math.ceil(plan.keyStride / 2 ** plan.delegateShift);
}

/** Words of one bitmap when all bitmaps of a batch are laid out alike. */
export function bitmapWords(batch: Batch): number {
  return batch.eligibilities.reduce((most, e) => Math.max(most, e.bits.length), 1);
}
