/** Puts a platform's parts (workers, WebGPU) under the engine. Shared by the two entries; knows neither platform. */
import { openCpu } from "./cpu/open.ts";
import type { WorkerSpawner } from "./cpu/spawner.ts";
import type { Platform } from "./engine/create-index.ts";
import type { GpuProvider } from "./gpu/device.ts";
import { gpuFactory } from "./gpu/open.ts";

export function platformOf(spawner: WorkerSpawner, gpu: GpuProvider): Platform {
  return {
    defaultThreads: spawner.defaultThreads,
    openExact: ({ precision, metric, dimensions, threads, scan, workerUrl, wasmUrl }, internals, slices, emit) =>
      openCpu(spawner, {
        precision,
        metric,
        dimensions,
        threads,
        workerUrl,
        wasmUrl,
        kernels: internals.kernels,
        sharesMemory: internals.sharesMemory,
        usesWorkers: internals.usesWorkers,
        scan,
        internals: internals.cpu ?? {},
        slices,
        emit,
      }),
    gpuFactory: (slices, internals, emit) => gpuFactory(gpu, slices, emit, internals.gpu),
  };
}
