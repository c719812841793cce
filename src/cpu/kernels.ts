/**
 * The CPU kernels bound to one chunk of memory. Two implementations of one interface: WASM
 * SIMD (`assembly/`) and plain JS (`kernels-js.ts`), equal bit for bit in canonical distances and
 * within the scan's margin in estimates. Pointers are byte offsets into the chunk.
 */
import { METRIC_CODE, type FloatMetric } from "../core/metric.ts";
import { jsKernels } from "./kernels-js.ts";
import type { ChunkMemory } from "./memory.ts";

export interface ScanSpan {
  readonly rows: number;
  readonly terms: number;
  readonly rowCount: number;
  readonly queries: number;
  readonly queryCount: number;
  readonly limits: number;
  readonly perNorms: number;
  readonly eligible: number;
  readonly words: number;
  readonly hits: number;
}

export interface Kernels {
  readonly level: KernelLevel;
  /** Estimates every row of the span; writes (query << 16 | row) of those within limits; returns how many. */
  scanF32(span: ScanSpan): number;
  /** Canonical distances of one query to `rowCount` rows, written to `out` as f32. */
  scanF64(rows: number, rowCount: number, query: number, out: number): void;
  /** The canonical distance of one row to one query. */
  distanceF64(query: number, row: number): number;
}

export type KernelLevel = "simd128" | "none";

/** Compiled kernels for the two kinds of memory; either may be missing where WASM is refused. */
export interface KernelModules {
  readonly shared?: WebAssembly.Module;
  readonly owned?: WebAssembly.Module;
}

/** Bytes of the two builds of the kernels. */
export interface KernelBytes {
  readonly shared: Uint8Array<ArrayBuffer>;
  readonly owned: Uint8Array<ArrayBuffer>;
}

/** Compiles what this runtime takes; empty, with the reason, where it takes nothing. */
export async function compileKernels(bytes: KernelBytes): Promise<{ modules: KernelModules; problem?: unknown }> {
  try {
    const owned = await WebAssembly.compile(bytes.owned);
    const shared = WebAssembly.validate(bytes.shared) ? await WebAssembly.compile(bytes.shared) : undefined;
    return { modules: shared === undefined ? { owned } : { owned, shared } };
  } catch (problem) {
    return { modules: {}, problem };
  }
}

/** Whether this runtime can run the WASM kernels at all, as far as can be told without compiling. */
export function kernelLevel(bytes: KernelBytes): KernelLevel {
  return typeof WebAssembly === "object" && WebAssembly.validate(bytes.owned) ? "simd128" : "none";
}

/** The fastest kernels that can work on `memory`. */
export function bindKernels(modules: KernelModules, memory: ChunkMemory, metric: FloatMetric, stride: number): Kernels {
  const module = memory.isShared ? modules.shared : modules.owned;
  if (module !== undefined && memory.wasm !== undefined) return wasmKernels(module, memory.wasm, metric, stride);
  return jsKernels(memory, metric, stride);
}

interface WasmExports {
  scan_f32(
    metric: number,
    rows: number,
    terms: number,
    rowCount: number,
    stride: number,
    queries: number,
    queryCount: number,
    limits: number,
    perNorms: number,
    eligible: number,
    words: number,
    hits: number,
  ): number;
  scan_f64(metric: number, rows: number, rowCount: number, stride: number, query: number, out: number): void;
  distance_f64(metric: number, query: number, row: number, stride: number): number;
}

function wasmKernels(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  metric: FloatMetric,
  stride: number,
): Kernels {
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  // The module is ours and built with these exports; WebAssembly's types cannot know.
  const wasm = instance.exports as unknown as WasmExports;
  const code = METRIC_CODE[metric];
  return {
    level: "simd128",
    scanF32: (s) =>
      wasm.scan_f32(
        code,
        s.rows,
        s.terms,
        s.rowCount,
        stride,
        s.queries,
        s.queryCount,
        s.limits,
        s.perNorms,
        s.eligible,
        s.words,
        s.hits,
      ),
    scanF64: (rows, rowCount, query, out) => wasm.scan_f64(code, rows, rowCount, stride, query, out),
    distanceF64: (query, row) => wasm.distance_f64(code, query, row, stride),
  };
}
