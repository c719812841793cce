/**
 * One tile of queries on the device: its buffers, its dispatches, its read-back. Knows kernels and
 * bindings (shaders/README.md); which queries make a tile and what becomes of its survivors is
 * scanner.ts's business, how it selects is plan.ts's. Buffers are kept from tile to tile and grow.
 *
 * Whatever the strategy, three things happen:
 *   bound    some rows, the most promising by their keys, get full-precision intervals; the k-th
 *            smallest upper end T is proven to be no nearer than the k-th distance
 *   scan     every row whose lower end is within T becomes a candidate
 *   settle   candidates get full-precision intervals, T is tightened with them, and those whose
 *            lower end is still within it are read back, in all about k
 * so a scan only has to rule rows out: it may run on int8 codes as well as on the rows themselves.
 */
import type { Batch, RowSource } from "../core/backend.ts";
import { isBitMetric, type Precision } from "../core/metric.ts";
import type { Certificate } from "./certificate-copy.ts";
import type { Commands } from "./commands.ts";
import { USAGE } from "./flags.ts";
import { type DeviceMemory, GrowingBuffer } from "./memory.ts";
import type { Emit, Pipelines, TileShape, Variant } from "./pipelines.ts";
import {
  type AppendPlan,
  candidateGroups,
  grid,
  type PlanLimits,
  registerQueries,
  sampledRows,
  type ScorePlan,
  type TilePlan,
} from "./plan.ts";
import { QUERY_PARAM_WORDS, type ScanQuery } from "./query.ts";
import type { ReadBackRing } from "./read-back.ts";
import type { Residency, Shard } from "./residency.ts";
import type { KernelName } from "./shaders.ts";

export interface TileDeps {
  readonly memory: DeviceMemory;
  readonly pipelines: Pipelines;
  readonly commands: Commands;
  readonly readBack: ReadBackRing;
  readonly limits: PlanLimits;
  /** Most queries that share one pass over a row's registers. */
  readonly mostRegisterQueries: number;
  /** The tile of a GEMM for these many queries, or undefined where a scan is to do it. */
  readonly gemmTile: (kernel: "gemm_f32" | "gemm_i8", queries: number) => TileShape | undefined;
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
}

/** By query of the tile. */
export interface Survivors {
  /** Survivors in all. */
  readonly counts: Uint32Array;
  /** Candidates in all: more than the plan's capacity means that some were lost. */
  readonly candidates: Uint32Array;
  /** [queries × room] the survivors, as many as there is room for. */
  readonly rows: Uint32Array;
}

/** Words of `QueryState`: threshold, pick, count, refined. */
const STATE_WORDS = 4;
/** Words of `QueryFacts`. */
const QUERY_FACT_WORDS = 8;
/** ADMITS_ALL of shaders/parts/keys.wgsl. */
const ADMITS_ALL = 2 ** 126;
/** A query's histogram has at most this many bins: select_bin walks over them alone. */
const MOST_BINS = 4097;

