/** WebGPU of a browser page or worker. */
import type { GpuProvider } from "./device.ts";

export const webGpu: GpuProvider = {
  acquire() {
    const gpu: GPU | undefined = globalThis.navigator?.gpu;
    return Promise.resolve(
      gpu === undefined
        ? { missing: "this browser (or this insecure page) has no WebGPU" }
        : { gpu, release: () => {} },
    );
  },
};
