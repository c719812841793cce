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
import type { Certificate } from "./certificate-copy.ts";
import { type AppendPlan, candidateGroups, grid, sampledRows, type ScorePlan } from "./plan.ts";
import type { Shard } from "./residency.ts";
import {
  delegatesOf,
  QUERY_FACT_WORDS,
  type Range,
  type Tile,
  TileBuffers,
  type TileDeps,
  type TileRequest,
  usesHistogram,
} from "./tile.ts";
import { TileScan } from "./tile-scan.ts";

/** By query of the tile. */
export interface Survivors {
  /** Survivors in all. */
  readonly counts: Uint32Array;
  /** Candidates in all: more than the plan's capacity means that some were lost. */
  readonly candidates: Uint32Array;
  /** [queries × room] the survivors, as many as there is room for. */
  readonly rows: Uint32Array;
}

export class TileSearch {
  readonly #deps: TileDeps;
  readonly #buffers: TileBuffers;
  readonly #scans: TileScan;
  #streamedRows = 0;

  constructor(deps: TileDeps) {
    this.#deps = deps;
    this.#buffers = new TileBuffers(deps.memory, deps.commands);
    this.#scans = new TileScan(deps);
  }

  /** Rows that were sent for a scan because they are not kept on the device. */
  get streamedRows(): number {
    return this.#streamedRows;
  }

  /** Lets go of all buffers: the next tile may be smaller, and memory was short. */
  dispose(): void {
    this.#buffers.dispose();
  }

  /**
   * Records and submits the tile, and resolves with what will come back: once it has resolved,
   * another tile may be begun.
   */
  async begin(request: TileRequest): Promise<{ readonly survivors: Promise<Survivors> }> {
    const tile = this.#buffers.prepare(request);
    if (tile.certificate !== undefined) await this.#encodeQueries(tile, tile.certificate);
    const { plan } = tile;
    if (plan.strategy === "score") await this.#scoreAndCollect(tile, plan);
    else await this.#sampleAndAppend(tile, plan);
    const usesPick = tile.source.metric === "hamming";
    if (usesPick) await this.#rankTies(tile);
    await this.#compact(tile, usesPick);
    return { survivors: this.#readBack(tile) };
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
    for (const range of ranges) await this.#scans.scan(tile, range, "keys");
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
        await this.#scans.scan(tile, { shard, first, rows: end - first, step: 1, keyOffset: 0 }, "candidates");
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
    if (usesHistogram(tile)) {
      for (const range of ranges) await this.#scans.scan(tile, range, "histogram");
      await this.#selectBin(tile);
      return;
    }
    await this.#blankGaps(tile, ranges);
    for (const range of ranges) await this.#scans.scan(tile, range, "keys");
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
