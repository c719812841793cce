/** The shader files of GEMMs, as shaders.ts has those of every search. */
import gemmF16Matrix from "../../shaders/gemm_f16_matrix.wgsl?raw";
import gemmF32 from "../../shaders/gemm_f32.wgsl?raw";
import gemmI8 from "../../shaders/gemm_i8.wgsl?raw";
import gemmI8Matrix from "../../shaders/gemm_i8_matrix.wgsl?raw";
import emitCodes from "../../shaders/parts/emit_codes.wgsl?raw";
import emitFull from "../../shaders/parts/emit_full.wgsl?raw";
import stagedPart from "../../shaders/parts/staged.wgsl?raw";
import sumMatrix from "../../shaders/parts/sum_matrix.wgsl?raw";
import sumPlain from "../../shaders/parts/sum_plain.wgsl?raw";
import tilePart from "../../shaders/parts/tile.wgsl?raw";
import { type GemmKernel, type KernelSource, READS_CODES, READS_FULL, SCAN_BINDINGS, SCAN_PARTS } from "./shaders.ts";

const SUMS = { matrix: sumMatrix, plain: sumPlain } as const;

export const GEMM_KERNELS: Readonly<Record<GemmKernel, KernelSource>> = {
  gemm_f32: {
    code: gemmF32,
    parts: [...SCAN_PARTS, READS_FULL, tilePart, emitFull],
    bindings: SCAN_BINDINGS,
    hasWorkgroupOverride: false,
  },
  gemm_i8: {
    code: gemmI8,
    parts: [...SCAN_PARTS, READS_CODES, tilePart, emitCodes],
    bindings: SCAN_BINDINGS,
    afterEmit: ["read"],
    hasWorkgroupOverride: false,
  },
  gemm_i8_matrix: {
    code: gemmI8Matrix,
    parts: [...SCAN_PARTS, READS_CODES, tilePart, emitCodes, stagedPart],
    sums: SUMS,
    bindings: SCAN_BINDINGS,
    afterEmit: ["read"],
    hasWorkgroupOverride: false,
  },
  gemm_f16_matrix: {
    code: gemmF16Matrix,
    parts: [...SCAN_PARTS, READS_FULL, tilePart, emitFull, stagedPart],
    sums: SUMS,
    bindings: SCAN_BINDINGS,
    hasWorkgroupOverride: false,
  },
};
