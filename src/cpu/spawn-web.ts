/** Workers in browsers: a blob of the inlined source, or the script at `workerUrl` for pages whose policy forbids blobs. */
import source from "./worker.ts?inline-source";
import type { WorkerSpawner } from "./spawner.ts";

export const webSpawner: WorkerSpawner = {
  defaultThreads: globalThis.navigator?.hardwareConcurrency ?? 1,
  canShareMemory: globalThis.crossOriginIsolated && typeof SharedArrayBuffer === "function",
  spawn(url) {
    const worker = url === undefined ? spawnInlined() : new Worker(url, { name: "nearfield" });
    return {
      endpoint: worker,
      onDeath(callback) {
        const report = (event: Event): void => callback(new Error(failureOf(event), { cause: event }));
        worker.addEventListener("error", report, { once: true });
        worker.addEventListener("messageerror", report, { once: true });
      },
      setBusy: () => {},
      terminate: () => worker.terminate(),
    };
  },
  async load(url) {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${response.status} ${response.statusText} for ${url}`);
    return new Uint8Array(await response.arrayBuffer());
  },
};

function spawnInlined(): Worker {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  try {
    return new Worker(url, { name: "nearfield" });
  } finally {
    // The worker has fetched its script once it runs; revoking at once would race with that.
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }
}

function failureOf(event: Event): string {
  return event instanceof ErrorEvent && event.message !== ""
    ? event.message
    : "the worker could not be started or failed";
}
