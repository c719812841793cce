/**
 * Whether a batch is scanned by a GEMM, and by which (gemm-variants.ts). That code is loaded when the
 * first batch is large enough for one. Without it, and without any variant, batches are scanned by
 * the barrier-free kernels.
 */
import type { Metric, Precision } from "../core/metric.ts";
import { LateCode } from "../core/late-code.ts";
import type { GemmVariants } from "./gemm-variants.ts";
import type { Pipelines } from "./pipelines.ts";
import type { Gemm } from "./probe.ts";

/** Fewer queries than this share of a tile leave most of it idle: scan instead. */
const LEAST_FILL = 4;
/** Queries of the smallest tile in the table. */
const LEAST_TILE = 32;

export interface GemmChoiceOptions {
  readonly device: GPUDevice;
  readonly pipelines: Pipelines;
  readonly isAllowed: boolean;
  readonly autotunes: boolean;
  /** Shapes of the table before this one are left out. */
  readonly firstShape: number;
  /** Queries from which a GEMM is worth it; default: a quarter of its tile. */
  readonly fewestQueries: number | undefined;
  /** 0: no matrix kernels; 1: on matrix units, where there are; 2: their twins in plain WGSL; default: as proven. */
  readonly matrix: number | undefined;
  /** Called once for each variant that fails, with what it is and why. */
  readonly onFailure: (variant: string, cause: unknown) => void;
  /** Called the first time that the code cannot be loaded. */
  readonly onMissing: (cause: unknown) => void;
}

/** What is scanned: the rows themselves, or codes of them. */
export interface Scanned {
  readonly metric: Metric;
  readonly precision: Precision;
  readonly isCoded: boolean;
  /** The certificate's ROUNDING, which is part of the kernel's code. */
  readonly rounding?: number | undefined;
}

export class GemmChoice {
  readonly #options: GemmChoiceOptions;
  readonly #code: LateCode<typeof GemmVariants>;
  #variants: GemmVariants | undefined;
  #isClosed = false;

  constructor(options: GemmChoiceOptions) {
    this.#options = options;
    this.#code = new LateCode(async () => (await import("./gemm-variants.ts")).GemmVariants, options.onMissing);
  }

  /** The GEMM for a batch over such rows; undefined: scan without one. */
  async choose(scanned: Scanned, queries: number): Promise<Gemm | undefined> {
    if (!this.#options.isAllowed || scanned.precision === "b1" || !this.#fills(LEAST_TILE, queries)) return undefined;
    if (this.#variants === undefined) {
      const Variants = await this.#code.get();
      if (Variants === undefined || this.#isClosed) return undefined;
      this.#variants ??= new Variants(this.#options);
    }
    return this.forQueries(await this.#variants.choose(scanned), queries);
  }

  /** The GEMM, or undefined where so few queries are better scanned without one. */
  forQueries(gemm: Gemm | undefined, queries: number): Gemm | undefined {
    return gemm !== undefined && this.#fills(gemm.shape.tile.queries, queries) ? gemm : undefined;
  }

  #fills(tileQueries: number, queries: number): boolean {
    return queries >= (this.#options.fewestQueries ?? tileQueries / LEAST_FILL);
  }

  close(): void {
    this.#isClosed = true;
    this.#variants?.close();
  }
}
