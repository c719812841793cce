/**
 * WebGPU in Node: Dawn, from the optional package `webgpu`, loaded on first use.
 *
 * The object that `create()` returns must stay referenced as long as anything made from it lives
 * (collected earlier, the process crashes) and must be let go for Node to exit: so it is counted.
 */
import type { GpuProvider } from "./device.ts";

let shared: GPU | undefined;
let leases = 0;

export const nodeGpu: GpuProvider = {
  async acquire() {
    let create: typeof import("webgpu").create;
    try {
      ({ create } = await import("webgpu"));
    } catch (cause) {
      return { missing: 'the optional package "webgpu" is not installed or has no build for this platform', cause };
    }
    shared ??= create([]);
    leases++;
    let isHeld = true;
    return {
      gpu: shared,
      release() {
        if (!isHeld) return;
        isHeld = false;
        if (--leases === 0) shared = undefined;
      },
    };
  },
};
