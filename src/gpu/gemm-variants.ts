/**
 * Which GEMM scans large batches on a device. Variants stand in a table in order of preference;
 * one must fit the device's limits, compile and pass its probe (probe.ts) before it is used, and
 * one that fails is left out for good, with an event. Of those that pass the fastest is taken:
 * timed on a slice of made-up rows on first use, remembered for the adapter while the process
 * lives. Loaded with all that only GEMMs need at the first batch that could use one (gemm-choice.ts).
 */
import type { GemmChoiceOptions, Scanned } from "./gemm-choice.ts";
import { GEMM_KERNELS } from "./gemm-shaders.ts";
import { matrixShapeFor, matrixUnits } from "./matrix-units.ts";
import { DeviceMemory } from "./memory.ts";
import type { TileShape } from "./pipelines.ts";
import { tileThreads } from "./pipelines.ts";
import { type Gemm, Probe } from "./probe.ts";
import type { GemmKernel } from "./shaders.ts";

/**
 * By kernel, the default first. 64 × 128 with 8 × 8 a thread: 64 products for 4 vec4 operands, 12
 * KiB, 128 threads, within the default limits and those of compatibility mode. The smaller ones
 * need fewer registers, which Apple, Intel and mobile GPUs may like better. Tiles of the matrix
 * kernels are that of KERNELS b.2 (47 KiB, four subgroups of 32 × 64), one that leaves room for
 * more workgroups (26 KiB), and one within the default limits.
 */
export const SHAPES: Readonly<Record<GemmKernel, readonly TileShape[]>> = {
  gemm_f32: [
    { queries: 64, rows: 128, threadQueries: 8, threadRows: 8 },
    { queries: 64, rows: 64, threadQueries: 8, threadRows: 4 },
    { queries: 32, rows: 64, threadQueries: 4, threadRows: 4 },
  ],
  gemm_i8: [
    { queries: 64, rows: 64, threadQueries: 8, threadRows: 4 },
    { queries: 64, rows: 128, threadQueries: 8, threadRows: 8 },
    { queries: 32, rows: 64, threadQueries: 4, threadRows: 4 },
  ],
  gemm_i8_matrix: [
    { queries: 64, rows: 128, threadQueries: 8, threadRows: 8 },
    { queries: 64, rows: 64, threadQueries: 8, threadRows: 4 },
    { queries: 32, rows: 64, threadQueries: 4, threadRows: 4 },
  ],
  gemm_f16_matrix: [
    { queries: 64, rows: 128, threadQueries: 8, threadRows: 8 },
    { queries: 64, rows: 64, threadQueries: 8, threadRows: 4 },
    { queries: 32, rows: 64, threadQueries: 4, threadRows: 4 },
  ],
};

/** No result file of a device with matrix units is committed: until then they are used on request only. */
const MATRIX_IS_PROVEN: boolean = false;

/** Names of the variants chosen by adapter and what was scanned, while the process lives. */
const chosenByAdapter = new Map<string, string>();

export class GemmVariants {
  readonly #options: GemmChoiceOptions;
  readonly #memory: DeviceMemory;
  readonly #failed = new Set<string>();
  #isClosed = false;
  /** What was found for each kind of scan. */
  readonly #chosen = new Map<string, Gemm | undefined>();

  constructor(options: GemmChoiceOptions) {
    this.#options = options;
    this.#memory = new DeviceMemory(options.device);
    options.pipelines.add(GEMM_KERNELS);
  }

  /** The GEMM for such rows, probed and timed on first use; undefined: there is none. */
  async choose(scanned: Scanned): Promise<Gemm | undefined> {
    const key = `${scanned.metric} ${scanned.precision} ${scanned.isCoded} ${scanned.rounding}`;
    if (!this.#chosen.has(key)) this.#chosen.set(key, await this.#fastest(scanned, await this.#passing(scanned)));
    return this.#chosen.get(key);
  }

  close(): void {
    this.#isClosed = true;
    this.#memory.destroyAll();
  }

  /** All variants that fit the device, in order of preference. */
  *#fitting({ metric, precision, isCoded }: Scanned): Generator<Gemm> {
    const isHalfProduct = precision === "f16" && (metric === "cosine" || metric === "dot");
    const matrixKernel = isCoded ? "gemm_i8_matrix" : isHalfProduct ? "gemm_f16_matrix" : undefined;
    if (matrixKernel !== undefined) yield* this.#matrix(matrixKernel);
    const kernel = isCoded ? "gemm_i8" : "gemm_f32";
    for (const tile of this.#tiles(kernel)) yield { kernel, shape: { tile } };
  }

  *#matrix(kernel: "gemm_i8_matrix" | "gemm_f16_matrix"): Generator<Gemm> {
    const { device, matrix: use = MATRIX_IS_PROVEN ? 1 : 0 } = this.#options;
    if (use === 0) return;
    const units = use === 1 ? matrixUnits(device) : undefined;
    for (const tile of this.#tiles(kernel)) {
      if (use === 2) yield { kernel, shape: { tile, sum: "plain" } };
      const matrix = units && matrixShapeFor(units, kernel === "gemm_i8_matrix" ? "i8" : "f16", tile);
      if (matrix !== undefined) yield { kernel, shape: { tile, sum: "matrix", matrix } };
    }
  }

