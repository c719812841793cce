/**
 * Records dispatches and copies into as few submits as possible, and counts them. Parameters of
 * each dispatch go into slots of one uniform buffer, written once before the submit; bind groups
 * are made once for each kernel and set of buffers and kept. Long work is cut into several submits
 * of about 50 ms, so that no watchdog fires and a page keeps painting: `Throughput` says how much
 * work that is. Nothing reaches WebGPU before `submit`, which runs in one synchronous stretch
 * inside error scopes.
 */
import { LIMITS } from "../core/limits.ts";
import { USAGE } from "./flags.ts";
import type { DeviceMemory } from "./memory.ts";
import { type Kernel, PARAMS_BYTES } from "./pipelines.ts";
import type { Grid } from "./plan.ts";
import type { KernelTimer } from "./kernel-timer.ts";

/** Largest `minUniformBufferOffsetAlignment` that the standard allows. */
const SLOT_BYTES = 256;
const SLOTS = 256;

export interface CommandCounters {
  submits: number;
  dispatches: number;
  bindGroupsCreated: number;
  readonly kernels: Record<string, number>;
}

export interface Dispatch {
  readonly kernel: Kernel;
  /** Up to sixteen 32-bit words. */
  readonly params: readonly number[] | Uint32Array;
  /** The kernel's buffers in the order of its bindings, the params left out. */
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
  readonly #workPerSubmit: () => number;
  readonly #timer: KernelTimer | undefined;
  readonly #slots = new Uint32Array((SLOTS * SLOT_BYTES) / 4);
  readonly #params: GPUBuffer;
  readonly #groups = new Map<string, GPUBindGroup>();
  /** `memory.buffersDestroyed` when the groups were last known to be valid. */
  #groupsAsOf = 0;
  #commands: Command[] = [];
  #used = 0;
  #work = 0;
  #workSubmitted = 0;

  constructor(
    memory: DeviceMemory,
    counters: CommandCounters,
    workPerSubmit: () => number = () => LIMITS.submitWork,
    timer?: KernelTimer,
  ) {
    this.#memory = memory;
    this.#counters = counters;
    this.#workPerSubmit = workPerSubmit;
    this.#timer = timer;
    this.#params = memory.create("params", SLOTS * SLOT_BYTES, USAGE.uniform | USAGE.copyDst);
  }

  /** Work handed to the device so far. */
  get workSubmitted(): number {
    return this.#workSubmitted;
  }

  dispatch(dispatch: Dispatch): void {
    if (this.#used === SLOTS) this.submit();
    const offset = this.#used++ * SLOT_BYTES;
    this.#slots.set(dispatch.params, offset / 4);
    this.#commands.push({ kind: "dispatch", dispatch, offset });
    this.#work += dispatch.work ?? 0;
    if (this.#work >= this.#workPerSubmit()) this.submit();
  }

  copy(source: GPUBuffer, sourceOffset: number, target: GPUBuffer, targetOffset: number, bytes: number): void {
    this.#commands.push({
      kind: "copy",
      encode: (encoder) => encoder.copyBufferToBuffer(source, sourceOffset, target, targetOffset, bytes),
    });
  }

  clear(buffer: GPUBuffer, bytes: number): void {
    this.#commands.push({ kind: "clear", encode: (encoder) => encoder.clearBuffer(buffer, 0, bytes) });
  }

  submit(): void {
    const commands = this.#commands;
    const usedBytes = this.#used * SLOT_BYTES;
    this.#workSubmitted += this.#work;
    this.#forgetRecorded();
    if (commands.length === 0) return;
    const { device } = this.#memory;
    this.#memory.errors.run(() => {
      if (usedBytes > 0) device.queue.writeBuffer(this.#params, 0, this.#slots, 0, usedBytes / 4);
      device.queue.submit([this.#encode(commands)]);
    });
    this.#timer?.read();
    this.#counters.submits++;
  }

  dispose(): void {
    this.#forgetRecorded();
    this.#memory.destroy(this.#params);
  }

  /** Drops what was recorded and not submitted, after a failure. */
  discard(): void {
    this.#forgetRecorded();
  }

  #forgetRecorded(): void {
    this.#commands = [];
    this.#used = 0;
    this.#work = 0;
  }

  #encode(commands: readonly Command[]): GPUCommandBuffer {
    const encoder = this.#memory.device.createCommandEncoder({ label: "nearfield" });
    const timer = this.#timer?.isOn === true ? this.#timer : undefined;
    let pass: GPUComputePassEncoder | undefined;
    const endPass = (): void => {
      pass?.end();
      pass = undefined;
    };
    for (const command of commands) {
      if (command.kind === "dispatch") {
        const { dispatch, offset } = command;
        // Timestamps are written at the ends of passes: to be timed a dispatch needs one of its own.
        if (timer !== undefined) endPass();
        pass ??= encoder.beginComputePass({ label: "nearfield", ...timer?.begin(dispatch.kernel.name) });
        this.#encodeDispatch(pass, dispatch, offset);
      } else {
        endPass();
        command.encode(encoder);
      }
    }
    endPass();
    timer?.resolve(encoder);
    return encoder.finish();
  }

  #encodeDispatch(pass: GPUComputePassEncoder, { kernel, buffers, grid, z }: Dispatch, offset: number): void {
    pass.setPipeline(kernel.pipeline);
    pass.setBindGroup(0, this.#group(kernel, buffers), [offset]);
    pass.dispatchWorkgroups(grid.x, grid.y, z ?? 1);
    this.#counters.dispatches++;
    this.#counters.kernels[kernel.name] = (this.#counters.kernels[kernel.name] ?? 0) + 1;
  }

  #group(kernel: Kernel, buffers: readonly GPUBuffer[]): GPUBindGroup {
    if (this.#groupsAsOf !== this.#memory.buffersDestroyed || this.#groups.size >= LIMITS.bindGroups) {
      this.#groups.clear();
      this.#groupsAsOf = this.#memory.buffersDestroyed;
    }
    const key = `${kernel.key}|${buffers.map((buffer) => this.#memory.idOf(buffer)).join()}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      const resources: GPUBufferBinding[] = [
        { buffer: this.#params, size: PARAMS_BYTES },
        ...buffers.map((buffer) => ({ buffer })),
      ];
      group = this.#memory.device.createBindGroup({
        label: `nearfield ${kernel.name}`,
        layout: kernel.layout,
        entries: resources.map((resource, i) => ({ binding: kernel.slots[i] ?? i, resource })),
      });
      this.#groups.set(key, group);
      this.#counters.bindGroupsCreated++;
    }
    return group;
  }
}

const floats = new Float32Array(1);
const bits = new Uint32Array(floats.buffer);

/** The bits of a float32, to be put among u32 parameters. */
export function floatBits(value: number): number {
  floats[0] = value;
  return bits[0] ?? 0;
}
