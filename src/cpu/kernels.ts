/**
 * The CPU kernels bound to one chunk of memory. Two implementations of one interface: WASM
 * SIMD (`assembly/`), with some estimates in relaxed SIMD where the runtime has it, and plain JS
 * (`kernels-js.ts`); equal bit for bit in canonical distances and within the scan's margin in
 * estimates. Pointers are byte offsets into the chunk.
 */
import type { BackendInfo } from "../core/backend.ts";
import { METRIC_CODE } from "../core/metric.ts";
import type { RowFormat } from "../core/stored-rows.ts";
import { jsKernels } from "./kernels-js.ts";
import type { ChunkMemory } from "./memory.ts";
import { withSharedMemory } from "./module-bytes.ts";
import { isProven, type ScanI8 } from "./relaxed-probe.ts";

/** A span of rows and a tile of queries to scan: at most 65,536 of each. */
export interface ScanSpan {
  /** [rowCount × stride] f32, stored or decoded; of b1 32-bit words. */
  readonly rows: number;
  /** [rowCount] f32 row terms (layout.ts). */
  readonly terms: number;
  readonly rowCount: number;
  /** [queryCount × stride], scaled for scanning; of b1 as they are. */
  readonly queries: number;
  readonly queryCount: number;
  /** [queryCount] f32: the largest estimates, of b1 canonical distances, that pass. */
  readonly limits: number;
  /** [queryCount] f32 (core/margin.ts); not read for b1. */
  readonly perNorms: number;
  /** [queryCount × words] u32 bitmaps of the span's rows. */
  readonly eligible: number;
  /** 32-bit words of one query's bitmap; 0: one bitmap serves all queries. */
  readonly words: number;
  /** Room for rowCount × queryCount u32. */
  readonly hits: number;
}

/** A span and its codes, as assembly/scan_i8.ts takes them. */
export interface CodeSpan {
  readonly codes: number;
  /** Codes of a row and of a query, a multiple of 16. */
  readonly stride: number;
  readonly facts: number;
  readonly plane: number;
  readonly rowCount: number;
  readonly queries: number;
  readonly queryCount: number;
  readonly coefficients: number;
  readonly coefficientPlane: number;
  readonly weight: number;
  readonly eligible: number;
  readonly words: number;
  readonly hits: number;
}

export interface Kernels {
  readonly level: KernelLevel;
  /** Largest code of a query that `scanI8` takes: as 16-bit codes, or (63) as code + 64 in a byte. */
  readonly queryLevels: 127 | 63;
  /** Judges rows by their codes; writes the pairs let through, (query << 16 | row); returns how many. */
  scanI8(span: CodeSpan): number;
  /** f32 and f16 rows; cosine, dot, euclidean. Of `count` pairs in the span's hits keeps those whose estimate is within limits, and writes these to `estimates`; returns how many. */
  refine(span: ScanSpan, count: number, estimates: number): number;
  /** Float metrics. Estimates every row of the span; writes (query << 16 | row) of those eligible within limits; returns how many. */
  scanF32(span: ScanSpan): number;
  /** Rows of b1. Does the same by canonical distances. */
  scanB1(span: ScanSpan): number;
  /** Rows of f16 and i8 as float32, for scanF32: [rowCount × stride], written to `floats`. `scales`: of i8 rows, else ignored. */
  decode(rows: number, scales: number, rowCount: number, floats: number): void;
  /** Canonical distances of one query to `rowCount` rows, written to `out` as f32. `scales`: of i8 rows, else ignored. */
  distances(query: number, rows: number, scales: number, rowCount: number, out: number): void;
  /** The canonical distance of one row to one query. `scale` as above; `out`: four bytes of scratch. */
  distance(query: number, row: number, scale: number, out: number): number;
}

export type KernelLevel = NonNullable<BackendInfo["simd"]>;

/** Bytes of the two builds of the kernels, both for unshared memory. */
export interface KernelBytes {
  /** All kernels. */
  readonly simd: Uint8Array<ArrayBuffer>;
  /** Those estimates that gain from relaxed SIMD; absent: not to be used. */
  readonly relaxed?: Uint8Array<ArrayBuffer>;
}

/** The two builds compiled; the relaxed one where this runtime takes it. */
interface CompiledKernels {
  readonly simd: WebAssembly.Module;
  readonly relaxed?: WebAssembly.Module;
}

/** Compiled kernels for the two kinds of memory; either may be missing where WASM is refused. */
export interface KernelModules {
  readonly shared?: CompiledKernels;
  readonly owned?: CompiledKernels;
}

