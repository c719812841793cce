/**
 * The shader files that every search uses, and what each needs: the parts before it, and its bindings
 * (in words: shaders/README.md). Those of large batches are in gemm-shaders.ts, which is loaded with them.
 */
import blank from "../../shaders/blank.wgsl?raw";
import collect from "../../shaders/collect.wgsl?raw";
import compact from "../../shaders/compact.wgsl?raw";
import encodeI8 from "../../shaders/encode_i8.wgsl?raw";
import codesPart from "../../shaders/parts/codes.wgsl?raw";
import eligiblePart from "../../shaders/parts/eligible.wgsl?raw";
import emitCandidates from "../../shaders/parts/emit_candidates.wgsl?raw";
import emitHistogram from "../../shaders/parts/emit_histogram.wgsl?raw";
import emitKeys from "../../shaders/parts/emit_keys.wgsl?raw";
import fullPart from "../../shaders/parts/full.wgsl?raw";
import keysPart from "../../shaders/parts/keys.wgsl?raw";
import queryPart from "../../shaders/parts/query.wgsl?raw";
import scanParams from "../../shaders/parts/scan_params.wgsl?raw";
import statePart from "../../shaders/parts/state.wgsl?raw";
import rankTies from "../../shaders/rank_ties.wgsl?raw";
import refine from "../../shaders/refine.wgsl?raw";
import repack from "../../shaders/repack.wgsl?raw";
import scanB1 from "../../shaders/scan_b1.wgsl?raw";
import scanF32 from "../../shaders/scan_f32.wgsl?raw";
import scanI8 from "../../shaders/scan_i8.wgsl?raw";
import selectBin from "../../shaders/select_bin.wgsl?raw";
import selectK from "../../shaders/select_k.wgsl?raw";

/** What a kernel does with a buffer; "none" is a number that it leaves out. */
export type Binding = "params" | "read" | "write" | "none";

/** What a scan makes of the rows it looks at. */
export type Emit = "keys" | "candidates" | "histogram";

/** The part behind all others of a kernel that emits. */
export const EMITS: Readonly<Record<Emit, string>> = {
  keys: emitKeys,
  candidates: emitCandidates,
  histogram: emitHistogram,
};

export interface KernelSource {
  readonly code: string;
  /** What stands before the code, in order. */
  readonly parts: readonly string[];
  /** The part of a matrix kernel that sums up its tiles, which holds its entry point. */
  readonly sums?: Readonly<Record<"matrix" | "plain", string>>;
  /** Binding 0, 1, … of group 0; of a kernel that emits, those before the emitted ones. */
  readonly bindings: readonly Binding[];
  /** Bindings behind the emitted ones. */
  readonly afterEmit?: readonly Binding[];
  /** False where the workgroup's size is part of the code. */
  readonly hasWorkgroupOverride: boolean;
}

/** Kernels of gemm-shaders.ts. */
export type GemmKernel = "gemm_f32" | "gemm_i8" | "gemm_i8_matrix" | "gemm_f16_matrix";

export type KernelName =
  | "repack"
  | "blank"
  | "encode_i8"
  | "scan_f32"
  | "scan_i8"
  | "scan_b1"
  | "select_k"
  | "select_bin"
  | "collect"
  | "refine"
  | "rank_ties"
  | "compact"
  | GemmKernel;

/** The parts before every scan, but for what reads its rows. */
export const SCAN_PARTS: readonly string[] = [keysPart, queryPart, scanParams];
export const READS_FULL: string = fullPart;
export const READS_CODES: string = codesPart;

export const SCAN_BINDINGS: readonly Binding[] = ["params", "read", "read", "read", "read", "read"];

export const KERNELS: Readonly<Record<Exclude<KernelName, GemmKernel>, KernelSource>> = {
  repack: { code: repack, parts: [], bindings: ["params", "read", "write"], hasWorkgroupOverride: true },
  blank: { code: blank, parts: [keysPart], bindings: ["params", "write"], hasWorkgroupOverride: true },
  encode_i8: {
    code: encodeI8,
    parts: [queryPart, fullPart],
    bindings: ["params", "read", "read", "read", "write", "write"],
    hasWorkgroupOverride: false,
  },
  scan_f32: {
    code: scanF32,
    parts: [...SCAN_PARTS, eligiblePart, fullPart],
    bindings: SCAN_BINDINGS,
    hasWorkgroupOverride: true,
  },
  scan_i8: {
    code: scanI8,
    parts: [...SCAN_PARTS, eligiblePart, codesPart],
    bindings: SCAN_BINDINGS,
    afterEmit: ["read"],
    hasWorkgroupOverride: true,
  },
  scan_b1: {
    code: scanB1,
    parts: [...SCAN_PARTS, eligiblePart, fullPart],
    bindings: SCAN_BINDINGS,
    hasWorkgroupOverride: true,
  },
  select_k: {
    code: selectK,
    parts: [keysPart, queryPart, statePart],
    bindings: ["params", "read", "read", "write"],
    hasWorkgroupOverride: true,
  },
  select_bin: {
    code: selectBin,
    parts: [keysPart, queryPart, statePart],
    bindings: ["params", "read", "read", "write"],
    hasWorkgroupOverride: true,
  },
  collect: {
    code: collect,
    parts: [keysPart, scanParams],
    // What is emitted lies at bindings 6 and 7, as in a scan.
    bindings: ["params", "read", "none", "none", "none", "none"],
    hasWorkgroupOverride: true,
  },
  refine: {
    code: refine,
    parts: [keysPart, queryPart, fullPart, statePart],
    bindings: ["params", "read", "read", "read", "read", "read", "read", "write", "write"],
    hasWorkgroupOverride: true,
  },
  rank_ties: {
    code: rankTies,
    parts: [keysPart, statePart],
    bindings: ["params", "read", "read", "write"],
    hasWorkgroupOverride: true,
  },
  compact: {
    code: compact,
    parts: [keysPart, statePart],
    bindings: ["params", "read", "read", "read", "write"],
    hasWorkgroupOverride: true,
  },
};
