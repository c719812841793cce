/**
 * The shaders as pipelines: explicit layouts, compiled on first use, cached by variant for the
 * life of the device (and shared by all indexes on it). A variant is a generated header of
 * constants, the parts that the kernel shares with others, and the kernel itself, one after the
 * other; nothing is spliced into the middle of a shader.
 */
import type { Metric, Precision } from "../core/metric.ts";
import { METRIC_CODE } from "../core/metric.ts";
import { STAGE_COMPUTE } from "./flags.ts";
import { type Binding, type Emit, EMITS, KERNELS, type KernelName, type KernelSource } from "./shaders.ts";
import { unrolled } from "./unroll.ts";

/** A tile of queries × rows in workgroup memory, and each thread's share of it. */
export interface TileShape {
  readonly queries: number;
  readonly rows: number;
  readonly threadQueries: number;
  readonly threadRows: number;
}

/** A multiplication of matrix units: [m × k] by [k × n] elements. */
export interface MatrixShape {
  readonly component: "i8" | "f16";
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Lanes of every subgroup. */
  readonly lanes: number;
}

/** What shapes a kernel's code. */
export interface Variant {
  readonly metric?: Metric;
  /** How the rows it reads are stored. */
  readonly precision?: Precision;
  readonly emit?: Emit;
  /** Queries in registers. */
  readonly qb?: number;
  readonly tile?: TileShape;
  /** What sums up the tiles of a matrix kernel: matrix units, or their twin in plain WGSL. */
  readonly sum?: "matrix" | "plain";
  /** Of the matrix units. */
  readonly matrix?: MatrixShape;
  /** Words of a row's facts. */
  readonly facts?: number;
  /** Words of the facts that an encoder writes. */
  readonly codeFacts?: number;
  /** Relative error that the sums of a certificate may have. */
  readonly rounding?: number;
  readonly isIdentity?: boolean;
  readonly isQuery?: boolean;
  readonly usesPick?: boolean;
}

export interface Kernel {
  readonly name: KernelName;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Names this variant among all of a device. */
  readonly key: string;
  /** The binding numbers of its buffers, the params first. */
  readonly slots: readonly number[];
}

const DTYPE: Readonly<Record<Precision, number>> = { f32: 0, f16: 1, i8: 2, b1: 3 };
/** vec4f in a 16-byte chunk. */
export const QUADS: Readonly<Record<Precision, number>> = { f32: 1, f16: 2, i8: 4, b1: 1 };

export function tileThreads({ queries, rows, threadQueries, threadRows }: TileShape): number {
  return (queries / threadQueries) * (rows / threadRows);
}

function header(variant: Variant): string {
  const lines: string[] = [];
  const constant = (name: string, type: "u32" | "f32" | "bool", value: number | boolean | undefined): void => {
    if (value === undefined) return;
    const text = type === "u32" ? `${Number(value)}u` : type === "f32" ? Number(value).toExponential() : String(value);
    lines.push(`const ${name} : ${type} = ${text};\n`);
  };
  const { metric, precision, tile, matrix } = variant;
  if (matrix !== undefined) lines.push(...matrixDirectives(matrix)); // directives come before all else
  if (metric !== undefined) constant("METRIC", "u32", METRIC_CODE[metric]);
  if (precision !== undefined) {
    constant("DTYPE", "u32", DTYPE[precision]);
    constant("QUADS", "u32", QUADS[precision]);
  }
  constant("QB", "u32", variant.qb);
  constant("FACTS", "u32", variant.facts);
  constant("CODE_FACTS", "u32", variant.codeFacts);
  constant("ROUNDING", "f32", variant.rounding);
  constant("IDENTITY", "bool", variant.isIdentity);
  constant("IS_QUERY", "bool", variant.isQuery);
  if (tile !== undefined) {
    constant("TQ", "u32", tile.queries);
    constant("TR", "u32", tile.rows);
    constant("RQ", "u32", tile.threadQueries);
    constant("RR", "u32", tile.threadRows);
    constant("THREADS", "u32", tileThreads(tile));
  }
  if (matrix !== undefined) {
    lines.push(`alias Component = ${matrix.component};\n`);
    constant("M_SIZE", "u32", matrix.m);
    constant("N_SIZE", "u32", matrix.n);
    constant("K_SIZE", "u32", matrix.k);
    constant("LANES", "u32", matrix.lanes);
  }
  return lines.join("");
}

function matrixDirectives({ component }: MatrixShape): string[] {
  const names = ["chromium_experimental_subgroup_matrix", "subgroups", ...(component === "f16" ? ["f16"] : [])];
  return names.map((name) => `enable ${name};\n`);
}

