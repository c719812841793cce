/** How a platform starts a worker; implemented by spawn-node.ts and spawn-web.ts, chosen by the entries. */
import type * as Comlink from "comlink";

export interface WorkerHandle {
  readonly endpoint: Comlink.Endpoint;
  /** Calls back once, with the reason, when the worker fails or exits of itself. */
  onDeath(callback: (reason: unknown) => void): void;
  /** Whether the worker keeps the process alive (Node). */
  setBusy(isBusy: boolean): void;
  terminate(): void;
}

export interface WorkerSpawner {
  readonly defaultThreads: number;
  /** Whether memory can be shared with workers here: Node, and cross-origin isolated pages. */
  readonly canShareMemory: boolean;
  /** Starts the inlined worker, or the one at `url` where the page's policy forbids inlined code. May throw. */
  spawn(url: string | URL | undefined): WorkerHandle;
  /** Reads the bytes behind `wasmUrl`. */
  load(url: string | URL): Promise<Uint8Array<ArrayBuffer>>;
}
