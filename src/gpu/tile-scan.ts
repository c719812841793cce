/**
 * The scan of some rows by a tile's queries: which kernel, with which buffers and parameters, and
 * in how many dispatches.
 */
import { isBitMetric, type Precision } from "../core/metric.ts";
import type { TileShape, Variant } from "./pipelines.ts";
import { grid, registerQueries } from "./plan.ts";
import type { Emit, KernelName } from "./shaders.ts";
import { delegatesOf, type Range, type Tile, type TileDeps } from "./tile.ts";

export class TileScan {
  readonly #deps: TileDeps;

  constructor(deps: TileDeps) {
    this.#deps = deps;
  }

  /** Records the scan of a range: into keys, candidates or histograms. */
  async scan(tile: Tile, range: Range, emit: Emit): Promise<void> {
    const { source, certificate, count, plan, buffers, gemm } = tile;
    const { shard } = range;
    const codes = certificate === undefined ? undefined : shard.codes;
    if (certificate !== undefined && codes === undefined) throw new Error("a certified scan of rows without codes");
    const shape = gemm?.shape.tile;
    const qb = registerQueries(count, this.#deps.mostRegisterQueries);
    const variant: Variant = {
      metric: source.metric,
      emit,
      facts: certificate?.factWords ?? tile.residency.factWords,
      ...(certificate === undefined ? { precision: source.precision } : { rounding: certificate.rounding }),
      ...(gemm === undefined ? { qb } : gemm.shape),
    };
    const scan: KernelName = isBitMetric(source.metric)
      ? "scan_b1"
      : certificate === undefined
        ? "scan_f32"
        : "scan_i8";
    const kernel = await this.#deps.pipelines.get(gemm?.kernel ?? scan, variant);
    const queries = gemm?.kernel === "gemm_f16_matrix" ? buffers.queryHalves : buffers.queries;
    const emitted: Readonly<Record<Emit, readonly GPUBuffer[]>> = {
      keys: [buffers.keys, buffers.delegates],
      candidates: [buffers.states, buffers.candidates],
      histogram: [buffers.histograms],
    };
    const scanned =
      codes === undefined
        ? [shard.rows, shard.facts, queries, buffers.queryParams, buffers.eligible, ...emitted[emit]]
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
}

function bytesPerElement(precision: Precision): number {
  return { f32: 4, f16: 2, i8: 1, b1: 1 / 2 }[precision];
}
