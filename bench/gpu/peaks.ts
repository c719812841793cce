/**
 * What this device can do at most, measured on it, before anything is compared with it: memory,
 * fp32 FMA, DP4A, popcount, matrix units where exposed. Each number is the median of a few passes of
 * about 10 ms. Shaders lie in peaks/, one entry point a file.
 */
import copyCode from "./peaks/copy.wgsl?raw";
import dotI8Code from "./peaks/dot_i8.wgsl?raw";
import fmaF32Code from "./peaks/fma_f32.wgsl?raw";
import popcountCode from "./peaks/popcount.wgsl?raw";
import readCode from "./peaks/read.wgsl?raw";
import subgroupMatrixCode from "./peaks/subgroup_matrix.wgsl?raw";
import type { BenchDevice, MatrixConfig } from "./device.ts";
import { BUFFER, compile, type Kernel, MAP_READ, storage, uniform } from "./kernel.ts";
import { spreadOf } from "../statistics.ts";
import { Stopwatch } from "./stopwatch.ts";

/** Per second; null: not exposed by this device, or `problems` says why it could not be measured. */
export interface Peaks {
  readonly copyBytes: number;
  readonly readBytes: number;
  readonly fmaF32Flops: number;
  readonly dotI8Ops: number;
  readonly popcountBits: number;
  readonly matrixF16Flops: number | null;
  readonly matrixI8Ops: number | null;
  /** One submit and its read-back of 4 bytes, on the host's clock: what no search can be faster than. */
  readonly roundTripMs: number;
  readonly clock: "timestamp" | "wall";
  readonly problems: readonly string[];
}

export interface PeakEffort {
  /** Bytes of the buffers that are copied: far beyond the last-level cache. */
  readonly bytes: number;
  readonly workgroups: number;
  readonly passMs: number;
  readonly passes: number;
  /** How long the device is kept busy before a peak is measured. */
  readonly warmMs: number;
}

/** 1 GiB: 17 × the L2 of the largest GPU so far. 2048 workgroups of 256: 8 waves of lanes on 132 SMs with half of them busy. */
export const FULL_EFFORT: PeakEffort = { bytes: 2 ** 30, workgroups: 2048, passMs: 10, passes: 5, warmMs: 300 };
export const SMOKE_EFFORT: PeakEffort = { bytes: 2 ** 14, workgroups: 1, passMs: 0, passes: 1, warmMs: 0 };

const LANES = 256;
/** Iterations grow until a pass takes long enough; the bound keeps a broken clock from looping. */
const MOST_ITERATIONS = 1 << 22;

export async function measurePeaks({ device, adapter }: BenchDevice, effort: PeakEffort): Promise<Peaks> {
  const stopwatch = new Stopwatch(device);
  const run = new PeakRun(device, stopwatch, effort);
  const problems: string[] = [];
  const matrix = async (component: string, result: string): Promise<number | null> => {
    const config = adapter.matrixConfigs.find((c) => c.componentType === component && c.resultType === result);
    if (config === undefined) return null;
    const [least, most] = adapter.subgroupSize;
    if (least !== most) {
      problems.push(`matrix ${component}: subgroups of ${least} to ${most} lanes, so their number is unknown`);
      return null;
    }
    try {
      return await run.matrix(config, most);
    } catch (error) {
      problems.push(`matrix ${component}: ${String(error)}`);
      return null;
    }
  };
  try {
    return {
      copyBytes: await run.memory("copy", copyCode, 32),
      readBytes: await run.memory("read", readCode, 16),
      fmaF32Flops: await run.arithmetic("fma_f32", fmaF32Code, 128),
      dotI8Ops: await run.arithmetic("dot_i8", dotI8Code, 128),
      popcountBits: await run.arithmetic("popcount", popcountCode, 512),
      matrixF16Flops: await matrix("f16", "f32"),
      matrixI8Ops: await matrix("i8", "i32"),
      roundTripMs: await roundTrip(device),
      clock: stopwatch.clock,
      problems,
    };
  } finally {
    stopwatch.close();
  }
}

class PeakRun {
  readonly #device: GPUDevice;
  readonly #stopwatch: Stopwatch;
  readonly #effort: PeakEffort;

  constructor(device: GPUDevice, stopwatch: Stopwatch, effort: PeakEffort) {
    this.#device = device;
    this.#stopwatch = stopwatch;
    this.#effort = effort;
  }

