/**
 * The benchmark's own device: Dawn with the toggles that a Node user may set (f16 and matrix units
 * on NVIDIA, timestamps unquantised), every feature and limit that kernels can use. Owns the object
 * that `create()` returns: collected earlier, Dawn crashes; kept, Node does not exit.
 */
import { create } from "webgpu";

export const DAWN_FLAGS: readonly string[] = [
  "enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia",
  "disable-dawn-features=timestamp_quantization",
];

/** Asked for where the adapter has them; everything works without. */
const WANTED_FEATURES = [
  "timestamp-query",
  "subgroups",
  "subgroup-size-control",
  "shader-f16",
  "chromium-experimental-subgroup-matrix",
];

/** A shape that the matrix units multiply; not yet in @webgpu/types. */
export interface MatrixConfig {
  readonly componentType: string;
  readonly resultType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** What a record says about the machine's adapter. */
export interface AdapterRecord {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly software: boolean;
  readonly subgroupSize: readonly [least: number, most: number];
  readonly matrixConfigs: readonly MatrixConfig[];
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
}

export interface BenchDevice {
  readonly device: GPUDevice;
  readonly adapter: AdapterRecord;
  /** Whether times come from the device's own clock. */
  readonly hasTimestamps: boolean;
  close(): void;
}

/** The device, or why there is none. `flags`: options of Dawn's `create()`. */
export async function openDevice(flags: readonly string[] = DAWN_FLAGS): Promise<BenchDevice | { missing: string }> {
  const held: { gpu: GPU | undefined } = { gpu: create([...flags]) };
  const adapter = await held.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null || adapter === undefined) return { missing: "WebGPU found no adapter on this machine" };
  const limits = limitsOf(adapter.limits);
  const offered = new Set<string>(adapter.features);
  const requiredFeatures = WANTED_FEATURES.filter((feature) => offered.has(feature)) as GPUFeatureName[];
  const device = await adapter.requestDevice({ label: "nearfield bench", requiredFeatures, requiredLimits: limits });
  return {
    device,
    adapter: adapterRecord(adapter, device, limits),
    hasTimestamps: device.features.has("timestamp-query"),
    close() {
      device.destroy();
      held.gpu = undefined;
    },
  };
}

function adapterRecord(
  { info }: GPUAdapter,
  device: GPUDevice,
  limits: Readonly<Record<string, number>>,
): AdapterRecord {
  const configs: unknown = Reflect.get(info, "subgroupMatrixConfigs");
  return {
    vendor: info.vendor,
    architecture: info.architecture,
    device: info.device,
    description: info.description,
    software: info.isFallbackAdapter || info.architecture === "swiftshader",
    subgroupSize: [info.subgroupMinSize, info.subgroupMaxSize],
    matrixConfigs: Array.isArray(configs) ? configs.map(matrixConfig) : [],
    features: [...device.features].sort(),
    limits,
  };
}

/** Dawn in Node (webgpu 0.6) leaves the result's type out: then the widest is taken for granted. */
const WIDEST: Readonly<Record<string, string>> = { f16: "f32", f32: "f32", i8: "i32", u8: "u32" };

function matrixConfig(config: MatrixConfig): MatrixConfig {
  const { componentType, M, N, K } = config;
  const resultType = config.resultType ?? WIDEST[componentType] ?? componentType;
  return { componentType, resultType, M, N, K };
}

/** The limits as plain numbers: they are getters of the prototype. */
function limitsOf(limits: GPUSupportedLimits): Record<string, number> {
  const plain: Record<string, number> = {};
  for (const name in limits) {
    const value: unknown = Reflect.get(limits, name);
    if (typeof value === "number") plain[name] = value;
  }
  return plain;
}

/** A short name for files: `nvidia-hopper`; `nvidia-h200` where Dawn names no architecture. */
export function adapterSlug({ vendor, architecture, device, description }: AdapterRecord): string {
  const model = [architecture, device, description].find((part) => part !== "") ?? "";
  const name = model.startsWith(vendor) ? model : [vendor, model].filter((part) => part !== "").join("-");
  return (name === "" ? "unnamed" : name).toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
}
