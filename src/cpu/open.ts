/** The CPU backend as the engine gets it: kernels chosen and loaded, the pool ready to start. */
import type { EventSink } from "../core/events.ts";
import { NearfieldError } from "../core/errors.ts";
import type { FloatMetric } from "../core/metric.ts";
import type { WorkSlices } from "../core/slices.ts";
import { owned, shared } from "./assembly/index.ts?wasm-bytes";
import { CpuBackend } from "./backend.ts";
import { type KernelBytes, kernelLevel } from "./kernels.ts";
import type { WorkerSpawner } from "./spawner.ts";

export interface CpuRequest {
  readonly metric: FloatMetric;
  readonly dimensions: number;
  readonly threads: number;
  readonly workerUrl: string | URL | undefined;
  readonly wasmUrl: string | URL | undefined;
  /** Overrides of tests. */
  readonly forcesPlainJs: boolean;
  readonly sharesMemory: boolean | undefined;
  readonly usesWorkers: boolean | undefined;
  readonly slices: WorkSlices;
  readonly emit: EventSink;
}

export async function openCpu(spawner: WorkerSpawner, request: CpuRequest): Promise<CpuBackend> {
  const kernels = request.forcesPlainJs ? null : await loadKernels(spawner, request.wasmUrl);
  if (kernels !== null && kernelLevel(kernels) === "none") {
    request.emit({
      code: "cpu-step-down",
      level: "warning",
      message: "this runtime has no WASM SIMD: the CPU kernels are plain JS, which is slower",
    });
  }
  const usesWorkers = request.usesWorkers ?? true;
  return new CpuBackend({
    metric: request.metric,
    dimensions: request.dimensions,
    threads: usesWorkers ? request.threads : 1,
    spawner,
    workerUrl: request.workerUrl,
    kernels,
    sharesMemory: usesWorkers && spawner.canShareMemory && (request.sharesMemory ?? true),
    usesWorkers,
    slices: request.slices,
    emit: request.emit,
  });
}

/** The inlined kernels, or those in the file at `wasmUrl`. */
async function loadKernels(spawner: WorkerSpawner, wasmUrl: string | URL | undefined): Promise<KernelBytes> {
  if (wasmUrl === undefined) return { owned: fromBase64(owned), shared: fromBase64(shared) };
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

/** The two builds in one file: the unshared module, with the shared one as its custom section "shared". See vite.plugins.ts. */
function splitKernels(file: Uint8Array<ArrayBuffer>): KernelBytes {
  const module = new WebAssembly.Module(file);
  const [section] = WebAssembly.Module.customSections(module, "shared");
  if (section === undefined) throw new Error("no shared build inside");
  return { owned: file, shared: new Uint8Array(section) };
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
