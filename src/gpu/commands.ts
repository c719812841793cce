/**
 * Records dispatches and copies into as few submits as possible, and counts them. Parameters of
 * each dispatch go into slots of one uniform buffer, written once before the submit. Long work is
 * cut into several submits so that no watchdog fires and a page keeps painting. Nothing reaches
 * WebGPU before `submit`, which runs in one synchronous stretch inside error scopes.
 */
import { LIMITS } from "../core/limits.ts";
import { USAGE } from "./flags.ts";
import type { DeviceMemory } from "./memory.ts";
import { type Kernel, PARAMS_BYTES } from "./pipelines.ts";
import type { Grid } from "./plan.ts";

/** Largest `minUniformBufferOffsetAlignment` that the standard allows. */
const SLOT_BYTES = 256;
const SLOTS = 256;

export interface CommandCounters {
  submits: number;
  dispatches: number;
  readonly kernels: Record<string, number>;
}

export interface Dispatch {
  readonly kernel: Kernel;
  /** Up to eight u32 words. */
  readonly params: readonly number[];
  /** Buffers of bindings 1, 2, …. */
  readonly buffers: readonly GPUBuffer[];
  readonly grid: Pick<Grid, "x" | "y">;
  readonly z?: number;
  /** Multiply-adds, about: what decides when to submit. */
  readonly work?: number;
}

type Command =
  | { readonly kind: "dispatch"; readonly dispatch: Dispatch; readonly offset: number }
  | { readonly kind: "copy" | "clear"; readonly encode: (encoder: GPUCommandEncoder) => void };

export class Commands {
  readonly #memory: DeviceMemory;
  readonly #counters: CommandCounters;
  readonly #slots = new Uint32Array((SLOTS * SLOT_BYTES) / 4);
  readonly #params: GPUBuffer;
  #commands: Command[] = [];
  #used = 0;
  #work = 0;

  constructor(memory: DeviceMemory, counters: CommandCounters) {
    this.#memory = memory;
    this.#counters = counters;
    this.#params = memory.create("params", SLOTS * SLOT_BYTES, USAGE.uniform | USAGE.copyDst);
  }

  dispatch(dispatch: Dispatch): void {
    if (this.#used === SLOTS) this.submit();
    const offset = this.#used++ * SLOT_BYTES;
    this.#slots.set(dispatch.params, offset / 4);
    this.#commands.push({ kind: "dispatch", dispatch, offset });
    this.#work += dispatch.work ?? 0;
    if (this.#work >= LIMITS.submitWork) this.submit();
  }

  copy(from: GPUBuffer, fromOffset: number, to: GPUBuffer, toOffset: number, bytes: number): void {
    this.#commands.push({
      kind: "copy",
      encode: (encoder) => encoder.copyBufferToBuffer(from, fromOffset, to, toOffset, bytes),
    });
  }

  clear(buffer: GPUBuffer, bytes: number): void {
    this.#commands.push({ kind: "clear", encode: (encoder) => encoder.clearBuffer(buffer, 0, bytes) });
  }

  submit(): void {
    const commands = this.#commands;
    const usedBytes = this.#used * SLOT_BYTES;
    this.#commands = [];
    this.#used = 0;
    this.#work = 0;
    if (commands.length === 0) return;
    const { device } = this.#memory;
    this.#memory.errors.run(() => {
      device.queue.writeBuffer(this.#params, 0, this.#slots, 0, usedBytes / 4);
      device.queue.submit([this.#encode(commands)]);
    });
    this.#counters.submits++;
  }

  /** Drops what was recorded and not submitted, after a failure. */
  discard(): void {
    this.#commands = [];
    this.#used = 0;
    this.#work = 0;
  }

  #encode(commands: readonly Command[]): GPUCommandBuffer {
    const encoder = this.#memory.device.createCommandEncoder({ label: "nearfield" });
    let pass: GPUComputePassEncoder | undefined;
    for (const command of commands) {
      if (command.kind === "dispatch") {
        pass ??= encoder.beginComputePass({ label: "nearfield" });
        this.#encodeDispatch(pass, command.dispatch, command.offset);
      } else {
        pass?.end();
        pass = undefined;
        command.encode(encoder);
      }
    }
    pass?.end();
    return encoder.finish();
  }

  #encodeDispatch(pass: GPUComputePassEncoder, { kernel, buffers, grid, z }: Dispatch, offset: number): void {
    const resources = [{ buffer: this.#params, size: PARAMS_BYTES }, ...buffers.map((buffer) => ({ buffer }))];
    const group = this.#memory.device.createBindGroup({
      label: `nearfield ${kernel.name}`,
      layout: kernel.layout,
      entries: resources.map((resource, binding) => ({ binding, resource })),
    });
    pass.setPipeline(kernel.pipeline);
    pass.setBindGroup(0, group, [offset]);
    pass.dispatchWorkgroups(grid.x, grid.y, z ?? 1);
    this.#counters.dispatches++;
    this.#counters.kernels[kernel.name] = (this.#counters.kernels[kernel.name] ?? 0) + 1;
  }
}
