/**
 * What this machine can do at most, measured in the same run as what is compared with it: memory read, f32 and int8
 * multiply-adds in 128-bit WASM SIMD (assembly/peaks.ts), on one thread and on all. Not the machine's own peaks: a native
 * program has wider vectors. Each is the best of a few rounds, since others on the machine can only slow it down.
 */
import { inflateRawSync } from "node:zlib";
import { Worker } from "node:worker_threads";
import { round } from "../statistics.ts";
import simd from "./assembly/peaks.ts?wasm-bytes";
import relaxed from "./assembly/peaks.ts?wasm-bytes=relaxed-simd";

type PeakKernel = "read" | "multiply_add_f32" | "multiply_add_i8";

export interface PeakTask {
  readonly module: WebAssembly.Module;
  readonly kernel: PeakKernel;
  /** Memory of each thread. */
  readonly bytes: number;
  readonly ms: number;
  readonly threads: number;
  /** [1] i32: threads that are ready. */
  readonly ready: SharedArrayBuffer;
}

/** What one thread did: bytes or iterations. */
export interface PeakShare {
  readonly amount: number;
  readonly elapsedMs: number;
}

/** Per second, of all threads together. */
interface ThreadPeaks {
  readonly threads: number;
  readonly readBytes: number;
  readonly f32Flops: number;
  readonly i8Macs: number;
}

export interface Peaks {
  readonly simd: "simd128" | "relaxed-simd";
  readonly one: ThreadPeaks;
  readonly all: ThreadPeaks;
}

export interface PeakEffort {
  /** Read by each thread: far beyond the last-level cache. */
  readonly bytes: number;
  readonly ms: number;
  readonly rounds: number;
}

/** 512 MiB is beyond the L3 of any CPU so far; 250 ms several turns of a scheduler. */
export const FULL_EFFORT: PeakEffort = { bytes: 2 ** 29, ms: 250, rounds: 5 };
export const SMOKE_EFFORT: PeakEffort = { bytes: 2 ** 20, ms: 5, rounds: 1 };

export async function measurePeaks(threads: number, effort: PeakEffort): Promise<Peaks> {
  const relaxedBytes = inflateRawSync(Buffer.from(relaxed, "base64"));
  const hasRelaxed = WebAssembly.validate(relaxedBytes);
  const module = await WebAssembly.compile(hasRelaxed ? relaxedBytes : inflateRawSync(Buffer.from(simd, "base64")));
  const of = async (count: number): Promise<ThreadPeaks> => ({
    threads: count,
    readBytes: round(await best(module, "read", count, effort)),
    f32Flops: round(96 * (await best(module, "multiply_add_f32", count, effort))),
    i8Macs: round(12 * (hasRelaxed ? 16 : 8) * (await best(module, "multiply_add_i8", count, effort))),
  });
  return { simd: hasRelaxed ? "relaxed-simd" : "simd128", one: await of(1), all: await of(threads) };
}

/** Bytes or iterations a second. */
async function best(
  module: WebAssembly.Module,
  kernel: PeakKernel,
  threads: number,
  { bytes, ms, rounds }: PeakEffort,
): Promise<number> {
  let most = 0;
  for (let i = 0; i < rounds; i++) {
    const ready = new SharedArrayBuffer(4);
    const task: PeakTask = { module, kernel, bytes, ms, threads, ready };
    const shares = await Promise.all(Array.from({ length: threads }, () => runTask(task)));
    const rate = shares.reduce((sum, { amount, elapsedMs }) => sum + amount / (elapsedMs / 1000), 0);
    most = Math.max(most, rate);
  }
  return most;
}

/** A worker for each task: it leaves no memory behind. */
function runTask(task: PeakTask): Promise<PeakShare> {
  return new Promise((resolve, reject) => {
    // Built as a file of its own beside the program.
    const worker = new Worker(new URL(/* @vite-ignore */ "./peak-worker.js", import.meta.url), { workerData: task });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}