  #tiles(kernel: GemmKernel): TileShape[] {
    const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize } = this.#options.device.limits;
    return SHAPES[kernel]
      .slice(this.#options.firstShape)
      .filter((tile) => tileThreads(tile) <= maxComputeInvocationsPerWorkgroup)
      .filter((tile) => workgroupBytes(kernel, tile) <= maxComputeWorkgroupStorageSize);
  }

  /** The variants that compile and pass. Where there is no autotune the first is enough. */
  async #passing(scanned: Scanned): Promise<Gemm[]> {
    const { metric, precision, rounding } = scanned;
    const { device, pipelines, autotunes, onFailure } = this.#options;
    const passing: Gemm[] = [];
    for (const gemm of this.#fitting(scanned)) {
      const name = `${nameOf(gemm)} ${metric} ${precision}`;
      if (this.#failed.has(name)) continue;
      try {
        await new Probe(this.#memory, pipelines, gemm, metric, precision, rounding).run();
        passing.push(gemm);
        if (!autotunes) break;
      } catch (cause) {
        if (this.#isClosed || (await lostSoon(device))) throw cause;
        this.#failed.add(name);
        onFailure(name, cause);
      }
    }
    return passing;
  }

  async #fastest(
    { metric, precision, isCoded, rounding }: Scanned,
    passing: readonly Gemm[],
  ): Promise<Gemm | undefined> {
    const { device, pipelines, autotunes } = this.#options;
    if (!autotunes || passing.length < 2) return passing[0];
    const { vendor, architecture, device: model, description } = device.adapterInfo;
    const key = [vendor, architecture, model, description, metric, precision, isCoded, ...passing.map(nameOf)].join(
      "|",
    );
    const known = passing.find((gemm) => nameOf(gemm) === chosenByAdapter.get(key));
    if (known !== undefined) return known;
    try {
      let best: Gemm | undefined;
      let least = Infinity;
      for (const gemm of passing) {
        const ms = await new Probe(this.#memory, pipelines, gemm, metric, precision, rounding).time();
        if (ms < least) [best, least] = [gemm, ms];
      }
      if (best !== undefined) chosenByAdapter.set(key, nameOf(best));
      return best;
    } catch (cause) {
      // A search shall not fail, nor make room, for the stopwatch's sake: all of these are right.
      if (this.#isClosed || (await lostSoon(device))) throw cause;
      return passing[0];
    }
  }
}

function nameOf({ kernel, shape: { tile, sum, matrix } }: Gemm): string {
  const units = matrix === undefined ? "" : ` ${matrix.m}x${matrix.n}x${matrix.k}`;
  return `${kernel} ${tile.queries}x${tile.rows}${sum === undefined ? "" : ` ${sum}`}${units}`;
}

/** Workgroup memory of a kernel with a tile; every variable takes whole multiples of 16 bytes. */
function workgroupBytes(kernel: GemmKernel, { queries, rows }: TileShape): number {
  const ofEligibility = 2 * 16;
  if (kernel === "gemm_f32" || kernel === "gemm_i8") return 64 * (queries + rows) + ofEligibility;
  return 80 * (queries + rows) + 4 * queries * rows + ofEligibility;
}

/** Whether the device turns out to be lost: then a failure says nothing about the variant. */
function lostSoon(device: GPUDevice): Promise<boolean> {
  return Promise.race([
    device.lost.then(() => true),
    device.queue.onSubmittedWorkDone().then(
      () => false,
      () => true,
    ),
  ]);
}