  /** Bytes a second. `bytesPerElement`: what one 16-byte element moves. */
  async memory(name: string, code: string, bytesPerElement: number): Promise<number> {
    const { limits } = this.#device;
    const most = Math.min(this.#effort.bytes, limits.maxStorageBufferBindingSize, limits.maxBufferSize);
    // Whole strides of four, so that nothing of the buffer is left out by the kernel that takes four at once.
    const stride = this.#effort.workgroups * LANES * 4;
    const length = Math.max(stride, Math.floor(most / 16 / stride) * stride);
    const kernel = await compile(this.#device, `peak ${name}`, code);
    const source = storage(this.#device, `peak ${name} source`, length * 16);
    const sinkBytes = name === "copy" ? length * 16 : this.#effort.workgroups * LANES * 4;
    const sink = storage(this.#device, `peak ${name} sink`, sinkBytes);
    try {
      return await this.#best(kernel, length, this.#effort.workgroups, length * bytesPerElement, [source, sink]);
    } finally {
      source.destroy();
      sink.destroy();
    }
  }

  /** Operations a second. `operations`: of one invocation in one iteration. */
  async arithmetic(name: string, code: string, operations: number): Promise<number> {
    const invocations = this.#effort.workgroups * LANES;
    const kernel = await compile(this.#device, `peak ${name}`, code);
    const sink = storage(this.#device, `peak ${name} sink`, invocations * 4);
    try {
      return await this.#best(kernel, 0x2545f491, this.#effort.workgroups, operations * invocations, [sink]);
    } finally {
      sink.destroy();
    }
  }

  /** Operations a second of a matrix shape; four subgroups a workgroup, like the four units of an SM. */
  async matrix(config: MatrixConfig, subgroupSize: number): Promise<number> {
    const { M, N, K } = config;
    const kernel = await compile(
      this.#device,
      "peak subgroup_matrix",
      matrixHeader(config, 4 * subgroupSize) + subgroupMatrixCode,
    );
    const words = Math.ceil(((2 * M * K + 4 * K * N) * 2) / 4);
    const source = storage(this.#device, "peak subgroup_matrix source", words * 4, BUFFER.copyDst);
    this.#device.queue.writeBuffer(source, 0, operands(words, config.componentType));
    const sink = storage(this.#device, "peak subgroup_matrix sink", this.#effort.workgroups * M * N * 4);
    const operations = this.#effort.workgroups * 4 * 8 * 2 * M * N * K;
    try {
      return await this.#best(kernel, 1, this.#effort.workgroups, operations, [source, sink]);
    } finally {
      source.destroy();
      sink.destroy();
    }
  }

  async #best(
    kernel: Kernel,
    secondParam: number,
    workgroups: number,
    perIteration: number,
    buffers: readonly GPUBuffer[],
  ): Promise<number> {
    const once = async (iterations: number): Promise<number> => {
      const params = uniform(this.#device, "peak params", [iterations, secondParam]);
      const group = kernel.bind(params, ...buffers);
      const ms = await this.#stopwatch.time((pass) => {
        pass.setPipeline(kernel.pipeline);
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(workgroups);
      });
      params.destroy();
      return ms;
    };
    let iterations = 1;
    await once(iterations); // clears buffers and compiles
    let ms = await once(iterations);
    while (ms < this.#effort.passMs && iterations < MOST_ITERATIONS) {
      // At most 16 × at once: the first passes are mostly start-up and say little.
      iterations *= Math.min(16, Math.max(2, Math.ceil(this.#effort.passMs / Math.max(ms, 1e-3))));
      ms = await once(iterations);
    }
    await warmUp(this.#device, this.#effort.warmMs);
    const times = [await once(iterations)];
    while (times.length < this.#effort.passes) times.push(await once(iterations));
    return (perIteration * iterations) / (Math.max(spreadOf(times).median, 1e-6) / 1000);
  }
}

/** Keeps the device busy for so long: idle ones lower their clocks (an H200 to a third), and take a while to raise them. */
export async function warmUp(device: GPUDevice, ms: number): Promise<void> {
  if (ms === 0) return;
  const kernel = await compile(device, "peak fma_f32", fmaF32Code);
  const workgroups = 1024;
  const sink = storage(device, "warm-up sink", workgroups * LANES * 4);
  const params = uniform(device, "warm-up params", [1000, 0x2545f491]);
  const group = kernel.bind(params, sink);
  const started = performance.now();
  while (performance.now() - started < ms) {
    const encoder = device.createCommandEncoder({ label: "warm-up" });
    const pass = encoder.beginComputePass();
    pass.setPipeline(kernel.pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(workgroups);
    pass.end();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
  }
  sink.destroy();
  params.destroy();
}

async function roundTrip(device: GPUDevice): Promise<number> {
  const source = storage(device, "round trip", 16, BUFFER.copySrc);
  const readable = device.createBuffer({ label: "round trip", size: 4, usage: BUFFER.mapRead | BUFFER.copyDst });
  const times: number[] = [];
  for (let i = 0; i < 25; i++) {
    const started = performance.now();
    const encoder = device.createCommandEncoder({ label: "round trip" });
    encoder.copyBufferToBuffer(source, 0, readable, 0, 4);
    device.queue.submit([encoder.finish()]);
    await readable.mapAsync(MAP_READ);
    readable.unmap();
    times.push(performance.now() - started);
  }
  source.destroy();
  readable.destroy();
  return spreadOf(times.slice(5)).median;
}

/** What shapes the code of subgroup_matrix.wgsl. */
export function matrixHeader({ componentType, resultType, M, N, K }: MatrixConfig, size: number): string {
  const isHalf = componentType === "f16";
  return [
    "enable chromium_experimental_subgroup_matrix;",
    "enable subgroups;",
    ...(isHalf ? ["enable f16;"] : []),
    `alias Component = ${componentType};`,
    `alias Result = ${resultType};`,
    `alias Stored = ${isHalf ? "f16" : "i32"};`,
    `const PACKED = ${isHalf ? 1 : 4}u;`,
    `const M = ${M}u;`,
    `const N = ${N}u;`,
    `const K = ${K}u;`,
    `const SIZE = ${size}u;`,
    "",
  ].join("\n");
}

/** Varied non-zero operands: small f16 values around 1, or any bytes. */
function operands(words: number, componentType: string): Uint32Array<ArrayBuffer> {
  const data = new Uint32Array(words);
  for (let i = 0; i < words; i++) {
    const bits = Math.imul(i + 1, 0x9e3779b1) >>> 0;
    data[i] = componentType === "f16" ? (0x38003800 | (bits & 0x03ff03ff) | (bits & 0x80008000)) >>> 0 : bits;
  }
  return data;
}
