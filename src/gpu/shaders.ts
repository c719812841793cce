/** The shader files and what each needs: the parts before it, and its bindings. Bindings in words: shaders/README.md. */
import blank from "../../shaders/blank.wgsl?raw";
import collect from "../../shaders/collect.wgsl?raw";
import compact from "../../shaders/compact.wgsl?raw";
import encodeI8 from "../../shaders/encode_i8.wgsl?raw";
import gemmF16Matrix from "../../shaders/gemm_f16_matrix.wgsl?raw";
import gemmF32 from "../../shaders/gemm_f32.wgsl?raw";
import gemmI8 from "../../shaders/gemm_i8.wgsl?raw";
import gemmI8Matrix from "../../shaders/gemm_i8_matrix.wgsl?raw";
import codesPart from "../../shaders/parts/codes.wgsl?raw";
import eligiblePart from "../../shaders/parts/eligible.wgsl?raw";
import emitCandidates from "../../shaders/parts/emit_candidates.wgsl?raw";
import emitCodes from "../../shaders/parts/emit_codes.wgsl?raw";
import emitFull from "../../shaders/parts/emit_full.wgsl?raw";
import emitHistogram from "../../shaders/parts/emit_histogram.wgsl?raw";
import emitKeys from "../../shaders/parts/emit_keys.wgsl?raw";
import fullPart from "../../shaders/parts/full.wgsl?raw";
import keysPart from "../../shaders/parts/keys.wgsl?raw";
import queryPart from "../../shaders/parts/query.wgsl?raw";
import scanParams from "../../shaders/parts/scan_params.wgsl?raw";
import stagedPart from "../../shaders/parts/staged.wgsl?raw";
import sumMatrix from "../../shaders/parts/sum_matrix.wgsl?raw";
import sumPlain from "../../shaders/parts/sum_plain.wgsl?raw";
import statePart from "../../shaders/parts/state.wgsl?raw";
import tilePart from "../../shaders/parts/tile.wgsl?raw";
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

export type PartName =
  | "keys"
  | "query"
  | "scan_params"
  | "full"
  | "codes"
  | "tile"
  | "eligible"
  | "state"
  | "staged"
  | "sum_matrix"
  | "sum_plain"
  | "emit_codes"
  | "emit_full"
  | "emit_keys"
  | "emit_candidates"
  | "emit_histogram";

export const PARTS: Readonly<Record<PartName, string>> = {
  keys: keysPart,
  query: queryPart,
  scan_params: scanParams,
  full: fullPart,
  codes: codesPart,
  tile: tilePart,
  eligible: eligiblePart,
  state: statePart,
  staged: stagedPart,
  sum_matrix: sumMatrix,
  sum_plain: sumPlain,
  emit_codes: emitCodes,
  emit_full: emitFull,
  emit_keys: emitKeys,
  emit_candidates: emitCandidates,
  emit_histogram: emitHistogram,
};

export interface KernelSource {
  readonly code: string;
  readonly parts: readonly PartName[];
  /** Binding 0, 1, … of group 0; of a kernel that emits, those before the emitted ones. */
  readonly bindings: readonly Binding[];
  /** Bindings behind the emitted ones. */
  readonly afterEmit?: readonly Binding[];
  /** False where the workgroup's size is part of the code. */
  readonly hasWorkgroupOverride: boolean;
}

export type KernelName =
  | "repack"
  | "blank"
  | "encode_i8"
  | "scan_f32"
  | "scan_i8"
  | "scan_b1"
  | "gemm_f32"
  | "gemm_i8"
  | "gemm_i8_matrix"
  | "gemm_f16_matrix"
  | "select_k"
  | "select_bin"
  | "collect"
  | "refine"
  | "rank_ties"
  | "compact";

const SCAN_BINDINGS: readonly Binding[] = ["params", "read", "read", "read", "read", "read"];

export const KERNELS: Readonly<Record<KernelName, KernelSource>> = {
  repack: { code: repack, parts: [], bindings: ["params", "read", "write"], hasWorkgroupOverride: true },
  blank: { code: blank, parts: ["keys"], bindings: ["params", "write"], hasWorkgroupOverride: true },
  encode_i8: {
    code: encodeI8,
    parts: ["query", "full"],
    bindings: ["params", "read", "read", "read", "write", "write"],
    hasWorkgroupOverride: false,
  },
  scan_f32: {
    code: scanF32,
    parts: ["keys", "query", "scan_params", "eligible", "full"],
    bindings: SCAN_BINDINGS,
    hasWorkgroupOverride: true,
  },
  scan_i8: {
    code: scanI8,
    parts: ["keys", "query", "scan_params", "eligible", "codes"],
    bindings: SCAN_BINDINGS,
    afterEmit: ["read"],
    hasWorkgroupOverride: true,
  },
  scan_b1: {
    code: scanB1,
    parts: ["keys", "query", "scan_params", "eligible", "full"],
    bindings: SCAN_BINDINGS,
    hasWorkgroupOverride: true,
  },
  gemm_f32: {
    code: gemmF32,
    parts: ["keys", "query", "scan_params", "full", "tile", "emit_full"],
    bindings: SCAN_BINDINGS,
    hasWorkgroupOverride: false,
  },
  gemm_i8: {
    code: gemmI8,
    parts: ["keys", "query", "scan_params", "codes", "tile", "emit_codes"],
    bindings: SCAN_BINDINGS,
    afterEmit: ["read"],
    hasWorkgroupOverride: false,
  },
  gemm_i8_matrix: {
    code: gemmI8Matrix,
    parts: ["keys", "query", "scan_params", "codes", "tile", "emit_codes", "staged"],
    bindings: SCAN_BINDINGS,
    afterEmit: ["read"],
    hasWorkgroupOverride: false,
  },
  gemm_f16_matrix: {
    code: gemmF16Matrix,
    parts: ["keys", "query", "scan_params", "full", "tile", "emit_full", "staged"],
    bindings: SCAN_BINDINGS,
    hasWorkgroupOverride: false,
  },
  select_k: {
    code: selectK,
    parts: ["keys", "query", "state"],
    bindings: ["params", "read", "read", "write"],
    hasWorkgroupOverride: true,
  },
  select_bin: {
    code: selectBin,
    parts: ["keys", "query", "state"],
    bindings: ["params", "read", "read", "write"],
    hasWorkgroupOverride: true,
  },
  collect: {
    code: collect,
    parts: ["keys", "scan_params"],
    // What is emitted lies at bindings 6 and 7, as in a scan.
    bindings: ["params", "read", "none", "none", "none", "none"],
    hasWorkgroupOverride: true,
  },
  refine: {
    code: refine,
    parts: ["keys", "query", "full", "state"],
    bindings: ["params", "read", "read", "read", "read", "read", "read", "write", "write"],
    hasWorkgroupOverride: true,
  },
  rank_ties: {
    code: rankTies,
    parts: ["keys", "state"],
    bindings: ["params", "read", "read", "write"],
    hasWorkgroupOverride: true,
  },
  compact: {
    code: compact,
    parts: ["keys", "state"],
    bindings: ["params", "read", "read", "read", "write"],
    hasWorkgroupOverride: true,
  },
};
