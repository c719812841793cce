/** What shapes a GPU search beside the device, and may be set by tests and measurements; all of it numbers. */
import { LIMITS } from "../core/limits.ts";
import type { PlanLimits } from "./plan.ts";

/** Lanes of a workgroup where a kernel leaves it open: two or one subgroups on any GPU, few coroutines in software. */
export const WORKGROUP = 64;

/** Mostly limits, to be made small: sharding, streaming, tiling and rescans with few rows. */
export interface GpuTuning {
  readonly maxBindingBytes?: number;
  readonly maxWorkgroupsPerDimension?: number;
  readonly scoreBytes?: number;
  /** How little may come of `scoreBytes` and of the memory budget where the device is out of memory. */
  readonly leastScoreBytes?: number;
  readonly leastBudgetBytes?: number;
  readonly uploadBytesInFlight?: number;
  readonly rescanRows?: number;
  readonly marginRows?: number;
  readonly appendFrom?: number;
  readonly sampleRows?: number;
  readonly expectedCandidates?: number;
  readonly candidateCapacity?: number;
  readonly certifiedBytes?: number;
  readonly learnRows?: number;
  /** Multiply-adds of a submit, in place of what is measured. */
  readonly submitWork?: number;
  /** 1: GEMMs for batches on any adapter, a software rasteriser too; 0: on none. */
  readonly gemm?: number;
  /** Which GEMM shapes of the table to leave out: those before this one. */
  readonly gemmShape?: number;
  /** Queries from which a GEMM is worth it, in place of a quarter of its tile. */
  readonly gemmFrom?: number;
  /** Kernels on matrix units, 1: where the device has them; 2: as their twins in plain WGSL; 0: none. */
  readonly matrix?: number;
  /** 0: no autotune, the table's first variant that passes its probe. */
  readonly autotune?: number;
  /** 1: times of each kernel in `stats().gpu.kernelMs`; costs a pass each. Where given at first it may change later: 0 times nothing. */
  timestamps?: number;
}

/** The limits of plans on a device; what memory allows may shrink later. */
export function planLimits(device: GPUDevice, tuning: GpuTuning | undefined): Omit<PlanLimits, "memoryBudgetBytes"> {
  // NVIDIA's Vulkan driver refuses bindings of 2 GiB and more whatever it reports (crbug 435684920).
  const largest = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize, 2 ** 31 - 4);
  return {
    maxBindingBytes: tuning?.maxBindingBytes ?? largest,
    maxWorkgroupsPerDimension: tuning?.maxWorkgroupsPerDimension ?? device.limits.maxComputeWorkgroupsPerDimension,
    workgroup: WORKGROUP,
    scoreBytes: tuning?.scoreBytes ?? LIMITS.scoreBytes,
    batchQueries: LIMITS.batchQueries,
    appendFrom: tuning?.appendFrom ?? LIMITS.appendFromQueries,
    sampleRows: [tuning?.sampleRows ?? LIMITS.sampleLeastRows, tuning?.sampleRows ?? LIMITS.sampleMostRows],
    expectedCandidates: tuning?.expectedCandidates ?? LIMITS.expectedCandidates,
    rescanRows: tuning?.rescanRows ?? LIMITS.rescanRows,
    candidateCapacity: tuning?.candidateCapacity,
  };
}
