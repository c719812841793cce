/** The CPU backend as the engine gets it: kernels chosen and loaded, the pool ready to start. */
import type { EventSink } from "../core/events.ts";
import { NearfieldError } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";
import type { Metric, Precision } from "../core/metric.ts";
import type { WorkSlices } from "../core/slices.ts";
import { CpuBackend } from "./backend.ts";
import { inlinedKernels, splitKernels } from "./kernel-bytes.ts";
import { kernelLevel } from "./kernel-level.ts";
import type { KernelBytes } from "./kernels.ts";
import type { WorkerSpawner } from "./spawner.ts";

/** Sizes that tests make small, to reach with few rows what takes many. */
interface CpuInternals {
  /** Bytes of rows from which codes are made of them, and rows from which directions are learnt. */
  readonly codedBytes?: number;
  readonly learnRows?: number;
  /** Directions, where their number is not to be chosen. */
  readonly directions?: number;
  /** Multiply-adds up to which a search stays on the caller's thread. */
  readonly pageWork?: number;
  /** Most rows of a block: a power of two, at least 32. */
  readonly blockRows?: number;
}

export interface CpuRequest {
  readonly precision: Precision;
  readonly metric: Metric;
  readonly dimensions: number;
  readonly threads: number;
  readonly workerUrl: string | URL | undefined;
  readonly wasmUrl: string | URL | undefined;
  /** Overrides of tests; `kernels`: the most that may be used. */
  readonly kernels: "js" | "simd128" | undefined;
  readonly sharesMemory: boolean | undefined;
  readonly usesWorkers: boolean | undefined;
  readonly scan: "auto" | "full" | "certified";
  readonly internals: CpuInternals;
  readonly slices: WorkSlices;
  readonly emit: EventSink;
}

export async function openCpu(spawner: WorkerSpawner, request: CpuRequest): Promise<CpuBackend> {
  const kernels = request.kernels === "js" ? null : await loadKernels(spawner, request);
  if (kernels !== null && kernelLevel(kernels) === "none") {
    request.emit({
      code: "cpu-step-down",
      level: "warning",
      message: "this runtime has no WASM SIMD: the CPU kernels are plain JS, which is slower",
    });
  }
  const usesWorkers = request.usesWorkers ?? true;
  return new CpuBackend({
    precision: request.precision,
    metric: request.metric,
    dimensions: request.dimensions,
    threads: usesWorkers ? request.threads : 1,
    spawner,
    workerUrl: request.workerUrl,
    kernels,
    sharesMemory: usesWorkers && spawner.canShareMemory && (request.sharesMemory ?? true),
    usesWorkers,
    scan: request.scan,
    codedBytes: request.internals.codedBytes ?? LIMITS.codedBytes,
    learnRows: request.internals.learnRows ?? LIMITS.learnRows,
    directions: request.internals.directions,
    pageWork: request.internals.pageWork ?? LIMITS.pageWork,
    blockRows: request.internals.blockRows,
    slices: request.slices,
    emit: request.emit,
  });
}

/** The inlined kernels, or those in the file at `wasmUrl`; without the relaxed build where simd128 is forced. */
async function loadKernels(spawner: WorkerSpawner, { wasmUrl, kernels }: CpuRequest): Promise<KernelBytes> {
  const bytes = wasmUrl === undefined ? await inlinedKernels() : await loadFile(spawner, wasmUrl);
  return kernels === "simd128" ? { simd: bytes.simd } : bytes;
}

async function loadFile(spawner: WorkerSpawner, wasmUrl: string | URL): Promise<KernelBytes> {
  try {
    return splitKernels(await spawner.load(wasmUrl));
  } catch (cause) {
    throw new NearfieldError("INVALID_OPTION", {
      got: `wasmUrl ${String(wasmUrl)}, which could not be read as kernels (${String(cause)})`,
      expected: "the URL of this version's nearfield/kernels.wasm",
      remedy: "serve that file of the package, or leave wasmUrl out",
      cause,
    });
  }
}
