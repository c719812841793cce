/**
 * WebGPU in Node: Dawn, from the optional package `webgpu`, loaded on first use.
 *
 * The object that `create()` returns must stay referenced as long as anything made from it lives
 * (collected earlier, the process crashes) and must be let go for Node to exit: so it is counted.
 */
import { constants } from "node:os";
import type { GpuProvider } from "./device.ts";

let shared: GPU | undefined;
let leases = 0;

export const nodeGpu: GpuProvider = {
  async acquire() {
    if (lacksVulkan())
      return { missing: "there is no Vulkan loader (libvulkan.so.1) on this machine, so no GPU driver either" };
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

/**
 * Whether Dawn would find no Vulkan: it says so on stderr, which a library must not do, so ask the
 * dynamic loader first. Loading a plain library as an addon always throws; the message tells why.
 */
function lacksVulkan(): boolean {
  if (process.platform !== "linux") return false;
  try {
    process.dlopen({ exports: {} }, "libvulkan.so.1", constants.dlopen.RTLD_LAZY);
    return false;
  } catch (error) {
    return error instanceof Error && error.message.includes("cannot open shared object file");
  }
}