/** The whole source of a variant. */
export function sourceOf({ parts, sums, code }: KernelSource, variant: Variant): string {
  const emit = variant.emit === undefined ? [] : [EMITS[variant.emit]];
  const sum = variant.sum === undefined || sums === undefined ? [] : [sums[variant.sum]];
  return unrolled(header(variant) + [...parts, ...emit, ...sum].join("\n") + code);
}

/** Bindings 0, 1, … of a variant. */
export function bindingsOf({ bindings, afterEmit = [] }: KernelSource, variant: Variant): readonly Binding[] {
  if (variant.emit === undefined) return bindings;
  const written: readonly Binding[] = variant.emit === "histogram" ? ["write"] : ["write", "write"];
  return [...bindings, ...written, ...afterEmit];
}

/** Bytes of a params struct: sixteen words at most in every kernel. */
export const PARAMS_BYTES = 64;

export class Pipelines {
  readonly #device: GPUDevice;
  readonly #workgroup: number;
  readonly #isSoftware: boolean;
  readonly #sources = new Map<string, KernelSource>(Object.entries(KERNELS));
  readonly #cache = new Map<string, Promise<Kernel>>();

  /** `workgroup`: lanes of a workgroup, where the kernel leaves it open. `isSoftware`: each costs a coroutine, so few. */
  constructor(device: GPUDevice, workgroup: number, isSoftware: boolean = false) {
    this.#device = device;
    this.#workgroup = workgroup;
    this.#isSoftware = isSoftware;
  }

  /** Makes kernels known whose code came later; again is no harm. */
  add(kernels: Readonly<Partial<Record<KernelName, KernelSource>>>): void {
    for (const [name, source] of Object.entries(kernels)) this.#sources.set(name, source);
  }

  /** Rejects with the compiler's messages when the variant does not compile on this device. */
  get(name: KernelName, variant: Variant = {}): Promise<Kernel> {
    const key = `${name} ${JSON.stringify(variant)}`;
    let kernel = this.#cache.get(key);
    if (kernel === undefined) {
      kernel = this.#compile(name, variant, key);
      this.#cache.set(key, kernel);
      kernel.catch(() => this.#cache.delete(key)); // a failure is reported to whoever asked; ask again, try again
    }
    return kernel;
  }

  /** A selection is one workgroup's work: the more lanes the sooner it is done, as far as the default limits go. */
  #workgroupOf(name: KernelName): number {
    const most = Math.min(SELECT_WORKGROUP, this.#device.limits.maxComputeInvocationsPerWorkgroup);
    return name === "select_k" && !this.#isSoftware ? most : this.#workgroup;
  }

  async #compile(name: KernelName, variant: Variant, key: string): Promise<Kernel> {
    const device = this.#device;
    const source = this.#sources.get(name);
    if (source === undefined) throw new Error(`bug: the kernel ${name} is asked for before its code was added`);
    const label = `nearfield ${key}`;
    // What is wrong with it the pipeline's rejection tells; without a scope the caller's device would be told as well.
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ label, code: sourceOf(source, variant) });
    const bindings = [...bindingsOf(source, variant).entries()].filter(([, binding]) => binding !== "none");
    const layout = device.createBindGroupLayout({
      label,
      entries: bindings.map(([index, binding]) => ({
        binding: index,
        visibility: STAGE_COMPUTE,
        buffer:
          binding === "params"
            ? { type: "uniform", hasDynamicOffset: true, minBindingSize: PARAMS_BYTES }
            : { type: binding === "read" ? "read-only-storage" : "storage" },
      })),
    });
    void device.popErrorScope().catch(() => {});
    const constants: Record<string, number> = {};
    if (source.hasWorkgroupOverride) constants["WORKGROUP"] = this.#workgroupOf(name);
    if (variant.usesPick !== undefined) constants["USES_PICK"] = Number(variant.usesPick);
    try {
      const pipeline = await device.createComputePipelineAsync({
        label,
        layout: device.createPipelineLayout({ label, bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: variant.sum === undefined ? name : `sum_${variant.sum}`, constants },
      });
      return { name, pipeline, layout, key, slots: bindings.map(([index]) => index) };
    } catch (cause) {
      const { messages } = await module.getCompilationInfo();
      const text = messages.map((m) => `${m.type} ${m.lineNum}:${m.linePos} ${m.message}`).join("\n");
      throw new Error(`shader ${key} does not compile on this device\n${text}`, { cause });
    }
  }
}

/** Lanes of select_k on real hardware. */
const SELECT_WORKGROUP = 256;

const caches = new WeakMap<GPUDevice, Pipelines>();

/** The one pipeline cache of a device. */
export function pipelinesOf(device: GPUDevice, workgroup: number, isSoftware: boolean): Pipelines {
  let pipelines = caches.get(device);
  if (pipelines === undefined) {
    pipelines = new Pipelines(device, workgroup, isSoftware);
    caches.set(device, pipelines);
  }
  return pipelines;
}
