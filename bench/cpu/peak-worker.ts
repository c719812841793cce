/** One thread of a measurement of peaks: waits until all are ready, runs one kernel for a while, tells how much it did. */
import { parentPort, workerData } from "node:worker_threads";
import type { PeakTask, PeakShare } from "./peaks.ts";

interface PeakKernels {
  read(from: number, bytes: number): number;
  multiply_add_f32(operands: number, iterations: number): number;
  multiply_add_i8(operands: number, iterations: number): number;
}

/** Iterations of one call of an arithmetic kernel: some 100 µs. */
const ITERATIONS = 20_000;
const PAGE_BYTES = 65_536;

const { module, kernel, bytes, ms, threads, ready } = workerData as PeakTask;
const pages = kernel === "read" ? Math.ceil(bytes / PAGE_BYTES) + 1 : 1;
const memory = new WebAssembly.Memory({ initial: pages });
// Written to once: pages that were never touched are one and the same. Ones: no sum overflows or turns subnormal.
new Uint32Array(memory.buffer).fill(kernel === "multiply_add_f32" ? 0x3f800000 : 0x01010101);
const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
const kernels = exports as unknown as PeakKernels;

function once(): number {
  if (kernel === "read") {
    kernels.read(0, bytes);
    return bytes;
  }
  kernels[kernel](0, ITERATIONS);
  return ITERATIONS;
}

// V8 optimises a function after a few calls, in the background: before the clock starts.
const warmUntil = performance.now() + ms / 2;
do once();
while (performance.now() < warmUntil);

const gate = new Int32Array(ready);
if (Atomics.add(gate, 0, 1) + 1 === threads) Atomics.notify(gate, 0);
for (let seen = Atomics.load(gate, 0); seen < threads; seen = Atomics.load(gate, 0)) Atomics.wait(gate, 0, seen, 10);

const began = performance.now();
let amount = 0;
let elapsedMs: number;
do {
  amount += once();
  elapsedMs = performance.now() - began;
} while (elapsedMs < ms);
parentPort?.postMessage({ amount, elapsedMs } satisfies PeakShare);
