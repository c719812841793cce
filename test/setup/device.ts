/** A WebGPU device of this machine's adapter for tests that share one, with all that it offers. */
import { create } from "webgpu";

export interface TestDevice {
  readonly device: GPUDevice;
  /** Dawn's object, which must stay referenced as long as the device is used. */
  readonly gpu: GPU;
  close(): void;
}

/** `flags`: of Dawn's `create()`, e.g. "backend=null". */
export async function openTestDevice(flags: readonly string[] = []): Promise<TestDevice> {
  const gpu = create([...flags]);
  const adapter = await gpu.requestAdapter();
  if (adapter === null) throw new Error("no adapter, although the set-up found one");
  const requiredFeatures = (["timestamp-query", "subgroups", "shader-f16"] as const).filter((f) =>
    adapter.features.has(f),
  );
  const device = await adapter.requestDevice({ requiredFeatures });
  return { device, gpu, close: () => device.destroy() };
}
