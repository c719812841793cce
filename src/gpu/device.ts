/**
 * Getting a GPU device: which adapter, with which limits, and what to tell people about it. Owns
 * the device it requested and the lease on the platform's WebGPU object; a device brought by the
 * caller is never destroyed here.
 */
import type { BackendInfo } from "../core/backend.ts";

/** The platform's WebGPU, held while in use: Dawn in Node crashes when it is collected, and keeps Node alive while it is not. */
interface GpuLease {
  readonly gpu: GPU;
  release(): void;
}

export interface GpuProvider {
  /** The platform's WebGPU, or the reason why there is none. */
  acquire(): Promise<GpuLease | { readonly missing: string; readonly cause?: unknown }>;
}

/** Limits that a larger value makes useful; what the adapter offers is asked for, or the default would stay in force. */
const WANTED_LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupsPerDimension",
] as const satisfies readonly (keyof GPUSupportedLimits)[];

/** Features that kernels or measurements make use of where the adapter has them. */
const WANTED_FEATURES: ReadonlySet<string> = new Set([
  "timestamp-query",
  "subgroups",
  "shader-f16",
  // Only where the user lets Dawn or Chrome offer unsafe APIs; not yet in @webgpu/types.
  "chromium-experimental-subgroup-matrix",
]);

export interface OpenDevice {
  readonly device: GPUDevice;
  readonly info: BackendInfo;
  /** Destroys the device if it is ours, and lets go of the platform's WebGPU. Idempotent. */
  close(): void;
}

/** Either a device, or why there is none that fits. */
export type DeviceResult = { readonly open: OpenDevice } | { readonly refused: string; readonly cause?: unknown };

/** Takes the caller's device. */
export function adoptDevice(device: GPUDevice, reason: string): OpenDevice {
  return { device, info: describeDevice(device, device.adapterInfo, reason), close: () => {} };
}

/** Requests a device. `acceptSoftware`: take a software rasteriser too. */
export async function requestDevice(
  provider: GpuProvider,
  acceptSoftware: boolean,
  reason: string,
): Promise<DeviceResult> {
  const lease = await provider.acquire();
  if ("missing" in lease) return { refused: lease.missing, cause: lease.cause };
  try {
    const adapter = await lease.gpu.requestAdapter({ powerPreference: "high-performance" });
    if (adapter === null) {
      lease.release();
      return { refused: "WebGPU found no adapter on this machine" };
    }
    if (isSoftware(adapter.info) && !acceptSoftware) {
      lease.release();
      return {
        refused: `the only WebGPU adapter is a software rasteriser (${adapterName(adapter.info)}), slower than the CPU kernels`,
      };
    }
    const device = await deviceWithLimits(lease.gpu, adapter);
    return { open: ownDevice(device, adapter.info, lease, reason) };
  } catch (cause) {
    lease.release();
    return { refused: `the WebGPU adapter gave no device (${String(cause)})`, cause };
  }
}

async function deviceWithLimits(gpu: GPU, adapter: GPUAdapter): Promise<GPUDevice> {
  const requiredLimits: Record<string, number> = {};
  for (const limit of WANTED_LIMITS) requiredLimits[limit] = adapter.limits[limit];
  const requiredFeatures = [...adapter.features].filter((feature) => WANTED_FEATURES.has(feature)) as GPUFeatureName[];
  try {
    return await adapter.requestDevice({ label: "nearfield", requiredLimits, requiredFeatures });
  } catch (cause) {
    // A driver that offers more than it grants: the defaults always work. The failed request used the adapter up.
    const fresh = await gpu.requestAdapter({ powerPreference: "high-performance" });
    if (fresh === null) throw cause;
    return fresh.requestDevice({ label: "nearfield" });
  }
}

function ownDevice(device: GPUDevice, info: GPUAdapterInfo, lease: GpuLease, reason: string): OpenDevice {
  let isOpen = true;
  return {
    device,
    info: describeDevice(device, info, reason),
    close() {
      if (!isOpen) return;
      isOpen = false;
      device.destroy();
      lease.release();
    },
  };
}

function describeDevice(device: GPUDevice, info: GPUAdapterInfo, reason: string): BackendInfo {
  const limits: Record<string, number> = {};
  for (const limit of WANTED_LIMITS) limits[limit] = device.limits[limit];
  return {
    kind: "gpu",
    name: adapterName(info),
    reason,
    software: isSoftware(info),
    features: [...device.features].sort(),
    limits,
  };
}

function isSoftware(info: GPUAdapterInfo): boolean {
  return info.isFallbackAdapter || info.architecture === "swiftshader";
}

function adapterName(info: GPUAdapterInfo): string {
  const parts = [info.vendor, info.architecture, info.device, info.description].filter((part) => part !== "");
  return parts.length > 0 ? parts.join(" ") : "unnamed WebGPU adapter";
}
