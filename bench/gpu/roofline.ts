/**
 * The floor of a case: the bytes it must read and the operations it must do, over what the device
 * was measured to do. Pure. The formula of KERNELS a.4: time ≥ max(bytes / bandwidth, operations /
 * rate); bytes: every row once for the whole batch, since a batch shares the pass.
 *
 * Which unit: the fastest that gives the answer at that precision and that this device exposes.
 * f32 rows have no matrix unit; a certified scan reads int8 codes of the leading dimensions and 8
 * bytes of scalars a row (KERNELS b.5), so its floor lies below that of the full scan.
 */
import type { Precision } from "../../src/core/metric.ts";
import type { Peaks } from "./peaks.ts";

export interface Work {
  readonly rows: number;
  readonly dimensions: number;
  readonly batch: number;
  readonly precision: Precision;
  readonly scan: "full" | "certified";
  /** Leading dimensions that a certified scan reads; all of them where unknown. */
  readonly prefixDimensions?: number;
}

type Unit = "fma_f32" | "matrix_f16" | "dot_i8" | "matrix_i8" | "popcount";

export interface Roofline {
  readonly bytes: number;
  /** Floating-point or integer operations, a multiply-add counting two; bits compared for b1. */
  readonly operations: number;
  readonly unit: Unit;
  readonly bound: "memory" | "compute";
  readonly floorMs: number;
}

/** The peaks that a floor is made of. */
export type PeakRates = Pick<
  Peaks,
  "readBytes" | "copyBytes" | "fmaF32Flops" | "dotI8Ops" | "popcountBits" | "matrixF16Flops" | "matrixI8Ops"
>;

/** Norm, residual norms and scale of a row in a certified scan, f16 each. */
const CERTIFICATE_BYTES = 8;

function workOf({ rows, dimensions, batch, precision, scan, prefixDimensions = dimensions }: Work): {
  bytes: number;
  operations: number;
} {
  if (scan === "certified" && precision !== "b1") {
    return { bytes: rows * (prefixDimensions + CERTIFICATE_BYTES), operations: 2 * rows * prefixDimensions * batch };
  }
  switch (precision) {
    case "f32":
      return { bytes: rows * dimensions * 4, operations: 2 * rows * dimensions * batch };
    case "f16":
      return { bytes: rows * dimensions * 2, operations: 2 * rows * dimensions * batch };
    case "i8":
      return { bytes: rows * dimensions, operations: 2 * rows * dimensions * batch };
    case "b1":
      return { bytes: (rows * dimensions) / 8, operations: rows * dimensions * batch };
    default:
      return precision satisfies never;
  }
}

export function roofline(work: Work, peaks: PeakRates): Roofline {
  const { bytes, operations } = workOf(work);
  const { unit, rate } = fastestUnit(work, peaks);
  // Reading alone is what a scan does; some memories copy faster than they read by this count.
  const memoryMs = (bytes / Math.max(peaks.readBytes, peaks.copyBytes)) * 1000;
  const computeMs = (operations / rate) * 1000;
  return {
    bytes,
    operations,
    unit,
    bound: memoryMs >= computeMs ? "memory" : "compute",
    floorMs: Math.max(memoryMs, computeMs),
  };
}

function fastestUnit({ precision, scan }: Work, peaks: PeakRates): { unit: Unit; rate: number } {
  if (precision === "b1") return { unit: "popcount", rate: peaks.popcountBits };
  if (scan === "certified" || precision === "i8")
    return faster({ unit: "dot_i8", rate: peaks.dotI8Ops }, { unit: "matrix_i8", rate: peaks.matrixI8Ops ?? 0 });
  const alu = { unit: "fma_f32", rate: peaks.fmaF32Flops } as const;
  return precision === "f16" ? faster(alu, { unit: "matrix_f16", rate: peaks.matrixF16Flops ?? 0 }) : alu;
}

function faster(a: { unit: Unit; rate: number }, b: { unit: Unit; rate: number }): { unit: Unit; rate: number } {
  return b.rate > a.rate ? b : a;
}
