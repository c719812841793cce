/**
 * Which GEMM tile scans large batches on a device. Variants stand in a table in order of
 * preference; one must fit the device's limits, compile and pass its probe (probe.ts) before it is
 * used, and one that fails is left out for good, with an event. Of those that pass the fastest is
 * taken: timed on a slice of made-up rows on first use, remembered for the adapter while the
 * process lives. Without any, batches are scanned by the barrier-free kernels.
 */
import type { Metric, Precision } from "../core/metric.ts";
import type { Certificate } from "./certificate-copy.ts";
import { DeviceMemory } from "./memory.ts";
import type { Pipelines, TileShape } from "./pipelines.ts";
import { tileThreads } from "./pipelines.ts";
import { type GemmKernel, Probe } from "./probe.ts";

/**
 * By kernel, the default first. 64 × 128 with 8 × 8 a thread: 64 products for 4 vec4 operands, 12
 * KiB, 128 threads, within the default limits and those of compatibility mode. The smaller ones
 * need fewer registers, which Apple, Intel and mobile GPUs may like better.
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
};

/** Fewer queries than this share of a tile leave most of it idle: scan instead. */
const LEAST_FILL = 4;

export interface GemmChoiceOptions {
  readonly device: GPUDevice;
  readonly pipelines: Pipelines;
  readonly isAllowed: boolean;
  readonly autotunes: boolean;
  /** Shapes of the table before this one are left out. */
  readonly firstShape: number;
  /** Queries from which a GEMM is worth it; default: a quarter of its tile. */
  readonly fewestQueries: number | undefined;
  /** Called once for each variant that fails, with what it is and why. */
  readonly onFailure: (variant: string, cause: unknown) => void;
}

/** Shapes chosen by adapter and kernel, while the process lives. */
const chosenByAdapter = new Map<string, TileShape | null>();

export class GemmChoice {
  readonly #options: GemmChoiceOptions;
  readonly #memory: DeviceMemory;
  readonly #chosen = new Map<GemmKernel, TileShape | undefined>();
  readonly #failed = new Set<string>();
  /** What was probed: a kernel under a metric and a precision. */
  readonly #probed = new Map<string, readonly TileShape[]>();

  constructor(options: GemmChoiceOptions) {
    this.#options = options;
    this.#memory = new DeviceMemory(options.device);
  }

  /** The tile for so many queries, of what `prepare` found fit; undefined: scan without one. */
  tileFor(kernel: GemmKernel, queries: number): TileShape | undefined {
    const shape = this.#chosen.get(kernel);
    return shape !== undefined && this.#isWorthIt(shape, queries) ? shape : undefined;
  }

  /** Probes and times, on first use, the kernel that a batch over such rows would take. */
  async prepare(
    metric: Metric,
    precision: Precision,
    certificate: Certificate | undefined,
    queries: number,
  ): Promise<void> {
    if (!this.#options.isAllowed || precision === "b1") return;
    if (!SHAPES.gemm_f32.some((shape) => this.#isWorthIt(shape, queries))) return;
    const kernel = certificate === undefined ? "gemm_f32" : "gemm_i8";
    const key = `${kernel} ${metric} ${precision}`;
    let passing = this.#probed.get(key);
    if (passing === undefined) {
      passing = await this.#passing(kernel, metric, precision);
      this.#probed.set(key, passing);
    }
    this.#chosen.set(kernel, await this.#fastest(kernel, metric, precision, passing));
  }

  #isWorthIt(shape: TileShape, queries: number): boolean {
    return queries >= (this.#options.fewestQueries ?? shape.queries / LEAST_FILL);
  }

  close(): void {
    this.#memory.destroyAll();
  }

  /** The shapes that fit, compile and pass. Where there is no autotune the first is enough. */
  async #passing(kernel: GemmKernel, metric: Metric, precision: Precision): Promise<TileShape[]> {
    const { device, pipelines, autotunes, onFailure } = this.#options;
    const passing: TileShape[] = [];
    for (const shape of SHAPES[kernel].slice(this.#options.firstShape)) {
      const name = `${kernel} ${shape.queries}x${shape.rows} ${metric} ${precision}`;
      if (tileThreads(shape) > device.limits.maxComputeInvocationsPerWorkgroup) continue;
      if (64 * (shape.queries + shape.rows) + 8 > device.limits.maxComputeWorkgroupStorageSize) continue;
      if (this.#failed.has(name)) continue;
      const probe = new Probe(this.#memory, pipelines, kernel, metric, precision, shape);
      try {
        await probe.run();
        passing.push(shape);
        if (!autotunes) break;
      } catch (cause) {
        if (await lostSoon(device)) throw cause;
        this.#failed.add(name);
        onFailure(name, cause);
      }
    }
    return passing;
  }

  async #fastest(
    kernel: GemmKernel,
    metric: Metric,
    precision: Precision,
    passing: readonly TileShape[],
  ): Promise<TileShape | undefined> {
    const { device, pipelines, autotunes } = this.#options;
    if (!autotunes || passing.length < 2) return passing[0];
    const { vendor, architecture, device: model, description } = device.adapterInfo;
    const key = [vendor, architecture, model, description, kernel, metric, precision].join("|");
    const known = chosenByAdapter.get(key);
    if (known !== undefined) return known ?? undefined;
    let best: TileShape | undefined;
    let least = Infinity;
    for (const shape of passing) {
      const ms = await new Probe(this.#memory, pipelines, kernel, metric, precision, shape).time();
      if (ms < least) [best, least] = [shape, ms];
    }
    chosenByAdapter.set(key, best ?? null);
    return best;
  }
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
