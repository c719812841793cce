/** Starts the worker that handles files: of the inlined source, or of a script that the page serves. */
import { OPFS_WORKER_NAME } from "./opfs-api.ts";
import source from "./opfs-worker.ts?inline-source";

export function spawnOpfsWorker(url: string | URL | undefined): Worker {
  if (url !== undefined) return new Worker(url, { name: OPFS_WORKER_NAME });
  const blob = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(blob, { name: OPFS_WORKER_NAME });
  // The first message comes when the script runs: the blob is not needed any more then.
  worker.addEventListener("message", () => URL.revokeObjectURL(blob), { once: true });
  return worker;
}
