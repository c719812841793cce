/**
 * The scans end to end through an index, on one thread, as rates: a single query by the bytes that it must read, a batch
 * by the multiply-adds that it must do; beside the peaks of the same run. Answers are checked as in every comparison.
 */
import type { CaseGroup } from "../cases/case.ts";
import type { CaseResult, ContenderOutcome } from "../compare.ts";
import { round } from "../statistics.ts";
import type { Peaks } from "./peaks.ts";

const CLUSTERED = { source: "clustered", rows: 200_000, dimensions: 384 } as const;
const BITS = { source: "bits", rows: 1_000_000, dimensions: 1024 } as const;

/** 307 MB of float32 and 77 MB of codes: beyond the caches, and a batch in a second or two. */
export const KERNEL_GROUPS: readonly CaseGroup[] = [
  {
    data: CLUSTERED,
    metric: "cosine",
    searches: [
      [1, 10],
      [256, 10],
    ],
    contenders: [
      { name: "f32 full", engine: "nearfield", precision: "f32", threads: 1, scan: "full" },
      { name: "f32 certified", engine: "nearfield", precision: "f32", threads: 1, scan: "certified" },
      { name: "f16 full", engine: "nearfield", precision: "f16", threads: 1, scan: "full" },
      { name: "i8", engine: "nearfield", precision: "i8", threads: 1 },
    ],
  },
  {
    data: BITS,
    metric: "hamming",
    searches: [
      [1, 10],
      [256, 10],
    ],
    contenders: [{ name: "b1", engine: "nearfield", precision: "b1", threads: 1 }],
  },
];

export interface KernelRate {
  readonly name: string;
  readonly batch: number;
  readonly method: "full" | "certified" | "mixed";
  /** Of one search of the whole batch, median. */
  readonly ms: number;
  /** Rows, or codes and their facts, once for the whole batch. */
  readonly bytesPerSecond: number;
  readonly ofBandwidth: number;
  /** Null for bits, which are counted and not multiplied. */
  readonly macsPerSecond: number | null;
  readonly ofPeak: number | null;
}

/** Scale, errors, norm of a coded row, f32 each; with relaxed SIMD the sum of its codes too. */
const FACT_BYTES = { simd128: 16, "relaxed-simd": 20 } as const;
/** Codes of a row cover whole vectors. */
const CODE_BLOCK = 16;
const ELEMENT_BYTES = { f32: 4, f16: 2, i8: 1, b1: 1 / 8 } as const;

export function kernelRates(result: CaseResult, peaks: Peaks): KernelRate[] {
  return result.contenders.flatMap((outcome) => (outcome.status === "ok" ? [kernelRate(result, outcome, peaks)] : []));
}

function kernelRate(
  { case: c }: CaseResult,
  { contender, wallMs, scan, codes }: ContenderOutcome & { status: "ok" },
  { simd, one }: Peaks,
): KernelRate {
  const { rows, dimensions } = c.data;
  const { precision } = contender;
  const isCertified = scan?.method === "certified" && codes !== null;
  const bytes = isCertified
    ? codes.codedRows * (Math.ceil(codes.directions / CODE_BLOCK) * CODE_BLOCK + FACT_BYTES[simd])
    : rows * dimensions * ELEMENT_BYTES[precision];
  const macs = (isCertified ? codes.codedRows * codes.directions : rows * dimensions) * c.batch;
  const seconds = (wallMs.median * c.batch) / 1000;
  const peak = isCertified ? one.i8Macs : one.f32Flops / 2;
  const isCounted = precision === "b1";
  return {
    name: contender.name,
    batch: c.batch,
    method: scan?.method ?? "full",
    ms: round(seconds * 1000),
    bytesPerSecond: round(bytes / seconds),
    ofBandwidth: round(bytes / seconds / one.readBytes),
    macsPerSecond: isCounted ? null : round(macs / seconds),
    ofPeak: isCounted ? null : round(macs / seconds / peak),
  };
}
