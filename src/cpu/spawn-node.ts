/** Workers in Node: worker_threads running the inlined source, so that no bundler can lose the file. */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import source from "./worker.ts?inline-source";
import type { WorkerSpawner } from "./spawner.ts";

export const nodeSpawner: WorkerSpawner = {
  defaultThreads: availableParallelism(),
  canShareMemory: true,
  spawn(url) {
    const worker = url === undefined ? new Worker(source, { eval: true, name: "nearfield" }) : new Worker(toFile(url));
    worker.unref();
    return {
      endpoint: nodeEndpoint(worker),
      onDeath(callback) {
        worker.once("error", callback);
        worker.once("exit", (code) => callback(new Error(`worker exited with code ${code}`)));
      },
      setBusy: (isBusy) => (isBusy ? worker.ref() : worker.unref()),
      terminate: () => void worker.terminate(),
    };
  },
  load: async (url) => new Uint8Array(await readFile(toFile(url))),
};

/** A path stays a path, a file: URL becomes one that node:fs and worker_threads take. */
function toFile(url: string | URL): string | URL {
  return typeof url === "string" && url.startsWith("file:") ? new URL(url) : url;
}
