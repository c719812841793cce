/**
 * The CPU kernels bound to one chunk of memory. Two implementations of one interface: WASM
 * SIMD (`assembly/`) and plain JS (`kernels-js.ts`), equal bit for bit in canonical distances and
 * within the scan's margin in estimates. Pointers are byte offsets into the chunk.
 */
import { METRIC_CODE } from "../core/metric.ts";
import type { RowFormat } from "../core/stored-rows.ts";
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
  /** f32 rows only. Estimates every row of the span; writes (query << 16 | row) of those within limits; returns how many. */
  scanF32(span: ScanSpan): number;
  /** Canonical distances of one query to `rowCount` rows, written to `out` as f32. `scales`: of i8 rows, else ignored. */
  distances(query: number, rows: number, scales: number, rowCount: number, out: number): void;
  /** The canonical distance of one row to one query. `scale` as above; `out`: four bytes of scratch. */
  distance(query: number, row: number, scale: number, out: number): number;
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
export function bindKernels(modules: KernelModules, memory: ChunkMemory, format: RowFormat): Kernels {
  const module = memory.isShared ? modules.shared : modules.owned;
  if (module !== undefined && memory.wasm !== undefined) return wasmKernels(module, memory.wasm, format);
  return jsKernels(memory, format);
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
  distance_f16(metric: number, query: number, rows: number, rowCount: number, stride: number, out: number): void;
  distance_i8(
    metric: number,
    query: number,
    rows: number,
    scales: number,
    rowCount: number,
    stride: number,
    out: number,
  ): void;
  distance_b1(metric: number, query: number, rows: number, rowCount: number, stride: number, out: number): void;
}

function wasmKernels(module: WebAssembly.Module, memory: WebAssembly.Memory, format: RowFormat): Kernels {
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  // The module is ours and built with these exports; WebAssembly's types cannot know.
  const wasm = instance.exports as unknown as WasmExports;
  const { precision, stride } = format;
  const code = METRIC_CODE[format.metric];
  const scanF32 = (s: ScanSpan): number =>
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
    );
  if (precision === "f32") {
    return {
      level: "simd128",
      scanF32,
      distances: (query, rows, _, rowCount, out) => wasm.scan_f64(code, rows, rowCount, stride, query, out),
      distance: (query, row) => wasm.distance_f64(code, query, row, stride),
    };
  }
  const distances = (query: number, rows: number, scales: number, rowCount: number, out: number): void => {
    switch (precision) {
      case "f16":
        return wasm.distance_f16(code, query, rows, rowCount, stride, out);
      case "i8":
        return wasm.distance_i8(code, query, rows, scales, rowCount, stride, out);
      case "b1":
        return wasm.distance_b1(code, query, rows, rowCount, stride, out);
      default:
        return precision satisfies never;
    }
  };
  let floats = new Float32Array(memory.buffer);
  return {
    level: "simd128",
    scanF32,
    distances,
    distance(query, row, scale, out) {
      distances(query, row, scale, 1, out);
      // A memory that grows gets a new buffer.
      if (floats.buffer !== memory.buffer) floats = new Float32Array(memory.buffer);
      return floats[out >>> 2] ?? Infinity;
    },
  };
}
