/** What the host may ask of a worker, through comlink. Implemented by worker.ts, called by pool.ts. */
import type { KernelBytes, KernelLevel } from "./kernels.ts";
import type { StoreShape } from "./layout.ts";
import type { CodeBasis } from "./encoder.ts";
import type { LearnRequest } from "../core/learn.ts";
import type { LearnStep } from "./learner.ts";
import type { EncodeTask, ScanTask, SettleTask, TaskResult } from "./tasks.ts";

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
  setBasis(store: number, shape: StoreShape, basis: CodeBasis | undefined): void;
  release(store: number): void;
  encode(task: EncodeTask): Promise<void>;
  /** Begins to learn directions for a store; what was being learnt for it before is forgotten. */
  startLearning(store: number, request: LearnRequest): LearnStep;
  /** Learns on for a bounded while. Undefined when nothing was begun here, as in a worker that replaced another. */
  learnOn(store: number): LearnStep | undefined;
  scan(task: ScanTask): Promise<TaskResult>;
  settle(task: SettleTask): Promise<TaskResult>;
  /** Dies at once, as a bug or the operating system would make it. Fault injection only. */
  crash(): void;
}
