/** The CPU backend as the engine gets it: kernels chosen and loaded, the pool ready to start. */
import type { EventSink } from "../core/events.ts";
import { NearfieldError } from "../core/errors.ts";
import type { Metric, Precision } from "../core/metric.ts";
import type { WorkSlices } from "../core/slices.ts";
import { owned, shared } from "./assembly/index.ts?wasm-bytes";
import { CpuBackend } from "./backend.ts";
import { type KernelBytes, kernelLevel } from "./kernels.ts";
import type { WorkerSpawner } from "./spawner.ts";

export interface CpuRequest {
  readonly precision: Precision;
  readonly metric: Metric;
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
    precision: request.precision,
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

/**
 * The two builds in one file: the unshared module, with the shared one as its custom section
 * "shared" (see vite.plugins.ts). Read from the bytes, because the page itself may not compile.
 */
function splitKernels(file: Uint8Array<ArrayBuffer>): KernelBytes {
  const magic = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  if (!magic.every((byte, i) => file[i] === byte)) throw new Error("not a WASM module");
  let at = magic.length;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = file[at++];
      if (byte === undefined || shift > 28) throw new Error("a damaged WASM module");
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < file.length) {
    const id = file[at++];
    const end = number() + at;
    if (id === 0) {
      const name = number();
      const payload = at + name;
      if (new TextDecoder().decode(file.subarray(at, payload)) === "shared") {
        return { owned: file, shared: file.slice(payload, end) };
      }
    }
    at = end;
  }
  throw new Error("no shared build inside");
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
