/**
 * The shaders as pipelines: explicit layouts, compiled on first use, cached by variant for the
 * life of the device (and shared by all indexes on it). A variant is the source text after its
 * generated header; nothing is spliced into the middle of a shader.
 */
import collect from "../../shaders/collect.wgsl?raw";
import repackF32 from "../../shaders/repack_f32.wgsl?raw";
import scanF32 from "../../shaders/scan_f32.wgsl?raw";
import selectCount from "../../shaders/select_count.wgsl?raw";
import selectDigit from "../../shaders/select_digit.wgsl?raw";
import { METRIC_CODE, type FloatMetric } from "../core/metric.ts";
import { STAGE_COMPUTE } from "./flags.ts";

type Binding = "params" | "read" | "write";

interface KernelSource {
  readonly code: string;
  /** Binding 0, 1, … of group 0. */
  readonly bindings: readonly Binding[];
}

export type KernelName = "repack_f32" | "scan_f32" | "select_count" | "select_digit" | "collect";

export const KERNELS: Readonly<Record<KernelName, KernelSource>> = {
  repack_f32: { code: repackF32, bindings: ["params", "read", "write"] },
  scan_f32: { code: scanF32, bindings: ["params", "read", "read", "read", "read", "read", "write"] },
  select_count: { code: selectCount, bindings: ["params", "read", "read", "write"] },
  select_digit: { code: selectDigit, bindings: ["params", "write", "write"] },
  collect: { code: collect, bindings: ["params", "read", "read", "read", "read", "write", "write"] },
};

/** What a variant's header declares. */
export interface Variant {
  readonly metric?: FloatMetric;
  /** Queries in registers. */
  readonly qb?: number;
}

export interface Kernel {
  readonly name: KernelName;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

export function header(variant: Variant): string {
  const lines: string[] = [];
  if (variant.metric !== undefined) lines.push(`const METRIC : u32 = ${METRIC_CODE[variant.metric]}u;`);
  if (variant.qb !== undefined) lines.push(`const QB : u32 = ${variant.qb}u;`);
  return lines.map((line) => `${line}\n`).join("");
}

/** Bytes of a params struct: eight words at most in every kernel. */
export const PARAMS_BYTES = 32;

export class Pipelines {
  readonly #device: GPUDevice;
  readonly #workgroup: number;
  readonly #cache = new Map<string, Promise<Kernel>>();

  constructor(device: GPUDevice, workgroup: number) {
    this.#device = device;
    this.#workgroup = workgroup;
  }

  /** Rejects with the compiler's messages when the variant does not compile on this device. */
  get(name: KernelName, variant: Variant = {}): Promise<Kernel> {
    const key = `${name} ${variant.metric ?? ""} ${variant.qb ?? ""}`.trimEnd();
    let kernel = this.#cache.get(key);
    if (kernel === undefined) {
      kernel = this.#compile(name, variant, key);
      this.#cache.set(key, kernel);
      kernel.catch(() => this.#cache.delete(key)); // a failure is reported to whoever asked; ask again, try again
    }
    return kernel;
  }

  async #compile(name: KernelName, variant: Variant, key: string): Promise<Kernel> {
    const device = this.#device;
    const label = `nearfield ${key}`;
    const { code, bindings } = KERNELS[name];
    const module = device.createShaderModule({ label, code: header(variant) + code });
    const layout = device.createBindGroupLayout({
      label,
      entries: bindings.map((binding, index) => ({
        binding: index,
        visibility: STAGE_COMPUTE,
        buffer:
          binding === "params"
            ? { type: "uniform", hasDynamicOffset: true, minBindingSize: PARAMS_BYTES }
            : { type: binding === "read" ? "read-only-storage" : "storage" },
      })),
    });
    try {
      const pipeline = await device.createComputePipelineAsync({
        label,
        layout: device.createPipelineLayout({ label, bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: name, constants: { WORKGROUP: this.#workgroup } },
      });
      return { name, pipeline, layout };
    } catch (cause) {
      const { messages } = await module.getCompilationInfo();
      const text = messages.map((m) => `${m.type} ${m.lineNum}:${m.linePos} ${m.message}`).join("\n");
      throw new Error(`shader ${key} does not compile on this device\n${text}`, { cause });
    }
  }
}

const caches = new WeakMap<GPUDevice, Pipelines>();

/** The one pipeline cache of a device. */
export function pipelinesOf(device: GPUDevice, workgroup: number): Pipelines {
  let pipelines = caches.get(device);
  if (pipelines === undefined) {
    pipelines = new Pipelines(device, workgroup);
    caches.set(device, pipelines);
  }
  return pipelines;
}
