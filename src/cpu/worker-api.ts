/** What the host may ask of a worker, through comlink. Implemented by worker.ts, called by pool.ts. */
import type { KernelBytes, KernelLevel } from "./kernels.ts";
import type { StoreShape } from "./layout.ts";
import type { ScanTask, SettleTask, TaskResult } from "./tasks.ts";

export interface WorkerApi {
  /** Compiles the kernels (null: plain JS) and says what they came to. First call. */
  start(slot: number, kernels: KernelBytes | null): Promise<KernelLevel>;
  attachChunk(store: number, shape: StoreShape, index: number, memory: WebAssembly.Memory): void;
  putRows(
    store: number,
    shape: StoreShape,
    block: number,
    first: number,
    rows: Uint8Array,
    terms: Float32Array,
    scales: Float32Array,
  ): void;
  release(store: number): void;
  scan(task: ScanTask): Promise<TaskResult>;
  settle(task: SettleTask): Promise<TaskResult>;
  /** Dies at once, as a bug or the operating system would make it. Fault injection only. */
  crash(): void;
}
