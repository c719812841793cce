/** Puts a platform's parts (workers, WebGPU, files) under the engine and the collections. Shared by the two entries; knows neither platform. */
import type { CollectionPlatform } from "./collection/open-collection.ts";
import { openCpu } from "./cpu/open.ts";
import type { WorkerSpawner } from "./cpu/spawner.ts";
import { createIndexOn, type Platform } from "./engine/create-index.ts";
import { withStoredRows } from "./engine/stored-index.ts";
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
    gpuFactory: (slices, internals, emit, learn) => gpuFactory(gpu, slices, emit, learn, internals.gpu),
  };
}

export function collectionsOn(platform: Platform, openDriver: CollectionPlatform["openDriver"]): CollectionPlatform {
  return {
    defaultThreads: platform.defaultThreads,
    openDriver,
    createIndex: async (options) => withStoredRows(await createIndexOn(platform, options)),
  };
}