const BUFFER_NAMES = [
  "queries",
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
interface Tile extends TileRequest {
  readonly count: number;
  readonly buffers: Readonly<Record<BufferName, GPUBuffer>>;
  /** Words of one bitmap in `eligible`. */
  readonly words: number;
}

/** Rows of a shard to look at. */
interface Range {
  readonly shard: Shard;
  /** Counted within the shard; a multiple of 32. */
  readonly first: number;
  /** Rows looked at. */
  readonly rows: number;
  readonly step: number;
  readonly keyOffset: number;
}

export class TileSearch {
  readonly #deps: TileDeps;
  readonly #buffers: Readonly<Record<BufferName, GrowingBuffer>>;
  #streamedRows = 0;

  constructor(deps: TileDeps) {
    this.#deps = deps;
    const usage = USAGE.storage | USAGE.copyDst | USAGE.copySrc;
    const entries = BUFFER_NAMES.map((name) => [name, new GrowingBuffer(deps.memory, name, usage)] as const);
    // Object.fromEntries forgets the names.
    this.#buffers = Object.fromEntries(entries) as Record<BufferName, GrowingBuffer>;
  }

  /** Rows that were sent for a scan because they are not kept on the device. */
  get streamedRows(): number {
    return this.#streamedRows;
  }

  /** Lets go of all buffers: the next tile may be smaller, and memory was short. */
  dispose(): void {
    for (const buffer of Object.values(this.#buffers)) buffer.destroy();
  }

  /**
   * Records and submits the tile, and resolves with what will come back: once it has resolved,
   * another tile may be begun.
   */
  async begin(request: TileRequest): Promise<{ readonly survivors: Promise<Survivors> }> {
    const tile = this.#prepare(request);
    if (tile.certificate !== undefined) await this.#encodeQueries(tile, tile.certificate);
    const { plan } = tile;
    if (plan.strategy === "score") await this.#scoreAndCollect(tile, plan);
    else await this.#sampleAndAppend(tile, plan);
    const usesPick = tile.source.metric === "hamming";
    if (usesPick) await this.#rankTies(tile);
    await this.#compact(tile, usesPick);
    return { survivors: this.#readBack(tile) };
  }

  /** Writes the tile's queries, parameters and bitmaps, and sets its states to their beginnings. */
  #prepare(request: TileRequest): Tile {
    const { source, batch, queries, plan, room, certificate } = request;
    const { stride } = source;
    const count = queries.length;
    const vectors = new Uint32Array(count * stride);
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
      thresholds[i * STATE_WORDS] = Math.min(ADMITS_ALL, scan.params[5]);
    });
    const words = bitmapWords(batch);
    const eligible = new Uint32Array(bitmaps.size * words);
    for (const [index, bitmap] of bitmaps) eligible.set(batch.eligibilities[index]?.bits ?? [], bitmap * words);
    const delegateStride = plan.strategy === "score" ? delegatesOf(plan) : 0;
    const bins = this.#usesHistogram(request) ? source.dimensions + 1 : 0;
    const sizes: Readonly<Record<BufferName, number>> = {
      queries: vectors.byteLength,
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
    const { memory, commands } = this.#deps;
    memory.write(buffers.queries, 0, vectors);
    memory.write(buffers.queryParams, 0, params);
    memory.write(buffers.eligible, 0, eligible);
    memory.write(buffers.states, 0, states);
    memory.write(buffers.results, 0, new Uint32Array(2 * count));
    if (delegateStride > 0) commands.clear(buffers.delegates, sizes.delegates);
    if (bins > 0) commands.clear(buffers.histograms, sizes.histograms);
    return { ...request, count, buffers, words };
  }

  #usesHistogram({ source, plan }: TileRequest): boolean {
    return plan.strategy === "append" && source.metric === "hamming" && source.dimensions < MOST_BINS;
  }

  async #encodeQueries(tile: Tile, certificate: Certificate): Promise<void> {
    const { source, buffers, count } = tile;
    const kernel = await this.#deps.pipelines.get("encode_i8", {
      metric: certificate.metric,
      precision: "f32",
      facts: 1,
      codeFacts: QUERY_FACT_WORDS,
      isIdentity: certificate.isIdentity,
      isQuery: true,
    });
    const { codeChunks, directions, paramBits, basis } = certificate;
    const shape = grid(count, 1, this.#deps.limits.maxWorkgroupsPerDimension);
    this.#deps.commands.dispatch({
      kernel,
      params: [count, 0, source.stride / 4, codeChunks, source.stride, directions, shape.width, ...paramBits],
      // Facts are not read for queries: any buffer will do, and one that is only read.
      buffers: [buffers.queries, buffers.eligible, basis, buffers.queryCodes, buffers.queryFacts],
      grid: shape,
    });
  }

  /** Keys of all rows; the most promising bound the k-th distance, and what is within it is collected. */
  async #scoreAndCollect(tile: Tile, plan: ScorePlan): Promise<void> {
    let keyOffset = 0;
    const ranges: Range[] = [];
    for (const shard of tile.shards) {
      ranges.push({ shard, first: 0, rows: shard.count, step: 1, keyOffset });
      keyOffset += Math.ceil(shard.count / 64) * 64;
    }
    // Keys between the shards belong to no row.
    if (keyOffset !== tile.shards.reduce((sum, shard) => sum + shard.count, 0)) await this.#blankGaps(tile, ranges);
    for (const range of ranges) await this.#scan(tile, range, "keys");
    const delegateStride = delegatesOf(plan);
    await this.#select(
      tile,
      "pick",
      delegateStride > 0
        ? { list: tile.buffers.delegates, count: delegateStride, stride: delegateStride, isInverted: true }
        : { list: tile.buffers.keys, count: plan.keyStride, stride: plan.keyStride },
      plan.multiple,
    );
    for (const range of ranges) await this.#collect(tile, range, true);
    await this.#refine(tile);
    await this.#select(tile, "bound", { list: tile.buffers.highs, count: 0, stride: plan.capacity, resets: true });
    for (const range of ranges) await this.#collect(tile, range, false);
    await this.#refine(tile);
    await this.#select(tile, "bound", { list: tile.buffers.highs, count: 0, stride: plan.capacity });
  }

  /** A sample bounds the k-th distance; then every row within the bound is appended, the bound tightening on the way. */
  async #sampleAndAppend(tile: Tile, plan: AppendPlan): Promise<void> {
    const resident = tile.shards.filter((shard) => shard.isResident);
    const [firstShard] = tile.shards;
    if (resident.length > 0) await this.#sample(tile, plan, resident);
    const ends = [...plan.ends];
    for (const shard of tile.shards) {
      if (!shard.isResident) {
        await tile.residency.stream(shard);
        this.#streamedRows += shard.count;
        if (shard === firstShard) await this.#sample(tile, plan, [shard]);
      }
      for (let first = 0; first < shard.count; ) {
        const end = Math.min(shard.count, Math.max(first + 32, (ends[0] ?? Infinity) - shard.first));
        await this.#scan(tile, { shard, first, rows: end - first, step: 1, keyOffset: 0 }, "candidates");
        first = end;
        // Refined here, while the rows are sure to be in their buffer.
        await this.#refineIn(tile, shard);
        if (shard.first + end >= (ends[0] ?? Infinity) || !shard.isResident) {
          await this.#select(tile, "bound", { list: tile.buffers.highs, count: 0, stride: plan.capacity });
          while (shard.first + end >= (ends[0] ?? Infinity)) ends.shift();
        }
      }
    }
  }

  async #sample(tile: Tile, plan: AppendPlan, shards: readonly Shard[]): Promise<void> {
    let keyOffset = 0;
    const ranges: Range[] = [];
    for (const shard of shards) {
      const rows = sampledRows(shard.count, plan.step);
      ranges.push({ shard, first: 0, rows, step: plan.step, keyOffset });
      keyOffset += Math.ceil(rows / 64) * 64;
    }
    if (this.#usesHistogram(tile)) {
      for (const range of ranges) await this.#scan(tile, range, "histogram");
      await this.#selectBin(tile);
      return;
    }
    await this.#blankGaps(tile, ranges);
    for (const range of ranges) await this.#scan(tile, range, "keys");
    await this.#select(
      tile,
      "pick",
      { list: tile.buffers.keys, count: plan.keyStride, stride: plan.keyStride },
      plan.multiple,
    );
    for (const range of ranges) await this.#collect(tile, range, true);
    for (const shard of shards) await this.#refineIn(tile, shard);
    await this.#select(tile, "bound", { list: tile.buffers.highs, count: 0, stride: plan.capacity, resets: true });
  }

  /** Says of the entries behind each range, up to the next multiple of 64, that they belong to no row. */
  async #blankGaps(tile: Tile, ranges: readonly Range[]): Promise<void> {
    const kernel = await this.#deps.pipelines.get("blank");
    const { plan, buffers, count } = tile;
    for (const { rows, keyOffset } of ranges) {
      const gap = Math.ceil(rows / 64) * 64 - rows;
      if (gap === 0) continue;
      this.#deps.commands.dispatch({
        kernel,
        params: [keyOffset + rows, gap, plan.keyStride],
        buffers: [buffers.keys],
        grid: { x: 1, y: count },
      });
    }
  }

  async #scan(tile: Tile, range: Range, emit: Emit): Promise<void> {
    const { source, certificate, count, plan, buffers } = tile;
    const { shard } = range;
    const codes = certificate === undefined ? undefined : shard.codes;
    const gemm = certificate === undefined ? "gemm_f32" : "gemm_i8";
    const shape = isBitMetric(source.metric) ? undefined : this.#deps.gemmTile(gemm, count);
    const qb = registerQueries(count, this.#deps.mostRegisterQueries);
    const variant: Variant = {
      metric: source.metric,
      emit,
      facts: certificate?.factWords ?? tile.residency.factWords,
      ...(certificate === undefined ? { precision: source.precision } : { rounding: certificate.rounding }),
      ...(shape === undefined ? { qb } : { tile: shape }),
    };
    const scan: KernelName = isBitMetric(source.metric)
      ? "scan_b1"
      : certificate === undefined
        ? "scan_f32"
        : "scan_i8";
    const kernel = await this.#deps.pipelines.get(shape === undefined ? scan : gemm, variant);
    const emitted: Readonly<Record<Emit, readonly GPUBuffer[]>> = {
      keys: [buffers.keys, buffers.delegates],
      candidates: [buffers.states, buffers.candidates],
      histogram: [buffers.histograms],
    };
    const scanned =
      codes === undefined
        ? [shard.rows, shard.facts, buffers.queries, buffers.queryParams, buffers.eligible, ...emitted[emit]]
        : [
            codes.codes,
            codes.facts,
            buffers.queryCodes,
            buffers.queryParams,
            buffers.eligible,
            ...emitted[emit],
            buffers.queryFacts,
          ];
    const delegateStride = emit === "keys" && plan.strategy === "score" ? delegatesOf(plan) : 0;
    const delegateShift = plan.strategy === "score" ? plan.delegateShift : 0;
    const keyStride = emit === "histogram" ? source.dimensions + 1 : plan.keyStride;
    const chunks = certificate?.codeChunks ?? source.rowBytes / 16;
    const perQuery = chunks * (certificate === undefined ? 16 / bytesPerElement(source.precision) : 4);
    for (const cut of this.#cuts(range, shape?.queries ?? qb, perQuery, count)) {
      const { x, y, width } = this.#gridOf(cut.rows, shape);
      this.#deps.commands.dispatch({
        kernel,
        params: [
          cut.rows,
          chunks,
          count,
          width,
          range.first + (cut.at / 32) * range.step * 32,
          range.step,
          shard.first,
          tile.words,
          cut.firstQuery,
          keyStride,
          range.keyOffset + cut.at,
          delegateStride,
          delegateShift,
          plan.capacity,
        ],
        buffers: scanned,
        grid: { x, y },
        z: cut.groups,
        work: cut.rows * perQuery * Math.min(count, cut.groups * (shape?.queries ?? qb)),
      });
    }
  }

  #gridOf(rows: number, shape: TileShape | undefined): { x: number; y: number; width: number } {
    const { workgroup, maxWorkgroupsPerDimension } = this.#deps.limits;
    return shape === undefined
      ? grid(rows, workgroup, maxWorkgroupsPerDimension)
      : grid(Math.ceil(rows / shape.rows), 1, maxWorkgroupsPerDimension);
  }

  /** Pieces of a scan that are each a dispatch of bounded work: all rows for some queries, or some rows for a few. */
  *#cuts(
    { rows }: Range,
    groupQueries: number,
    perQuery: number,
    count: number,
  ): Generator<{ at: number; rows: number; firstQuery: number; groups: number }> {
    const most = this.#deps.workPerSubmit();
    const allGroups = Math.ceil(count / groupQueries);
    const groups = Math.max(1, Math.min(allGroups, Math.floor(most / (rows * perQuery * groupQueries))));
    const fitting = Math.floor(most / (perQuery * groupQueries) / 1024) * 1024;
    const rowsAtOnce = groups > 1 ? rows : Math.max(1024, Math.min(rows, fitting));
    for (let at = 0; at < rows; at += rowsAtOnce) {
      for (let group = 0; group < allGroups; group += groups) {
        yield {
          at,
          rows: Math.min(rowsAtOnce, rows - at),
          firstQuery: group * groupQueries,
          groups: Math.min(groups, allGroups - group),
        };
      }
    }
  }

  async #collect(tile: Tile, { shard, first, rows, step, keyOffset }: Range, usesPick: boolean): Promise<void> {
    const { plan, buffers, count } = tile;
    const kernel = await this.#deps.pipelines.get("collect", { emit: "candidates", usesPick });
    const { workgroup, maxWorkgroupsPerDimension } = this.#deps.limits;
    const { x, y, width } = grid(rows, workgroup, maxWorkgroupsPerDimension);
    this.#deps.commands.dispatch({
      kernel,
      params: [rows, 0, count, width, first, step, shard.first, 0, 0, plan.keyStride, keyOffset, 0, 0, plan.capacity],
      buffers: [buffers.keys, buffers.states, buffers.candidates],
      grid: { x, y },
      z: count,
    });
  }

  async #refine(tile: Tile): Promise<void> {
    for (const shard of tile.shards) await this.#refineIn(tile, shard);
  }

  /** Full-precision intervals of the candidates that lie in the shard and have none yet. */
  async #refineIn(tile: Tile, shard: Shard): Promise<void> {
    const { source, plan, buffers, count } = tile;
    const { metric, precision, rowBytes } = source;
    const kernel = await this.#deps.pipelines.get("refine", { metric, precision, facts: tile.residency.factWords });
    const { highs, lows, candidates } = buffers;
    this.#deps.commands.dispatch({
      kernel,
      params: [rowBytes / 16, shard.first, shard.count, plan.capacity],
      buffers: [shard.rows, shard.facts, buffers.queries, buffers.queryParams, buffers.states, candidates, highs, lows],
      grid: { x: this.#groupsOf(tile), y: count },
    });
  }

  #groupsOf({ plan, count }: Tile): number {
    const { workgroup, maxWorkgroupsPerDimension } = this.#deps.limits;
    return candidateGroups(plan.capacity, workgroup, count, maxWorkgroupsPerDimension);
  }

  /** "pick": which keys to look at closer; "bound": what the threshold is now. `count` 0: the query's candidates. */
  async #select(
    { buffers, count }: Tile,
    what: "pick" | "bound",
    list: { list: GPUBuffer; count: number; stride: number; isInverted?: boolean; resets?: boolean },
    multiple = 1,
  ): Promise<void> {
    this.#deps.commands.dispatch({
      kernel: await this.#deps.pipelines.get("select_k"),
      params: [
        list.count,
        list.stride,
        multiple,
        list.isInverted === true ? 0xffffffff : 0,
        what === "bound" ? 1 : 0,
        list.resets === true ? 1 : 0,
      ],
      buffers: [list.list, buffers.queryParams, buffers.states],
      grid: { x: count, y: 1 },
    });
  }

  async #selectBin({ source, buffers, count }: Tile): Promise<void> {
    const { workgroup, maxWorkgroupsPerDimension } = this.#deps.limits;
    this.#deps.commands.dispatch({
      kernel: await this.#deps.pipelines.get("select_bin"),
      params: [count, source.dimensions + 1],
      buffers: [buffers.histograms, buffers.queryParams, buffers.states],
      grid: grid(count, workgroup, maxWorkgroupsPerDimension),
    });
  }

  async #rankTies(tile: Tile): Promise<void> {
    const { plan, buffers, count } = tile;
    this.#deps.commands.dispatch({
      kernel: await this.#deps.pipelines.get("rank_ties"),
      params: [plan.capacity],
      buffers: [buffers.states, buffers.candidates, buffers.lows],
      grid: { x: this.#groupsOf(tile), y: count },
    });
    await this.#select(tile, "pick", { list: buffers.lows, count: 0, stride: plan.capacity });
  }

  async #compact(tile: Tile, usesPick: boolean): Promise<void> {
    const { plan, buffers, count, room } = tile;
    this.#deps.commands.dispatch({
      kernel: await this.#deps.pipelines.get("compact", { usesPick }),
      params: [plan.capacity, room, count],
      buffers: [buffers.states, buffers.candidates, buffers.lows, buffers.results],
      grid: { x: this.#groupsOf(tile), y: count },
    });
  }

  async #readBack({ buffers, count, room }: Tile): Promise<Survivors> {
    const { readBack, commands } = this.#deps;
    const words = await readBack.read(commands, buffers.results, count * (2 + room) * 4);
    return {
      counts: words.subarray(0, count),
      candidates: words.subarray(count, 2 * count),
      rows: words.subarray(2 * count),
    };
  }
}

/** Delegates of a query; 0 where the keys themselves are searched. */
function delegatesOf(plan: ScorePlan): number {
  return plan.delegateShift === 0 ? 0 : Math.ceil(plan.keyStride / 2 ** plan.delegateShift);
}

function bytesPerElement(precision: Precision): number {
  return { f32: 4, f16: 2, i8: 1, b1: 1 / 2 }[precision];
}

/** Words of one bitmap when all bitmaps of a batch are laid out alike. */
export function bitmapWords(batch: Batch): number {
  return batch.eligibilities.reduce((most, e) => Math.max(most, e.bits.length), 1);
}