/** Compiles what this runtime takes and gets right; empty, with the reason, where it takes nothing. */
export async function compileKernels(bytes: KernelBytes): Promise<{ modules: KernelModules; problem?: unknown }> {
  try {
    const owned = await compileBuilds(bytes);
    if (owned.relaxed !== undefined && !(await isProven(owned.relaxed).catch(() => false)))
      return await compileKernels({ simd: bytes.simd });
    const simd = withSharedMemory(bytes.simd);
    if (!WebAssembly.validate(simd)) return { modules: { owned } };
    const relaxed = bytes.relaxed === undefined ? {} : { relaxed: withSharedMemory(bytes.relaxed) };
    return { modules: { owned, shared: await compileBuilds({ simd, ...relaxed }) } };
  } catch (problem) {
    return { modules: {}, problem };
  }
}

async function compileBuilds({ simd, relaxed }: KernelBytes): Promise<CompiledKernels> {
  const compiled = { simd: await WebAssembly.compile(simd) };
  if (relaxed === undefined || !WebAssembly.validate(relaxed)) return compiled;
  return { ...compiled, relaxed: await WebAssembly.compile(relaxed) };
}

/** What `compileKernels` came to. */
export function compiledLevel({ owned }: KernelModules): KernelLevel {
  if (owned === undefined) return "none";
  return owned.relaxed === undefined ? "simd128" : "relaxed-simd";
}

/** The fastest kernels that can work on `memory`. */
export function bindKernels(modules: KernelModules, memory: ChunkMemory, format: RowFormat): Kernels {
  const compiled = memory.isShared ? modules.shared : modules.owned;
  if (compiled !== undefined && memory.wasm !== undefined) return wasmKernels(compiled, memory.wasm, format);
  return jsKernels(memory, format);
}

/** metric, rows, terms, stride, queries, limits, perNorms, hits, count, estimates */
type RefineArguments = [number, number, number, number, number, number, number, number, number, number];

interface WasmExports {
  scan_i8: ScanI8;
  refine_f32(...pairs: RefineArguments): number;
  refine_f16(...pairs: RefineArguments): number;
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
  scan_b1(
    metric: number,
    rows: number,
    terms: number,
    rowCount: number,
    stride: number,
    queries: number,
    queryCount: number,
    limits: number,
    eligible: number,
    words: number,
    hits: number,
  ): number;
  decode_f16(halves: number, count: number, floats: number): void;
  decode_i8(codes: number, scales: number, rowCount: number, stride: number, floats: number): void;
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

function wasmKernels({ simd, relaxed }: CompiledKernels, memory: WebAssembly.Memory, format: RowFormat): Kernels {
  const exportsOf = (module: WebAssembly.Module): WebAssembly.Exports =>
    new WebAssembly.Instance(module, { env: { memory } }).exports;
  // The modules are ours and built with these exports; WebAssembly's types cannot know.
  const wasm = { ...exportsOf(simd), ...(relaxed === undefined ? {} : exportsOf(relaxed)) } as unknown as WasmExports;
  const level = relaxed === undefined ? "simd128" : "relaxed-simd";
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
  const scanB1 = (s: ScanSpan): number =>
    wasm.scan_b1(
      code,
      s.rows,
      s.terms,
      s.rowCount,
      stride,
      s.queries,
      s.queryCount,
      s.limits,
      s.eligible,
      s.words,
      s.hits,
    );
  const decode = (rows: number, scales: number, rowCount: number, floats: number): void => {
    if (precision === "f16") wasm.decode_f16(rows, rowCount * stride, floats);
    else if (precision === "i8") wasm.decode_i8(rows, scales, rowCount, stride, floats);
    else throw new Error(`rows of ${precision} are scanned as they are`);
  };
  const scans: Omit<Kernels, "distances" | "distance"> = {
    level,
    scanF32,
    scanB1,
    decode,
    queryLevels: relaxed === undefined ? 127 : 63,
    scanI8: (s) =>
      wasm.scan_i8(
        s.codes,
        s.stride,
        s.facts,
        s.plane,
        s.rowCount,
        s.queries,
        s.queryCount,
        s.coefficients,
        s.coefficientPlane,
        s.weight,
        s.eligible,
        s.words,
        s.hits,
      ),
    refine(s, count, estimates) {
      const { rows, terms, queries, limits, perNorms, hits } = s;
      return precision === "f16"
        ? wasm.refine_f16(code, rows, terms, stride, queries, limits, perNorms, hits, count, estimates)
        : wasm.refine_f32(code, rows, terms, stride, queries, limits, perNorms, hits, count, estimates);
    },
  };
  if (precision === "f32") {
    return {
      ...scans,
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
    ...scans,
    distances,
    distance(query, row, scale, out) {
      distances(query, row, scale, 1, out);
      // A memory that grows gets a new buffer.
      if (floats.buffer !== memory.buffer) floats = new Float32Array(memory.buffer);
      return floats[out >>> 2] ?? Infinity;
    },
  };
}
